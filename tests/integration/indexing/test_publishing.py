"""From dirty names to revisions: shared by those who come together, pinned by a freeze, flipped once at its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from packhouse.core.db import Unit
from packhouse.workflows.indexing import publishing
from packhouse.workflows.indexing.store import committed_at, shards_at
from tests.conftest import Backend
from tests.integration.indexing.changes import add_passive, dirty_rows, head_of, publish, set_frozen
from tests.kit.channel_reader import read_subdir
from tests.kit.condapkg import zstd
from tests.kit.house import House, second_process

INDEX = "/api/repo/pub/noarch/repodata_shards.msgpack.zst"


async def names_shown(house: House) -> set[str]:
    body = (await house.web.get(INDEX)).body
    return set(msgspec.msgpack.decode(zstd.decompress(body))["shards"])


async def test_who_publishes_together_shares_a_revision(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "BUDGET_SECONDS", 60.0)
    await asyncio.gather(*(add_passive(house, [f"p{number}"]) for number in range(50)))
    before = await head_of(house)
    await asyncio.gather(*(publish(house) for _ in range(50)))
    assert await head_of(house) == before + 1
    assert len(await names_shown(house)) == 50


async def test_a_name_that_is_as_it_was_makes_no_revision(house: House) -> None:
    await house.upload("pub", "one")
    head, etag = await head_of(house), (await house.web.get(INDEX)).headers["etag"]

    async def mark(unit: Unit) -> None:
        await unit.execute(
            "INSERT INTO dirty (channel_id, partition, name) SELECT channel_id, partition, name FROM entry"
        )

    await house.services.db.write(mark)
    await publish(house)
    assert (await head_of(house), await dirty_rows(house)) == (head, 0)
    assert (await house.web.get(INDEX)).headers["etag"] == etag


async def test_much_work_is_cut_into_short_transactions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "BUDGET_SECONDS", 0.0)
    monkeypatch.setattr(publishing, "STEP", 1)
    await add_passive(house, [f"p{number}" for number in range(20)])
    await publish(house)
    assert (await head_of(house), await dirty_rows(house)) == (20, 0)
    assert len(await names_shown(house)) == 20


async def test_what_a_crash_left_dirty_is_published_by_whoever_looks(house: House) -> None:
    await add_passive(house, ["left"])
    assert await names_shown(house) == set()
    await house.services.publisher.publish_waiting()
    assert await names_shown(house) == {"left"}


async def test_a_frozen_index_stays_and_its_end_shows_everything_at_once(
    house: House, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "BUDGET_SECONDS", 0.0)  # many small steps of staging
    monkeypatch.setattr(publishing, "STEP", 1)
    await house.upload("pub", "stays")
    await house.upload("pub", "goes")
    pinned = (await read_subdir(house.web, "pub", "noarch")).bodies
    await set_frozen(house, True)
    added = {f"p{number}" for number in range(30)}
    await add_passive(house, sorted(added))
    await take_out(house, "goes")
    await publish(house)
    head = await head_of(house)
    assert (await read_subdir(house.web, "pub", "noarch")).bodies == pinned
    async with second_process(backend, house, tmp_path / "second") as other:
        seen: set[frozenset[str]] = set()

        async def watch() -> None:
            while True:
                seen.add(frozenset(await names_shown(house)))
                seen.add(frozenset(await names_shown(other)))
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        await set_frozen(house, False)
        assert await names_shown(house) == {"stays"} | added
        await other.caught_up()
        assert await names_shown(other) == {"stays"} | added
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert seen <= {frozenset({"stays", "goes"}), frozenset({"stays"} | added)}
    assert await head_of(house) == head + 1
    assert (await house.find("pub")).frozen_at is None


async def test_a_revision_is_never_older_than_the_one_before(house: House) -> None:
    """A publisher that waited for the lock has read its clock before the one who held it."""
    await house.upload("pub", "one")
    db, channel, head = house.services.db, await house.find("pub"), await head_of(house)
    later = await db.now() + 60_000_000

    async def ahead(unit: Unit) -> None:
        await unit.execute(
            "UPDATE revision SET committed_at = :later WHERE channel_id = :id", later=later, id=channel.id
        )

    await db.write(ahead)
    await house.upload("pub", "two")
    assert await head_of(house) == head + 1
    assert await committed_at(db, channel.id, head + 1) == later + 1


async def test_nobody_reads_what_is_only_staged(house: House) -> None:
    await house.upload("pub", "one", "1.0")
    await set_frozen(house, True)
    await add_passive(house, ["secret"])
    channel = await house.find("pub")
    await house.services.db.write(lambda unit: publishing.publish_batch(unit, channel.id, staging=True))
    head = await head_of(house)
    staged = (await shards_at(house.services.db, channel.id, "noarch", head + 1))["secret"].hex()
    target = f"/api/repo/pub/noarch/shards/{staged}.msgpack.zst"
    assert (await house.web.get(target)).status == 404
    assert await names_shown(house) == {"one"}
    await set_frozen(house, False)
    assert (await house.web.get(target)).status == 200


async def test_run_exports_of_a_frozen_index_do_not_run_ahead(house: House) -> None:
    await house.upload("pub", "one")
    before = (await house.web.get("/api/repo/pub/noarch/run_exports.json")).body
    await set_frozen(house, True)
    await copy_entry(house, "one", "two")
    assert (await house.web.get("/api/repo/pub/noarch/run_exports.json")).body == before


async def copy_entry(house: House, name: str, new: str) -> None:
    """Add a held file to the frozen channel, as an active mirror run does."""

    async def work(unit: Unit) -> None:
        await unit.execute(
            """INSERT INTO entry (channel_id, family, partition, name, filename, record_id, content_id, visible_at,
            event_id) SELECT channel_id, family, partition, :new, :new || '-1.0-0.conda', record_id, content_id,
            visible_at, event_id FROM entry WHERE name = :name""",
            name=name,
            new=new,
        )

    await house.services.db.write(work)


async def take_out(house: House, name: str) -> None:
    """Remove a package from the frozen channel, as a mirror run does whose upstream dropped it."""
    channel = await house.find("pub")

    async def mark(unit: Unit) -> None:
        await unit.execute("DELETE FROM entry WHERE name = :name", name=name)
        await unit.execute(
            "INSERT INTO dirty (channel_id, partition, name) VALUES (:channel, 'noarch', :name)",
            channel=channel.id,
            name=name,
        )

    await house.services.db.write(mark)
