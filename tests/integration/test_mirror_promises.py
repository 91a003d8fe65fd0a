"""What a mirror must not do on its own: lose a subdir, forget to ask, let files wait, fetch at cross purposes."""

from __future__ import annotations

import asyncio
import random

import pytest

from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.mirror import Spec
from packhouse.catalog.packages import entries
from packhouse.core.jobs import Worker
from packhouse.workflows.mirroring import survey
from packhouse.workflows.mirroring.editing import run_mirror_now, stop_mirror, update_mirror
from packhouse.workflows.mirroring.fetching import OnDemand
from packhouse.workflows.mirroring.run import mirror_handlers
from packhouse.workflows.mirroring.schedule import start
from packhouse.workflows.publishing.moving import copy
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.kit.mirroring import CondaSource, add_mirror, make_test_channel, run_and_wait, services_on, shown, wait
from tests.kit.upstream import Slow, Upstream


async def test_an_index_that_goes_is_looked_for_in_its_other_encodings(backend: Backend) -> None:
    source = CondaSource()
    for number in range(6):
        source.add(f"pkg{number}")
    for number in range(4):
        source.add(f"lin{number}", subdir="linux-64")
    async with services_on(backend) as services, Upstream(source.files(forms=["json", "shards"])) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        source.add("pkg9")
        now = source.files(forms=["json", "shards"])
        up.files = {path: data for path, data in now.items() if not path.startswith("linux-64/repodata_shards")}
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, mirror.progress.count.removed) == ("completed", 0)
        assert len(await shown(services, channel, "linux-64")) == 4
        assert len(await shown(services, channel)) == 7


async def test_a_quiet_source_is_searched_for_subdirs_once_a_day(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = CondaSource()
    source.add("pkg")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        monkeypatch.setattr(survey, "LOOK_AROUND", 0)
        await run_and_wait(services, mirror)  # "a day later" it is searched
        monkeypatch.undo()
        before = len(up.requests)
        await run_and_wait(services, mirror)
        assert len(up.requests) - before == 1


async def test_a_yes_to_shrinking_is_for_the_run_it_was_given_to(backend: Backend) -> None:
    source = CondaSource()
    keys = [source.add(f"pkg{number}") for number in range(10)]
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        await run_mirror_now(services, mirror, "bob", accept_shrink=True)
        await stop_mirror(services, channel, mirror, "bob")
        for key in keys[:9]:
            source.drop(key)
        up.files = source.files()
        await services.db.write(lambda unit: start(unit, mirror))  # as its schedule does
        mirror = await wait(services, mirror)
        assert (mirror.state, mirror.progress.asks) == ("failed", "shrink")
        assert len(await shown(services, channel)) == 10


@pytest.mark.parametrize("form", ["json", "shards"])
async def test_narrowing_the_filters_is_no_loss_of_the_upstream(backend: Backend, form: str) -> None:
    source = CondaSource()
    for number in range(10):
        source.add(f"pkg{number}")
    async with services_on(backend) as services, Upstream(source.files(forms=[form])) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        only = Filters(only_specs=["pkg1"])
        spec = Spec(name=mirror.name, type=mirror.type, mode=mirror.mode, source=mirror.source, filters=only)
        mirror = await update_mirror(services, channel, mirror, "bob", spec, administrator=True)
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "completed", mirror.progress.last_exception
        assert set(await shown(services, channel)) == {"pkg1-1.0-0.conda"}


async def test_two_channels_ask_for_the_same_passive_file_at_once(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask", files={"data": b"x" * 100_000})
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel, other = await make_test_channel(services), await make_test_channel(services, "other")
        await run_and_wait(services, await add_mirror(services, channel, up.url))
        await copy(services, channel, other, "bob", [Item("flask")])
        places = []
        for place in (channel, other):
            found = await entries.find(services.db, place.id, "conda", *key.split("/"))
            assert found is not None
            places.append((place, found))
        up.misbehave(key, Slow(100_000))
        ondemand = OnDemand(services)
        fetched = await asyncio.gather(*(ondemand.fetch(*place) for place in places))
        assert [entry.active for entry in fetched] == [True, True]
        assert up.hits(key) <= 2


async def test_small_files_do_not_wait_for_a_large_one_that_is_slow(backend: Backend) -> None:
    source = CondaSource()
    slow = source.add("large", files={"data": random.Random(1).randbytes(100_000)})
    for number in range(3):
        source.add(f"small{number}")
    async with services_on(backend, mirror_concurrency=2) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        await run_mirror_now(services, await add_mirror(services, channel, up.url, mode="active"), "ann")
        up.misbehave(slow, Slow(2_000))  # most of a minute
        task = asyncio.create_task(Worker(services.db, mirror_handlers(services), "test").run())
        held = "SELECT count(*) FROM entry WHERE content_id IS NOT NULL"
        try:
            async with asyncio.timeout(60):
                while await services.db.fetch_value(held) < 3:
                    await asyncio.sleep(0.02)
            assert await services.db.fetch_value(held) == 3, "the large one is still on its way"
        finally:
            task.cancel()
            await asyncio.wait([task])
