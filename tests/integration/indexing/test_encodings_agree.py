"""All encodings of an index say the same of every file, whatever was done to the channel, and can be made anew."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from packhouse.core.db import Unit
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item, select_entries
from tests.conftest import Backend
from tests.integration.indexing.changes import SOURCE, add_passive, publish
from tests.kit.channel_reader import read_subdir
from tests.kit.house import House, second_process

NOARCH = "noarch"
CHANNELS = ("pub", "other", "pub/sub")
SUBDIRS = ("noarch", "linux-64")
NAMES = ("ant", "bee", "cat")


class Player:
    """Does random things to three channels and keeps its own account of which file is where."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.random = house, random.Random(seed)
        self.files: dict[str, set[str]] = {channel: set() for channel in CHANNELS}

    async def step(self) -> None:
        """Upload, remove, copy or move something."""
        await self.random.choice((self.upload, self.upload, self.upload, self.remove, self.copy, self.move))()

    async def upload(self) -> None:
        channel, name, subdir = (self.random.choice(options) for options in (CHANNELS, NAMES, SUBDIRS))
        version, kind = f"1.{self.random.randrange(4)}", self.random.choice(("conda", "tar.bz2"))
        await self.house.upload(channel, name, version, kind=kind, subdir=subdir, depends=["ant >=1"])
        self.files[channel].add(f"{subdir}/{name}-{version}-0.{kind}")

    async def remove(self) -> None:
        channel = self.random.choice(CHANNELS)
        if items := self._some(channel):
            await remove(self.house.services, await self.house.find(channel), "test", items)
            self.files[channel] -= {item.ckey or "" for item in items}

    async def copy(self) -> None:
        await self._carry(move=False)

    async def move(self) -> None:
        await self._carry(move=True)

    async def _carry(self, *, move: bool) -> None:
        source, target = self.random.sample(CHANNELS, 2)
        if items := self._some(source):
            here, there = await self.house.find(source), await self.house.find(target)
            await copy(self.house.services, here, there, "test", items, move=move)
            keys = {item.ckey or "" for item in items}
            self.files[target] |= keys
            self.files[source] -= keys if move else set()

    def _some(self, channel: str) -> list[Item]:
        held = sorted(self.files[channel])
        chosen = self.random.sample(held, min(len(held), self.random.randrange(1, 4)))
        return [Item(key.partition("/")[2].split("-")[0], ckey=key) for key in chosen]


async def check(house: House, channel: str, subdir: str, expected: set[str]) -> dict[str, bytes]:
    """Compare every encoding with what must be there; return the bodies."""
    if not expected and subdir != NOARCH:
        assert (await house.admin.get(f"/api/repo/{channel}/{subdir}/repodata.json")).status == 404
        return {}
    reading = await read_subdir(house.admin, channel, subdir)
    assert set(reading.monolithic) == expected
    assert reading.shards == reading.monolithic
    assert reading.current.items() <= reading.monolithic.items()
    assert {record["name"] for record in reading.current.values()} == {
        record["name"] for record in reading.monolithic.values()
    }
    assert reading.run_exports == expected
    return reading.bodies


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_sequence_of_changes(house: House, backend: Backend, tmp_path: Path, seed: int) -> None:
    await house.channel("other", "private")
    await house.channel("pub/sub")
    player = Player(house, seed)
    for _ in range(4):
        for _ in range(10):
            await player.step()
        bodies = {}
        for channel, keys in player.files.items():
            for subdir in SUBDIRS:
                files = {key.partition("/")[2] for key in keys if key.startswith(f"{subdir}/")}
                bodies[channel, subdir] = await check(house, channel, subdir, files)
    await forget_index(house)
    async with second_process(backend, house, tmp_path / "second") as other:
        for (channel, subdir), before in bodies.items():
            files = {key.partition("/")[2] for key in player.files[channel] if key.startswith(f"{subdir}/")}
            assert await check(other, channel, subdir, files) == before, (channel, subdir)


async def forget_index(house: House) -> None:
    """Throw away all that was published and publish it again from the catalogue."""

    async def work(unit: Unit) -> None:
        await unit.execute("DELETE FROM shelf")
        await unit.execute("DELETE FROM part")
        await unit.execute(
            "INSERT INTO dirty (channel_id, partition, name) SELECT DISTINCT channel_id, partition, name FROM entry"
        )

    await house.services.db.write(work)
    for channel in CHANNELS:
        await house.services.publisher.publish((await house.find(channel)).id)


async def test_signatures_pass_through_with_their_record(house: House) -> None:
    await add_passive(house, ["signed"], signatures='{"0123":{"signature":"4567"}}')
    await add_passive(house, ["plain"])
    await publish(house)
    reading = await read_subdir(house.web, "pub", "noarch")
    assert reading.monolithic["signed-1-0.conda"] == {**SOURCE, "name": "signed"}, "exactly what was signed"
    assert reading.shards["signed-1-0.conda"] == reading.monolithic["signed-1-0.conda"]
    assert reading.signatures == {"signed-1-0.conda": {"0123": {"signature": "4567"}}}
    plain = dict(reading.monolithic["plain-1-0.conda"])
    assert plain.pop("indexed_timestamp") > SOURCE["timestamp"]
    assert plain == {**SOURCE, "name": "plain"}
    assert reading.run_exports == set(), "nothing was fetched, so nothing is known of it"


async def test_copies_have_the_time_they_appeared_in_their_channel(house: House) -> None:
    await house.channel("other")
    await house.upload("pub", "one")
    here, there = await house.find("pub"), await house.find("other")
    assert len(await select_entries(house.services.db, here, [Item("one")], hidden=True)) == 1
    await copy(house.services, here, there, "test", [Item("one")])
    first = (await read_subdir(house.web, "pub", "noarch")).monolithic["one-1.0-0.conda"]
    second = (await read_subdir(house.web, "other", "noarch")).monolithic["one-1.0-0.conda"]
    assert second.pop("indexed_timestamp") >= first.pop("indexed_timestamp")
    assert first == second
