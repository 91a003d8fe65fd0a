"""What people, schedules and mirrors ask of the same channel at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.mirroring import schedule
from packhouse.workflows.mirroring.editing import delete_mirror, run_mirror_now
from packhouse.workflows.mirroring.schedule import schedule_mirrors
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
