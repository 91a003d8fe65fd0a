"""Mirrors of conda sources: what a run brings, keeps, updates and removes; on both set-ups."""

from __future__ import annotations

import pytest

from packhouse.catalog.channels import store as channels
from packhouse.catalog.mirrors import store
from packhouse.workflows.mirroring import downloading
from packhouse.workflows.mirroring.editing import run_mirror_now
from tests.conftest import Backend
from tests.kit.mirroring import (
    CondaSource,
    add_mirror,
    events,
    get,
    make_test_channel,
    run_and_wait,
    services_on,
    shown,
    wait,
)
from tests.kit.upstream import DATE, LATER, Upstream


async def test_a_passive_mirror_shows_everything_and_downloads_nothing(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask", depends=["click"])
    source.add("click", subdir="linux-64")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert mirror.state == "completed", mirror.progress
        assert set(await shown(services, channel)) == {"flask-1.0-0.conda"}
        assert set(await shown(services, channel, "linux-64")) == {"click-1.0-0.conda"}
        record = dict((await shown(services, channel))["flask-1.0-0.conda"])
        record.pop("indexed_timestamp")
        assert record == source.records["noarch"]["flask-1.0-0.conda"]
        assert up.hits(key) == 0
        assert (mirror.progress.count.passive, mirror.progress.count.active) == (2, 0)
        assert [kind for kind, _, _ in await events(services)] == [
            "mirror_registered", "mirroring_started", "mirroring_completed",
        ]  # fmt: skip


async def test_an_active_mirror_holds_every_byte(backend: Backend) -> None:
    source = CondaSource()
    keys = [source.add(f"pkg{number}") for number in range(30)]
    async with services_on(backend) as services, Upstream(source.files(forms=["zst"])) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        assert mirror.state == "completed", mirror.progress
        assert (mirror.progress.count.active, mirror.progress.count.passive) == (30, 0)
        assert all(up.hits(key) == 1 for key in keys)
        assert all([await services.blobs.exists(record["sha256"]) for record in source.records["noarch"].values()])
        again = await run_and_wait(services, mirror)
        assert again.progress.count.active == 30
        assert all(up.hits(key) == 1 for key in keys)


async def test_many_batches_of_files_all_arrive_and_bytes_that_were_to_be_swept_stay(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TOGETHER", 8)
    monkeypatch.setattr(downloading, "PAGE", 10)
    source = CondaSource()
    keys = [source.add(f"pkg{number}") for number in range(45)]
    async with services_on(backend) as services, Upstream(source.files(forms=["zst"])) as up:
        for number in range(2):
            channel = await make_test_channel(services, f"channel{number}")
            mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
            assert mirror.progress.count.active == len(keys), mirror.progress
            assert await services.db.fetch_value("SELECT count(*) FROM content WHERE doomed_at IS NOT NULL") == 0
            await services.db.write(lambda unit: unit.execute("UPDATE content SET doomed_at = 1 WHERE id % 2 = 0"))
        journals = (services.settings.data_dir / "spool" / "mirrors").glob("*.jsonl")
        assert [path.stat().st_size for path in journals] == [0, 0], "nothing is left to be registered"


async def test_an_unchanged_upstream_costs_one_question(backend: Backend) -> None:
    source = CondaSource()
    source.add("flask")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        before = len(up.requests)
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, len(up.requests) - before) == ("completed", 1)
        assert mirror.progress.count.passive == 1


async def test_the_same_index_under_another_etag_is_not_taken_in_again(backend: Backend) -> None:
    source = CondaSource()
    source.add("flask")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        up.etags = "another machine's"
        asked = []
        for _ in range(2):
            before = len(up.requests)
            mirror = await run_and_wait(services, mirror)
            asked += [request.headers["if-none-match"] for request in up.requests[before:]]
        assert len(asked) == len(set(asked)) == 2  # the second run knows the new ETag
        assert (mirror.state, mirror.progress.count.passive) == ("completed", 1)


async def test_two_changes_within_one_second_are_both_seen_where_dates_are_all_there_is(backend: Backend) -> None:
    source = CondaSource()
    source.add("a")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        up.etags, up.now = None, DATE  # asked in the second in which the index was written
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        source.add("b")
        up.files, up.now = source.files(), LATER
        await run_and_wait(services, mirror)
        assert set(await shown(services, channel)) == {"a-1.0-0.conda", "b-1.0-0.conda"}
        up.requests.clear()
        await run_and_wait(services, mirror)
        assert up.requests[0].headers["if-modified-since"] == DATE, "by now the date tells"


async def test_what_changes_upstream_changes_here(backend: Backend) -> None:
    source = CondaSource()
    old = source.add("old")
    source.add("patched")
    source.add("same1")
    source.add("same2")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        source.drop(old)
        source.add("new")
        source.records["noarch"]["patched-1.0-0.conda"]["depends"] = ["python >=3.11"]
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        now = await shown(services, channel)
        assert {name.split("-")[0] for name in now} == {"patched", "same1", "same2", "new"}
        assert now["patched-1.0-0.conda"]["depends"] == ["python >=3.11"]
        count = mirror.progress.count
        assert (count.added, count.updated, count.removed) == (1, 1, 1)
        told = [(kind, data.get("count")) for kind, _, data in await events(services, "artifact_")]
        assert told == [("artifact_metadata_updated", 1)], "one event, however many files it was"


async def test_only_changed_shards_are_fetched(backend: Backend) -> None:
    source = CondaSource()
    for number in range(10):
        source.add(f"pkg{number}")
    async with services_on(backend) as services, Upstream(source.files(forms=["shards"])) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert len(await shown(services, channel)) == 10
        source.add("pkg3", "2.0")
        source.drop(next(key for key in source.bytes if "pkg7" in key))
        up.files, before = source.files(forms=["shards"]), len(up.requests)
        mirror = await run_and_wait(services, mirror)
        assert len(up.requests) - before == 2
        now = await shown(services, channel)
        assert len(now) == 10
        assert "pkg3-2.0-0.conda" in now
        assert "pkg7-1.0-0.conda" not in now
        assert now["pkg3-2.0-0.conda"]["sha256"] == source.records["noarch"]["pkg3-2.0-0.conda"]["sha256"]


async def test_a_shrinking_upstream_stops_the_run_and_asks(backend: Backend) -> None:
    source = CondaSource()
    keys = [source.add(f"pkg{number}") for number in range(10)]
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        for key in keys[:8]:
            source.drop(key)
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, mirror.progress.asks) == ("failed", "shrink")
        assert "8 of the 10" in mirror.progress.last_exception
        assert len(await shown(services, channel)) == 10
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "failed"
        mirror = await run_and_wait(services, mirror, accept_shrink=True)
        assert (mirror.state, mirror.progress.asks) == ("completed", "")
        assert len(await shown(services, channel)) == 2
        assert not (await get(services, mirror)).progress.accept_shrink


async def test_other_bytes_upstream_are_reported_and_never_taken(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("numpy")
    source.add("scipy")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        ours = source.records["noarch"]["numpy-1.0-0.conda"]["sha256"]
        source.add("numpy", depends=["evil"])
        theirs = source.records["noarch"]["numpy-1.0-0.conda"]["sha256"]
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "completed", mirror.progress
        assert mirror.progress.count.conflicts == 1
        assert (await shown(services, channel))["numpy-1.0-0.conda"]["sha256"] == ours
        [conflict] = await store.conflicts(services.db, mirror.id)
        assert (conflict.held_sha256 or b"").hex() == ours
        assert (conflict.upstream_sha256 or b"").hex() == theirs
        assert f"{conflict.partition}/{conflict.filename}" == key


async def test_a_run_gets_further_only_by_what_it_changes(backend: Backend) -> None:
    source = CondaSource()
    source.add("numpy")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, mode="active")

        async def losses_after_a_run() -> int:
            await run_mirror_now(services, mirror, "ann")
            await services.db.write(lambda unit: unit.execute("UPDATE job SET losses = 8 WHERE state = 'queued'"))
            assert (await wait(services, mirror)).state == "completed"
            return int(await services.db.fetch_value("SELECT losses FROM job ORDER BY id DESC LIMIT 1"))

        assert await losses_after_a_run() == 0, "it has taken in a file"
        source.add("numpy", depends=["evil"])
        up.files = source.files()
        assert await losses_after_a_run() == 8, "it has only found other bytes"
        source.add("scipy")
        up.files = source.files()
        assert await losses_after_a_run() == 0, "it has taken in another"
        source.drop("noarch/scipy-1.0-0.conda")
        up.files = source.files()
        await services.db.write(lambda unit: channels.set_frozen(unit, channel.id, unit.now))
        assert await losses_after_a_run() == 8, "it was not let remove it"
        await services.db.write(lambda unit: channels.set_frozen(unit, channel.id, None))
        assert await losses_after_a_run() == 0, "it has removed it"
