"""What people, schedules and mirrors ask of the same channel at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.mirrors import holdings, store
from packhouse.catalog.mirrors.mirror import Mirror, Spec
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.mirroring import schedule
from packhouse.workflows.mirroring.editing import delete_mirror, run_mirror_now, stop_mirror, update_mirror
from packhouse.workflows.mirroring.run import KIND
from packhouse.workflows.mirroring.schedule import schedule_mirrors
from packhouse.workflows.running import offer
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
from tests.kit.upstream import Upstream


def one_package() -> CondaSource:
    source = CondaSource()
    source.add("a")
    return source


async def test_only_neighbours_that_share_coordinates_look_again_when_one_removes_something(backend: Backend) -> None:
    source, same, other = one_package(), one_package(), CondaSource()
    other.add("other")
    source.add("b")
    async with (
        services_on(backend) as services,
        Upstream(source.files()) as up,
        Upstream(same.files()) as shares,
        Upstream(other.files()) as alone,
    ):
        channel = await make_test_channel(services)
        mirror, sharing, lonely = [
            await run_and_wait(services, await add_mirror(services, channel, one.url, name=str(number)))
            for number, one in enumerate((up, shares, alone))
        ]
        source.drop("noarch/b-1.0-0.conda")
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert mirror.progress.count.removed == 1
        looked = [(await get(services, one)).needs_full_run for one in (mirror, sharing, lonely)]
        assert looked == [False, True, False]
        await run_and_wait(services, sharing)
        await delete_mirror(services, channel, mirror, "ann")
        assert [(await get(services, one)).needs_full_run for one in (sharing, lonely)] == [True, False]
        await run_and_wait(services, sharing)
        assert set(await shown(services, channel)) == {"a-1.0-0.conda", "other-1.0-0.conda"}
        await delete_mirror(services, channel, await run_and_wait(services, sharing), "ann")
        assert not (await get(services, lonely)).needs_full_run


async def test_two_mirrors_of_one_name_are_not_created_at_once(backend: Backend) -> None:
    async with services_on(backend) as services:
        channel = await make_test_channel(services)
        asked = (add_mirror(services, channel, "https://example.org/main") for _ in range(4))
        made = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in made if isinstance(one, PackhouseError)]
        assert [one.code for one in refused] == ["conflict"] * 3, made
        assert len(await store.of_channel(services.db, channel.id)) == 1


async def test_who_asks_for_a_run_while_a_lost_one_is_given_up_gets_it(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend.name.startswith("sqlite"):
        pytest.skip("SQLite runs one unit at a time")
    async with services_on(backend) as services, Upstream(one_package().files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url)
        await run_mirror_now(services, mirror, "ann")

        async def lose(unit: Unit) -> None:
            now = await store.by_id(unit, mirror.id)
            assert now is not None
            await store.set_state(unit, mirror.id, "running", now.progress)
            await unit.execute("UPDATE job SET state = 'failed', finished_at = :now", now=unit.now)

        await services.db.write(lose)
        asking: list[asyncio.Task[Mirror]] = []

        async def late(unit: Unit, **event: Any) -> int:
            asking.append(asyncio.create_task(run_mirror_now(services, mirror, "bob")))
            await asyncio.wait(asking, timeout=1)
            return await record_event(unit, **event)

        monkeypatch.setattr(schedule, "record_event", late)
        await schedule_mirrors(services)
        await asking[0]
        assert (await wait(services, mirror)).state == "completed"
        assert [actor for _, actor, _ in await events(services, "mirroring_started")] == ["bob"]


async def test_what_a_deleted_mirror_left_in_a_frozen_channel_waits_unlooked_at(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with services_on(backend) as services, Upstream(one_package().files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        await services.db.write(lambda unit: store.mark_deleted(unit, mirror.id, mirror.progress))
        await services.db.write(lambda unit: channels.set_frozen(unit, channel.id, unit.now))
        to_clear, looks = holdings.to_clear, []

        async def look(*args: Any) -> list[Any]:
            looks.append(args)
            return await to_clear(*args)

        monkeypatch.setattr(holdings, "to_clear", look)
        await schedule_mirrors(services)
        assert looks == [], "its million entries are not read every second"
        assert set(await shown(services, channel)) == {"a-1.0-0.conda"}
        await services.db.write(lambda unit: channels.set_frozen(unit, channel.id, None))
        await schedule_mirrors(services)
        assert (await shown(services, channel), (await get(services, mirror)).state) == ({}, "deleted")


ON_POSTGRES = pytest.mark.parametrize("backend", ["postgres+s3"], indirect=True)  # elsewhere units come one by one


@asynccontextmanager
async def beside(services: Services, mirror: Mirror, change: Callable[[Unit], Awaitable[None]]) -> AsyncIterator[None]:
    """Change a mirror in a unit that has its job's row, as those of a run, and ends a while after the block begins."""
    done = asyncio.Event()

    async def work(unit: Unit) -> None:
        await offer(unit, KIND, mirror.uuid)
        await change(unit)
        done.set()
        await asyncio.sleep(0.5)  # by then the others wait for it

    task = asyncio.create_task(services.db.write(work))
    await done.wait()
    yield
    await task


@ON_POSTGRES
async def test_a_run_that_ends_while_somebody_stops_it_has_ended(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(one_package().files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url)
        await services.db.write(lambda unit: store.set_state(unit, mirror.id, "running", mirror.progress))

        async def end(unit: Unit) -> None:
            await store.set_state(unit, mirror.id, "completed", mirror.progress)

        async with beside(services, mirror, end):
            with pytest.raises(PackhouseError, match="it is completed"):
                await stop_mirror(services, channel, mirror, "ann")
        assert (await get(services, mirror)).state == "completed"
        assert "mirroring_stopped" not in {event[0] for event in await events(services)}


@ON_POSTGRES
async def test_an_edit_sees_the_source_that_an_edit_before_it_set(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(one_package().files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert await store.indexes(services.db, mirror.id)
        same = Spec(mirror.name, mirror.source, options=mirror.options)

        async def turn_elsewhere(unit: Unit) -> None:
            elsewhere = msgspec.structs.replace(same, source="https://example.org/main")
            await store.edit(unit, mirror.id, elsewhere, "", None)

        async with beside(services, mirror, turn_elsewhere):
            await update_mirror(services, channel, mirror, "ann", same, administrator=True)
        assert await store.indexes(services.db, mirror.id) == {}, "it may be the index of the other source"


@ON_POSTGRES
async def test_who_deletes_a_mirror_waits_for_the_unit_of_its_run(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(one_package().files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))

        async def go_on(unit: Unit) -> None:
            progress = msgspec.structs.replace(mirror.progress, last_ckey="noarch/last-1.0-0.conda")
            await store.set_state(unit, mirror.id, "running", progress)

        async with beside(services, mirror, go_on):
            await delete_mirror(services, channel, mirror, "ann")
        assert (await get(services, mirror)).progress.last_ckey == "noarch/last-1.0-0.conda"
        assert await shown(services, channel) == {}
