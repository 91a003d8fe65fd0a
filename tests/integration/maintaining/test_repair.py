"""Repair heals what is derived, byte for byte, says what differed, and touches nothing that is true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from packhouse.formats.archives import zstandard
from packhouse.formats.archives.limits import DEFAULT
from packhouse.formats.archives.zstandard import unzstd
from packhouse.workflows.channels.editing import Edit, edit_channel
from packhouse.workflows.maintaining.finding import Finding
from packhouse.workflows.maintaining.repair import repair
from tests.conftest import Backend
from tests.integration.maintaining.test_verify import DERIVED, change, is_found
from tests.kit.asgi import Client
from tests.kit.house import House, second_process
from tests.kit.inspection import findings, seal_all

TRUE = ("channel", "content", "record", "record_body", "entry", "binding", "removal", "verdict", "account")
FILES = ("repodata.json", "repodata.json.zst", "current_repodata.json", "run_exports.json")


async def mend(house: House) -> list[Finding]:
    return [one async for one in repair(house.services)]


async def served(web: Client) -> dict[str, bytes]:
    """Return everything that clients can read of the two channels, but the hour a shard index was made."""
    found: dict[str, bytes] = {}
    for folder in ("lab/noarch", "lab/linux-64", "lab/sub/noarch"):
        for file in FILES:
            answer = await web.get(f"/api/repo/{folder}/{file}")
            assert answer.status == 200, (folder, file, answer.body)
            found[f"{folder}/{file}"] = answer.body
        index = await web.get(f"/api/repo/{folder}/repodata_shards.msgpack.zst")
        for name, sha256 in msgspec.msgpack.decode(unzstd(index.body, 1 << 20))["shards"].items():
            shard = await web.get(f"/api/repo/{folder}/shards/{sha256.hex()}.msgpack.zst")
            assert shard.status == 200, (folder, name)
            found[f"{folder}/{name}"] = shard.body
    found["lab"] = (await web.get("/api/repo/lab/channeldata.json")).body
    return found


async def truth(house: House) -> str:
    rows = {name: await house.services.db.fetch_all(f"SELECT * FROM {name}") for name in TRUE}
    return repr({name: sorted(map(repr, some)) for name, some in rows.items()})


@pytest.mark.parametrize("damage", DERIVED)
async def test_what_verify_finds_is_healed(stocked: House, backend: Backend, tmp_path: Path, damage: str) -> None:
    before, true = await served(stocked.web), await truth(stocked)
    await is_found(stocked, damage)
    async with second_process(backend, stocked, tmp_path / "other") as other:
        for folder in ("lab/noarch", "lab/linux-64"):  # remembers what is wrong, or fails to read it
            await other.web.get(f"/api/repo/{folder}/repodata_shards.msgpack.zst")
        said = await mend(stocked)
        assert said
        await other.services.feed.poll()
        assert await served(other.web) == before
    await stocked.services.feed.poll()
    assert await served(stocked.web) == before
    assert await truth(stocked) == true
    await seal_all(stocked.services)
    assert await findings(stocked.services, deep=True) == []
    assert [one for one in await mend(stocked) if not one.information] == []


async def test_what_is_sound_is_left_alone(stocked: House) -> None:
    before = await stocked.services.db.fetch_all("SELECT count(*), max(number) FROM revision")
    assert await mend(stocked) == []
    assert await stocked.services.db.fetch_all("SELECT count(*), max(number) FROM revision") == before


async def test_what_we_wrote_is_no_bomb_however_well_it_compresses(
    stocked: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await served(stocked.web)
    await stocked.upload("lab", "zlib", "3.1")
    await stocked.upload("lab", "zlib", "3.1", subdir="linux-64")
    monkeypatch.setattr(zstandard, "DEFAULT", replace(DEFAULT, ratio_floor=0, ratio=0))
    for folder in ("lab/noarch", "lab/linux-64"):
        for file in FILES:
            answer = await stocked.web.get(f"/api/repo/{folder}/{file}")
            assert answer.status == 200 and answer.body != before[f"{folder}/{file}"], file
    assert [one for one in await mend(stocked) if not one.information] == []


async def test_a_repair_is_an_event(stocked: House) -> None:
    await change(stocked, "UPDATE package SET file_count = 9 WHERE name = 'numpy'")
    await mend(stocked)
    rows = await stocked.services.db.fetch_all("SELECT type, data FROM event ORDER BY id DESC LIMIT 2")
    # the package row, and the sums that the wrong count had spoilt
    assert rows == [("index_repaired", '{"repaired":1}'), ("channel_reindex", '{"repaired":1}')]
    await mend(stocked)
    assert await stocked.services.db.fetch_value("SELECT count(*) FROM event WHERE type = 'channel_reindex'") == 1


async def test_the_catalogue_wins_over_the_index(stocked: House) -> None:
    await change(stocked, "DELETE FROM entry WHERE filename = 'numpy-1.1-0.conda'")
    said = await mend(stocked)
    assert {one.object for one in said} == {"lab/noarch numpy"}
    await stocked.services.feed.poll()
    body = (await stocked.web.get("/api/repo/lab/noarch/repodata.json")).json()
    assert "numpy-1.0-0.conda" in body["packages.conda"] and "numpy-1.1-0.conda" not in body["packages.conda"]
    assert await findings(stocked.services) == []


async def test_an_earlier_part_that_cannot_be_made_again_is_given_up(stocked: House) -> None:
    await change(
        stocked,
        "UPDATE part SET shard = fragment WHERE id IN (SELECT part_id FROM shelf WHERE name = 'numpy'"
        " AND to_rev IS NOT NULL)",
    )
    [said] = await mend(stocked)
    assert "earlier revisions" in said.sentence
    assert await findings(stocked.services) == []


async def test_a_frozen_index_stays_pinned_until_it_is_unfrozen(stocked: House) -> None:
    admin, lab = stocked.people["admin"].principal, await stocked.find("lab")
    await edit_channel(stocked.services, lab, admin, Edit(frozen=True), frozenset())
    await change(stocked, "UPDATE shelf SET part_id = NULL WHERE name = 'numpy' AND to_rev IS NULL")
    [said] = await mend(stocked)
    assert said.information and "unfrozen" in said.sentence
    await edit_channel(stocked.services, await stocked.find("lab"), admin, Edit(frozen=False), frozenset())
    await stocked.services.feed.poll()
    body = (await stocked.web.get("/api/repo/lab/noarch/repodata.json")).json()
    assert "numpy-1.1-0.conda" in body["packages.conda"]
    assert await findings(stocked.services) == []
