"""The life of a mirror: schedules, stopping, restarting, editing while it runs, deleting, freezing its channel."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest
from backports import zstd

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import origins, store
from packhouse.catalog.mirrors.mirror import Credential, Mirror, Spec
from packhouse.catalog.packages import entries
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import Worker, list_jobs
from packhouse.workflows.channels.deleting import clear_deleted, delete_channel
from packhouse.workflows.mirroring import clearing, editing
from packhouse.workflows.mirroring.editing import (
    decide_conflict,
    delete_mirror,
    run_mirror_now,
    stop_mirror,
    update_mirror,
)
from packhouse.workflows.mirroring.fetching import OnDemand
from packhouse.workflows.mirroring.run import KIND, mirror_handlers
from packhouse.workflows.mirroring.schedule import schedule_mirrors
from packhouse.workflows.publishing.moving import copy
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.services import Services
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
from tests.kit.upstream import Basic, Fails, Slow, Upstream


def source_of(*names: str) -> CondaSource:
    source = CondaSource()
    for name in names:
        source.add(name)
    return source


def spec_of(mirror: Mirror, **changed: Any) -> Spec:
    """Return the spec as a client reads it back, with some fields changed."""
    seen = Spec(mirror.name, mirror.source, mirror.mode, mirror.type, mirror.cron, mirror.filters, mirror.options)
    return msgspec.structs.replace(seen, **changed)


async def set_frozen(services: Services, channel: Channel, frozen: bool) -> None:
    if frozen:
        await services.db.write(lambda unit: channels.set_frozen(unit, channel.id, unit.now))
        return

    async def end(unit: Unit) -> None:
        """Nothing else belongs to it here."""

    await services.publisher.unfreeze(channel.id, end)


async def test_a_schedule_starts_runs_and_sets_the_next_time(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(source_of("a").files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, cron="0 3 * * *")
        assert mirror.state == "stopped"
        assert (mirror.next_run_at or 0) > await services.db.now()
        await schedule_mirrors(services)
        assert (await get(services, mirror)).state == "stopped"
        await services.db.write(lambda unit: store.set_next_run(unit, mirror.id, unit.now - 1))
        await schedule_mirrors(services)
        mirror = await wait(services, mirror)
        assert mirror.state == "completed"
        assert (mirror.next_run_at or 0) > await services.db.now()
        assert [actor for _, actor, _ in await events(services, "mirroring")] == [f"mirror:{mirror.id}"] * 2


async def test_a_mirror_without_its_job_is_run_again(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(source_of("a").files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url)
        await run_mirror_now(services, mirror, "ann")
        await services.db.write(lambda unit: unit.execute("DELETE FROM job"))
        assert (await wait(services, mirror)).state == "completed"


async def test_stop_halts_a_run_and_restart_finishes_it(backend: Backend) -> None:
    source = source_of(*(f"pkg{number}" for number in range(40)))
    async with services_on(backend, mirror_concurrency=2) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, mode="active")
        for key in source.bytes:
            up.misbehave(key, Slow(20_000))
        await run_mirror_now(services, mirror, "ann")
        worker = Worker(services.db, mirror_handlers(services), "test")
        task = asyncio.create_task(worker.run())
        while not any(up.hits(key) for key in source.bytes):
            await asyncio.sleep(0.01)
        stopped = await stop_mirror(services, channel, mirror, "ann")
        assert stopped.state == "stopped"
        while (await list_jobs(services.db, kind=KIND))[0].finished_at is None:
            await asyncio.sleep(0.02)
        await worker.stop()
        await task
        mirror = await get(services, mirror)
        assert mirror.state == "stopped"
        assert await services.db.fetch_value("SELECT count(*) FROM entry WHERE content_id IS NULL") > 0
        with pytest.raises(PackhouseError, match="not running"):
            await stop_mirror(services, channel, mirror, "ann")
        for key in source.bytes:
            up.misbehave(key)
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, mirror.progress.count.active) == ("completed", 40)
        assert [kind for kind, _, _ in await events(services, "mirroring")] == [
            "mirroring_started", "mirroring_stopped", "mirroring_started", "mirroring_completed",
        ]  # fmt: skip


async def test_an_edit_while_it_runs_wins(backend: Backend) -> None:
    source = source_of("keep", *(f"drop{number}" for number in range(5)))
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url)
        up.misbehave("noarch/repodata.json", Slow(5_000))
        await run_mirror_now(services, mirror, "ann")
        waiting = asyncio.create_task(wait(services, mirror))
        while not up.hits("noarch/repodata.json", "GET"):
            await asyncio.sleep(0.01)
        only = spec_of(mirror, filters=mirror.filters.__class__(only_specs=["keep"]))
        await update_mirror(services, channel, mirror, "bob", only, administrator=True)
        up.misbehave("noarch/repodata.json")
        assert (await waiting).state == "completed"
        assert set(await shown(services, channel)) == {"keep-1.0-0.conda"}


async def test_who_asks_for_a_run_while_one_is_under_way_gets_another(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(source_of("a", "b").files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url)
        up.misbehave("noarch/repodata.json", Slow(3_000))
        await run_mirror_now(services, mirror, "ann")
        waiting = asyncio.create_task(wait(services, mirror))
        while not up.hits("noarch/repodata.json", "GET"):
            await asyncio.sleep(0.01)
        running = await run_mirror_now(services, mirror, "bob", accept_shrink=True)
        assert (running.state, running.progress.asked_to_shrink) == ("running", True)
        up.misbehave("noarch/repodata.json")
        mirror = await waiting
        assert (mirror.state, mirror.progress.asked_by) == ("completed", "")
        started = [actor for kind, actor, _ in await events(services, "mirroring") if kind == "mirroring_started"]
        assert started == ["ann", "bob"]


async def test_delete_keeps_fetched_files_unless_asked(backend: Backend) -> None:
    for purge in (False, True):
        source = source_of("a", "b")
        async with services_on(backend) as services, Upstream(source.files()) as up:
            channel = await make_test_channel(services, f"purge-{purge}".lower())
            mirror = await add_mirror(services, channel, up.url, mode="active")
            await run_and_wait(services, mirror)
            source.add("unfetched")
            up.files = source.files()
            passive = spec_of(mirror, mode="passive")
            await update_mirror(services, channel, mirror, "ann", passive, administrator=True, run_now=True)
            await wait(services, mirror)
            assert len(await shown(services, channel)) == 3
            await delete_mirror(services, channel, mirror, "ann", files=purge)
            left = set() if purge else {"a-1.0-0.conda", "b-1.0-0.conda"}
            assert set(await shown(services, channel)) == left
            assert await store.of_channel(services.db, channel.id) == []
            assert (await get(services, mirror)).state == "deleted"
            with pytest.raises(PackhouseError):
                await run_mirror_now(services, mirror, "ann")


async def test_deleting_goes_on_after_a_crash(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(source_of("a", "b").files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        await services.db.write(lambda unit: store.mark_deleted(unit, mirror.id, mirror.progress))
        await schedule_mirrors(services)
        assert await shown(services, channel) == {}
        assert (await get(services, mirror)).state == "deleted"


async def test_deleting_a_large_mirror_goes_on_in_rounds(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "BATCH", 2)
    monkeypatch.setattr(clearing, "ROUND_SECONDS", 1e-9)
    async with services_on(backend) as services, Upstream(source_of("a", "b", "c", "d", "e").files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        await delete_mirror(services, channel, mirror, "ann")
        numbers = [len(await shown(services, channel))]
        for _ in range(3):
            assert (await get(services, mirror)).state == "deleting"
            await schedule_mirrors(services)
            numbers.append(len(await shown(services, channel)))
        assert (numbers, (await get(services, mirror)).state) == ([3, 1, 0, 0], "deleted")


async def fetched(services: Services, channel: Channel, name: str) -> bool:
    """Ask for a file of a channel; say whether its bytes are held then."""
    found = await entries.find(services.db, channel.id, "conda", "noarch", f"{name}-1.0-0.conda")
    assert found is not None, name
    return (await OnDemand(services).fetch(channel, found)).active


@pytest.mark.parametrize("ends", ["mirror", "mirror and files", "channel"])
async def test_copies_outlive_their_mirror_and_are_still_fetched(backend: Backend, ends: str) -> None:
    source = source_of("a", "b", "c")
    source.info = {"base_url": "../files/"}  # where the files are, only the index says
    files = {path.replace("noarch/", "files/") if path in source.bytes else path: data
             for path, data in source.files().items()}  # fmt: skip
    async with services_on(backend) as services, Upstream(files, require=Basic("me", "hush")) as up:
        channel, pinned, other = [await make_test_channel(services, path) for path in ("ours", "pinned", "other")]
        secret = Credential(username="me", password="hush")
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, credential=secret))
        for target in (pinned, other):
            await copy(services, channel, target, "ann", [Item("a"), Item("b")])
        assert await fetched(services, channel, "a") and await fetched(services, other, "a")
        await set_frozen(services, pinned, True)
        if ends == "channel":
            await delete_channel(services, channel, "ann")
            await clear_deleted(services)
        else:
            await delete_mirror(services, channel, mirror, "ann", files=ends == "mirror and files")
        await schedule_mirrors(services)
        gone = await get(services, mirror)
        assert (gone.state, gone.credential) == ("deleted", "")
        assert await store.indexes(services.db, mirror.id) == {}
        assert [set(await shown(services, one)) for one in (pinned, other)] == [{"a-1.0-0.conda", "b-1.0-0.conda"}] * 2
        await services.db.write(origins.forget_unused)
        third = await make_test_channel(services, "third")
        await copy(services, other, third, "ann", [Item("b")])
        for one, name in ((pinned, "a"), (pinned, "b"), (other, "b"), (third, "b")):
            assert await fetched(services, one, name)
        await services.db.write(origins.forget_unused)
        assert await services.db.fetch_value("SELECT count(*) FROM origin") == 0, "nobody needs it any more"


async def test_another_source_is_not_asked_for_what_came_from_the_one_before(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "ORIGINS", 2)
    old, new = source_of("a", "b", "c", "d", "e"), source_of("d", "e", "f")
    async with services_on(backend) as services, Upstream(old.files()) as up, Upstream(new.files()) as other:
        channel, copies = await make_test_channel(services), await make_test_channel(services, "copies")
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        await copy(services, channel, copies, "ann", [Item("a"), Item("d")])
        turned = spec_of(mirror, source=other.url)
        mirror = await update_mirror(services, channel, mirror, "ann", turned, administrator=True)
        assert await fetched(services, channel, "a"), "until the next run it comes from where it was found"
        mirror = await run_and_wait(services, mirror, accept_shrink=True)
        assert set(await shown(services, channel)) == {f"{name}-1.0-0.conda" for name in "def"}
        await up.__aexit__()
        for name in "def":
            assert await fetched(services, channel, name), "after the run only the new source is asked"
        with pytest.raises(PackhouseError, match="upstream"):
            await fetched(services, copies, "d")
        await copy(services, channel, copies, "ann", [Item("f")])
        assert await fetched(services, copies, "f")
        assert (up.hits("noarch/a-1.0-0.conda"), other.hits("noarch/a-1.0-0.conda")) == (1, 0)


async def test_nothing_is_left_of_the_downloads_of_a_deleted_mirror(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(source_of("a").files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        await delete_mirror(services, channel, mirror, "ann")
        other = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active", name="two"))
        folder = services.settings.data_dir / "spool" / "mirrors"
        assert {path.stem for path in folder.iterdir()} <= {other.uuid}


async def test_a_frozen_channel_takes_additions_and_defers_the_rest(backend: Backend) -> None:
    source = source_of("gone", "patched", "a", "b", "c")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        pinned = await shown(services, channel)
        await set_frozen(services, channel, True)
        source.drop("noarch/gone-1.0-0.conda")
        source.add("new")
        source.records["noarch"]["patched-1.0-0.conda"]["depends"] = ["x"]
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, mirror.progress.count.deferred) == ("completed", 2)
        assert await shown(services, channel) == pinned
        assert await services.db.fetch_value("SELECT count(*) FROM entry WHERE name = 'gone'") == 1
        await set_frozen(services, channel, False)
        assert {name.split("-")[0] for name in await shown(services, channel)} == {
            "gone", "patched", "a", "b", "c", "new",
        }  # fmt: skip
        mirror = await run_and_wait(services, mirror)  # the upstream has not changed since
        now = await shown(services, channel)
        assert {name.split("-")[0] for name in now} == {"patched", "a", "b", "c", "new"}
        assert now["patched-1.0-0.conda"]["depends"] == ["x"]


async def test_a_failing_upstream_leaves_the_last_good_index(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(source_of("a", "b").files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        good = await shown(services, channel)
        for content in (b"", b"{", b"[1]", b'{"packages.conda": {"a-1.0-0.conda": 1', b"\xff\xfe"):
            up.files["noarch/repodata.json"] = content
            mirror = await run_and_wait(services, mirror)
            assert mirror.state == "failed"
            assert "cannot be read" in mirror.progress.last_exception
            assert await shown(services, channel) == good
        up.misbehave("noarch/repodata.json", Fails(403))
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, await shown(services, channel)) == ("failed", good)
        assert (await events(services, "mirroring_failed"))[-1][2]["reason"] == mirror.progress.last_exception


async def test_an_empty_index_is_an_empty_subdir_unless_it_was_full(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream({"noarch/repodata.json": b""}) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert (mirror.state, await shown(services, channel)) == ("completed", {})


async def test_a_failed_run_is_one_line_in_the_log_without_secrets(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    async with services_on(backend) as services, Upstream() as up:
        channel = await make_test_channel(services)
        up.misbehave("t/tok-123/noarch/repodata.json", Fails(403))
        source = up.url.replace("//", "//ann:s3cret@") + "/t/tok-123"
        mirror = await add_mirror(services, channel, source, filters={"subdirs": ["noarch"]})
        mirror = await run_and_wait(services, mirror)
        lines = [vars(one)["values"] for one in caplog.records if one.message == "mirror run failed"]
        reason = mirror.progress.last_exception
        assert lines == [{"mirror": "upstream", "channel": "ours", "reason": reason}]
        assert "answered 403" in reason and "/t/***/noarch" in reason
        assert not any(secret in reason + caplog.text for secret in ("s3cret", "tok-123"))


async def test_records_no_index_can_carry_are_reported_and_the_others_taken(backend: Backend) -> None:
    source = source_of("good")
    bad = source.records["noarch"]
    bad["nameless-1.0-0.conda"] = {"version": "1.0", "build": "0", "build_number": 0}
    bad["liar-1.0-0.conda"] = dict(bad["good-1.0-0.conda"])
    bad["huge-1.0-0.conda"] = dict(bad["good-1.0-0.conda"], name="huge", size=2**70)
    bad["../../etc/passwd-1.0-0.conda"] = dict(bad["good-1.0-0.conda"], name="../../etc/passwd")
    bad["list-1.0-0.conda"] = []  # type: ignore[assignment]  # the point of the test
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert mirror.state == "completed", mirror.progress
        assert set(await shown(services, channel)) == {"good-1.0-0.conda"}
        assert mirror.progress.count.failed == 5
        assert {failure.ckey for failure in mirror.progress.failures} == {
            f"noarch/{name}" for name in bad if not name.startswith("good")
        }


@pytest.mark.parametrize("filters", [{}, {"exclude_specs": ["other"]}], ids=["plain", "filtered"])
async def test_what_an_index_holds_that_is_no_record_costs_nothing_else(
    backend: Backend, filters: dict[str, Any]
) -> None:
    source = source_of("good", "kept")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, filters=filters))
        source.add("new")
        source.records["noarch"]["kept-1.0-0.conda"] = 5  # type: ignore[assignment]  # the point of the test
        source.records["noarch"]["\ud800-1.0-0.conda"] = {}
        text = source.files()["noarch/repodata.json"]
        up.files["noarch/repodata.json"] = text.replace(b'"removed": []', b'"removed": [5]')
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "completed", mirror.progress
        assert set(await shown(services, channel)) == {f"{name}-1.0-0.conda" for name in ("good", "kept", "new")}
        named = {failure.ckey for failure in mirror.progress.failures}
        assert named == {"noarch/kept-1.0-0.conda", "noarch/\ufffd-1.0-0.conda", "noarch/removed"}
        assert mirror.progress.count.failed == 3 and mirror.progress.count.removed == 0


async def test_a_shard_that_cannot_be_read_costs_only_its_package(backend: Backend) -> None:
    source = source_of("a", "b")
    async with services_on(backend) as services, Upstream(source.files(forms=["shards"])) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        good = source.files(forms=["shards"])
        index = msgspec.msgpack.decode(zstd.decompress(good["noarch/repodata_shards.msgpack.zst"]))
        index["shards"]["b"] = hashlib.sha256(b"no shard").digest()
        up.files[f"noarch/shards/{index['shards']['b'].hex()}.msgpack.zst"] = b"no shard"
        up.files["noarch/repodata_shards.msgpack.zst"] = zstd.compress(msgspec.msgpack.encode(index))
        for _ in range(2):
            mirror = await run_and_wait(services, mirror)
            assert (mirror.state, mirror.progress.count.removed) == ("completed", 0)
            assert set(await shown(services, channel)) == {"a-1.0-0.conda", "b-1.0-0.conda"}
        up.files = good
        assert (await run_and_wait(services, mirror)).progress.count.failed == 0


async def test_an_active_mirror_counts_files_that_fail_and_takes_the_others(backend: Backend) -> None:
    source = source_of("good", "lost", "broken")
    source.records["noarch"]["broken-1.0-0.conda"]["sha256"] = "0" * 64
    async with services_on(backend) as services, Upstream(source.files()) as up:
        del up.files["noarch/lost-1.0-0.conda"]
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        count = mirror.progress.count
        assert (mirror.state, count.active, count.passive, count.failed) == ("completed", 1, 2, 2)
        up.files = source.files()
        count = (await run_and_wait(services, mirror)).progress.count
        assert (count.active, count.passive, count.failed) == (2, 1, 1)


async def test_an_administrator_decides_conflicts(backend: Backend) -> None:
    source = source_of("a", "b", "c", "d", "e")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        source.add("a", depends=["other"])
        source.add("b", depends=["other"])
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert mirror.progress.count.conflicts == 2
        await set_frozen(services, channel, True)
        with pytest.raises(PackhouseError, match="frozen"):
            await decide_conflict(services, channel, mirror, "root", "noarch", "b-1.0-0.conda", "remove")
        assert [one.decision for one in await store.conflicts(services.db, mirror.id)] == [None, None]
        assert await events(services, "mirror_conflict_decided") == []
        await set_frozen(services, channel, False)
        await decide_conflict(services, channel, mirror, "root", "noarch", "a-1.0-0.conda", "keep")
        await decide_conflict(services, channel, mirror, "root", "noarch", "b-1.0-0.conda", "remove")
        mirror = await run_and_wait(services, mirror)
        assert mirror.progress.count.conflicts == 0
        now = await shown(services, channel)
        assert now["a-1.0-0.conda"]["depends"] == []
        assert "b-1.0-0.conda" not in now
        source.add("a", depends=["yet", "another"])
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert mirror.progress.count.conflicts == 1, "a decision holds for the bytes it was made about"


async def test_a_decision_holds_although_the_upstream_claims_no_sha256(backend: Backend) -> None:
    source = source_of("a", "b", "c")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        source.add("a", depends=["other"], sha256=None)
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert mirror.progress.count.conflicts == 1
        await decide_conflict(services, channel, mirror, "root", "noarch", "a-1.0-0.conda", "keep")
        source.add("new")
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert (mirror.progress.count.added, mirror.progress.count.conflicts) == (1, 0)


async def test_what_was_published_with_other_bytes_before_never_comes_back_changed(backend: Backend) -> None:
    source = source_of("a", "b", "c")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        source.drop("noarch/a-1.0-0.conda")
        up.files = source.files()
        await run_and_wait(services, mirror)
        source.add("a", depends=["changed"])
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert "a-1.0-0.conda" not in await shown(services, channel)
        assert mirror.progress.count.conflicts == 1
