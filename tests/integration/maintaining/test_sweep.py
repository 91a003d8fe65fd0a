"""The sweep takes what nobody owns, when its time has come, and never what an upload just brought."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from packhouse.app import WorkerProcess, _duties
from packhouse.core import leases
from packhouse.core.blobs import Writer, local_folder
from packhouse.core.clock import SECOND
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import load
from packhouse.workflows.channels.deleting import clear_deleted, delete_channel
from packhouse.workflows.maintaining import sweep as sweeping
from packhouse.workflows.maintaining.repair import repair
from packhouse.workflows.maintaining.sweep import Tally, diagnose, sweep
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.integration.maintaining.test_verify import change
from tests.kit.condapkg import make_conda
from tests.kit.house import House, second_process
from tests.kit.inspection import findings
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

#: more than the grace period of these houses, in microseconds
LONG = 10 * SECOND
#: that grace period; a store's clock may count whole seconds only
GRACE = 5.0


NEWEST_NUMPY = "noarch/numpy-1.2-0.conda"


async def age(house: House) -> None:
    """Let the grace period of every content that stands there now be over."""
    await age_some(house, "created_at")
    await age_some(house, "doomed_at")


async def age_some(house: House, column: str, name: str = "") -> None:
    """Let the grace period be over of contents nobody owns, or of those of one package."""
    statement = (
        f"UPDATE content SET {column} = {column} - {LONG} WHERE facts LIKE :facts"
        " AND NOT EXISTS (SELECT 1 FROM entry WHERE content_id = content.id)"
    )
    facts = f'%"{name}"%' if name else "%"
    await house.services.db.write(lambda unit: unit.execute(statement, facts=facts))


async def age_entries(house: House) -> None:
    """Let every entry have been there for long, and publish what that changes."""
    await house.services.db.write(lambda unit: unit.execute(f"UPDATE entry SET visible_at = visible_at - {LONG}"))
    assert [one async for one in repair(house.services)]


async def blobs_of(house: House) -> dict[str, int]:
    return {sha256: size async for sha256, size in house.services.blobs.iterate()}


async def count(house: House, table: str) -> int:
    return int(await house.services.db.fetch_value(f"SELECT count(*) FROM {table}"))


async def emptied(stocked: House) -> None:
    """Take every numpy out of the channel: two contents lose their only owner."""
    await remove(stocked.services, await stocked.find("lab"), "test", [Item("numpy")])


async def test_what_lost_its_owner_goes_in_two_phases(stocked: House) -> None:
    before = await blobs_of(stocked)
    await emptied(stocked)
    await age(stocked)

    marked = await sweep(stocked.services)
    assert (marked.marked.count, marked.deleted.count) == (2, 0) and await blobs_of(stocked) == before
    early = await sweep(stocked.services)
    assert (early.marked.count, early.deleted.count) == (0, 0) and await blobs_of(stocked) == before

    await age(stocked)
    late = await sweep(stocked.services)
    left = await blobs_of(stocked)
    assert late.deleted == Tally(2, sum(before.values()) - sum(left.values()))
    assert len(left) == len(before) - 2
    assert await findings(stocked.services, deep=True) == []
    left_over = await diagnose(stocked.services)
    assert left_over.marked == left_over.deleted == left_over.unknown == Tally()
    types = await stocked.services.db.fetch_all("SELECT type, data FROM event WHERE type = 'content_swept'")
    assert [row[0] for row in types] == ["content_swept"]


async def test_young_content_is_left_alone(stocked: House) -> None:
    await emptied(stocked)
    await change(stocked, f"UPDATE content SET created_at = created_at + {LONG}")  # however long all that took
    assert (await sweep(stocked.services)).marked.count == 0


async def test_a_dry_run_and_a_diagnosis_change_nothing(stocked: House) -> None:
    await emptied(stocked)
    found = await diagnose(stocked.services)
    assert found.marked.count == 2 and found.marked.bytes > 0
    await age(stocked)
    planned = await sweep(stocked.services, dry_run=True)
    assert planned.marked == found.marked and planned.dry_run
    assert await stocked.services.db.fetch_value("SELECT count(*) FROM content WHERE doomed_at IS NOT NULL") == 0
    done = await sweep(stocked.services)
    assert done.marked == planned.marked


async def test_an_upload_of_marked_bytes_rescues_them(stocked: House) -> None:
    await emptied(stocked)
    await age(stocked)
    await sweep(stocked.services)
    await stocked.upload("lab", "numpy", "1.0", depends=["zlib"])
    await age(stocked)
    assert (await sweep(stocked.services)).deleted.count == 1
    answer = await stocked.web.get("/api/repo/lab/noarch/numpy-1.0-0.conda")
    assert answer.status == 200
    assert await findings(stocked.services, deep=True) == []


@pytest.fixture
def held_after_storing(stocked: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stores bytes next is held before they are registered, for so long that they are swept."""
    commit, held = Writer.commit, [True]

    async def commit_and_wait(writer: Writer) -> None:
        await commit(writer)
        if held:
            held.clear()
            await asyncio.sleep(GRACE + 1.1)
            assert (await sweep(stocked.services)).unknown.count >= 1
            await change(stocked, f"UPDATE content SET doomed_at = doomed_at - {LONG}")
            assert (await sweep(stocked.services)).deleted.count >= 1

    monkeypatch.setattr(Writer, "commit", commit_and_wait)


async def test_an_upload_that_was_held_until_its_bytes_were_swept_is_asked_to_come_again(
    stocked: House, held_after_storing: None
) -> None:
    data = make_conda("held", "1.0")
    statuses = [(await stocked.admin.put("/api/repo/lab/noarch/held-1.0-0.conda", data)).status for _ in range(2)]
    assert statuses == [503, 201]
    assert await findings(stocked.services, deep=True) == []


async def test_a_fetch_that_was_held_until_its_bytes_were_swept_fetches_again(
    stocked: House, held_after_storing: None
) -> None:
    source = CondaSource()
    source.add("held")
    async with Upstream(source.files()) as upstream:
        lab = await stocked.find("lab")
        await run_and_wait(stocked.services, await add_mirror(stocked.services, lab, upstream.url))
        ask = [(await stocked.admin.get("/api/repo/lab/noarch/held-1.0-0.conda")).status for _ in range(2)]
    assert ask == [503, 200]
    assert await findings(stocked.services, deep=True) == []


async def test_a_copy_of_a_marked_file_keeps_it(stocked: House) -> None:
    lab, sub = await stocked.find("lab"), await stocked.find("lab/sub")
    await change(stocked, f"UPDATE content SET doomed_at = created_at - {LONG}")  # as if marked just before
    await copy(stocked.services, lab, sub, "test", [Item("numpy")])
    report = await sweep(stocked.services)
    assert report.deleted.count == 0
    assert await stocked.services.db.fetch_value("SELECT count(*) FROM content WHERE doomed_at IS NOT NULL") == 0


async def test_an_upload_while_its_bytes_are_deleted_is_asked_to_come_again(stocked: House) -> None:
    await emptied(stocked)
    await change(stocked, "UPDATE content SET doomed_at = 1, deleting = TRUE WHERE id IN (1, 2)")  # killed in between
    body = make_conda("numpy", "1.0", depends=["zlib"])
    answer = await stocked.admin.put("/api/repo/lab/noarch/numpy-1.0-0.conda", body)
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert await findings(stocked.services) == []
    assert (await sweep(stocked.services)).deleted.count == 2  # the next one goes on
    await stocked.upload("lab", "numpy", "1.0", depends=["zlib"])
    assert await findings(stocked.services, deep=True) == []


async def test_a_round_that_was_refused_is_not_the_one_that_looks_through_the_store(stocked: House) -> None:
    db = stocked.services.db
    async with stocked.services.blobs.writer() as writer:
        await writer.write(b"the upload was killed before its row")
        await writer.commit()
    await asyncio.sleep(GRACE + 1)
    [duty] = [duty for duty in await _duties(stocked.services) if duty.name == "sweeper"]
    await db.write(lambda unit: leases.acquire(unit, sweeping.LEASE, "an administrator's", 300.0))
    with pytest.raises(PackhouseError, match="Another sweep"):
        await duty.function()
    await db.write(lambda unit: leases.release(unit, sweeping.LEASE, "an administrator's"))
    await duty.function()
    assert await db.fetch_value("SELECT count(*) FROM content WHERE doomed_at IS NOT NULL") == 1


async def test_each_node_removes_what_was_killed_on_it(backend: Backend, house: House, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    spool = Path(local_folder(backend.blob_url) or folder / "blob-cache")
    left = [spool / "incoming" / "a", spool / "partial" / "b.part"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"killed")
        os.utime(path, (0, 0))
    young = spool / "partial" / "c.part"
    young.touch()
    # another process has the duty, and a sweep is under way
    await house.services.db.write(lambda unit: leases.acquire(unit, sweeping.LEASE, "another", 300.0))
    async with second_process(backend, house, folder):
        async with asyncio.timeout(60):
            while any(path.exists() for path in left):
                await asyncio.sleep(0.01)
    assert young.exists(), "a download that a worker will go on with"


async def test_a_worker_removes_what_was_killed_on_its_node(backend: Backend, house: House, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    left = Path(local_folder(backend.blob_url) or folder / "blob-cache") / "incoming" / "a"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"killed")
    os.utime(left, (0, 0))
    await house.services.db.write(lambda unit: leases.acquire(unit, "periodic sweeper", "another", 300.0))
    ended = asyncio.Event()
    worker = asyncio.create_task(WorkerProcess(load(backend.node(folder))).run(ended))
    try:
        async with asyncio.timeout(60):
            while left.exists():
                await asyncio.sleep(0.01)
    finally:
        ended.set()
        await worker


async def test_bytes_without_a_row_go_the_same_way(stocked: House) -> None:
    async with stocked.services.blobs.writer() as writer:
        await writer.write(b"the upload was killed before its row")
        sha256 = (await writer.commit()).sha256
    assert (await sweep(stocked.services)).unknown == Tally()  # it may be on its way into the catalogue
    await asyncio.sleep(GRACE + 1)
    report = await sweep(stocked.services)
    assert report.unknown == Tally(1, 36) and sha256 in await blobs_of(stocked)
    assert (await sweep(stocked.services)).unknown.count == 0
    await age(stocked)
    assert (await sweep(stocked.services)).deleted == Tally(1, 36)
    assert sha256 not in await blobs_of(stocked)
    assert await findings(stocked.services, deep=True) == []


async def test_an_upload_of_bytes_the_sweep_found_first_gets_its_facts(stocked: House) -> None:
    body = make_conda("fresh", "1.0")
    async with stocked.services.blobs.writer() as writer:
        await writer.write(body)
        await writer.commit()
    await asyncio.sleep(GRACE + 1)
    assert (await sweep(stocked.services)).unknown.count == 1
    await stocked.upload("lab", "fresh", "1.0")
    await age(stocked)
    assert (await sweep(stocked.services)).deleted.count == 0
    shown = (await stocked.web.get("/api/repo/lab/channeldata.json")).json()["packages"]["fresh"]
    assert shown["summary"] == "The fresh package"
    assert await findings(stocked.services, deep=True) == []


async def test_a_channel_with_content_nobody_looked_into_is_published_all_the_same(stocked: House) -> None:
    await change(stocked, "UPDATE content SET facts = ''")
    await stocked.upload("lab", "numpy", "1.2")
    await remove(stocked.services, await stocked.find("lab"), "test", [Item("numpy", "conda", NEWEST_NUMPY)])
    shown = (await stocked.web.get("/api/repo/lab/channeldata.json")).json()["packages"]["numpy"]
    assert shown["version"] == "1.1" and not shown.get("summary")


async def test_records_and_parts_that_nothing_shows_go(stocked: House) -> None:
    records, parts = await count(stocked, "record"), await count(stocked, "part")
    await delete_channel(stocked.services, await stocked.find("lab"), "test")
    await clear_deleted(stocked.services)
    await stocked.channel("next")
    await stocked.upload("next", "anything")
    await age_entries(stocked)
    report = await sweep(stocked.services)
    assert report.records.count == records and report.parts.count == parts
    # the one that is shown, and what it was before its time was changed
    assert [await count(stocked, table) for table in ("record", "record_body", "part")] == [1, 1, 2]
    assert await findings(stocked.services) == []


async def test_a_record_whose_entry_may_still_come_stays(stocked: House) -> None:
    await age_entries(stocked)
    await change(
        stocked,
        "INSERT INTO record (sha256, name, version, build, build_number, license, license_family, signed)"
        " SELECT claimed_md5, name, version, build, build_number, license, license_family, signed FROM record"
        " WHERE name = 'zlib' AND claimed_md5 IS NOT NULL LIMIT 1",
    )
    assert (await sweep(stocked.services)).records.count == 0


async def test_two_sweeps_at_once_are_one(stocked: House) -> None:
    await emptied(stocked)
    await age(stocked)
    done = await asyncio.gather(*(sweep(stocked.services) for _ in range(4)), return_exceptions=True)
    reports = [one for one in done if isinstance(one, sweeping.Report)]
    refusals = [one.code for one in done if isinstance(one, PackhouseError)]
    assert sum(one.marked.count for one in reports) == 2 and refusals == ["conflict"] * (4 - len(reports))


async def test_a_sweep_that_fell_asleep_deletes_nothing(stocked: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await emptied(stocked)
    await age(stocked)
    await sweep(stocked.services)
    await age(stocked)
    monkeypatch.setattr(sweeping, "LEASE_SECONDS", 0.0)
    before = await blobs_of(stocked)
    with pytest.raises(PackhouseError):
        await sweep(stocked.services)
    assert await blobs_of(stocked) == before


async def test_uploads_and_removals_of_the_same_bytes_never_lose_to_the_sweep(house: House) -> None:
    """Grace is 5 s here, and an upload takes a fraction of that, as the protocol asks."""
    await house.channel("lab")
    lab = await house.find("lab")
    dice = random.Random(11)
    over = asyncio.Event()
    lost: list[str] = []
    rescued = 0

    async def customer(number: int) -> None:
        nonlocal rescued
        name = f"p{number}"
        body = make_conda(name, "1.0")
        target = f"/api/repo/lab/noarch/{name}-1.0-0.conda"
        while not over.is_set():
            answer = await house.admin.put(target, body)
            if answer.status == 503:
                await asyncio.sleep(0.05)
                continue
            assert answer.status in (200, 201), answer.body
            got = await house.web.get(target)
            if got.body != body:
                lost.append(name)
            rescued += 1
            await remove(house.services, lab, "test", [Item(name)])
            # old enough to be marked, then to be taken; the next upload comes at every possible moment
            for column in ("created_at", "doomed_at"):
                await age_some(house, column, name)
                await asyncio.sleep(dice.random() * 0.15)

    async def sweeper() -> None:
        while not over.is_set():
            await sweep(house.services, listing=False)
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(customer(number))
        group.create_task(sweeper())
        await asyncio.sleep(8)
        async with asyncio.timeout(120):
            while rescued <= 20:
                await asyncio.sleep(0.1)
        over.set()
    assert lost == []
    assert await house.services.db.fetch_value("SELECT count(*) FROM event WHERE type = 'content_swept'") > 0
    assert await findings(house.services, deep=True) == []
