"""kill -9 in the middle of mirror runs: the run goes on, ends as an undisturbed one does, and fetches nothing twice.

By default a few seeded kills; `pytest -m full` kills fifty times.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest

from packhouse.workflows.maintaining.verify import verify
from packhouse.workflows.mirroring.editing import run_mirror_now
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.mirroring import CondaSource, add_mirror, events, get, make_test_channel, services_on, shown, wait
from tests.kit.upstream import Slow, Upstream

ROOT = Path(__file__).parents[2]
CONCURRENCY = 4


async def start(backend: Backend) -> asyncio.subprocess.Process:
    env = {**os.environ, **backend.env, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kit.mirror_worker", cwd=ROOT, env=env, stderr=asyncio.subprocess.DEVNULL
    )


async def busy(services: Services, up: Upstream, seen: int) -> None:
    """Wait until the worker has begun to ask the upstream for something new, or there is nothing left to do."""
    async with asyncio.timeout(120):
        while len(up.requests) <= seen:
            row = await services.db.fetch_one("SELECT state FROM mirror")
            if row is not None and row[0] not in ("pending", "running"):
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.full)])
async def test_a_killed_run_goes_on_and_fetches_nothing_twice(backend: Backend, kills: int) -> None:
    rng = random.Random(kills)
    source = CondaSource()
    keys = [source.add(f"pkg{number}", files={"data": rng.randbytes(3000)}) for number in range(30 * kills)]
    async with services_on(backend) as services, Upstream(source.files()) as up:
        for key in keys:
            up.misbehave(key, Slow(50_000))
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, mode="active")
        await run_mirror_now(services, mirror, "ann")
        killed = 0
        while killed < kills and (await get(services, mirror)).state in ("pending", "running"):
            victim = await start(backend)
            await busy(services, up, len(up.requests))
            await asyncio.sleep(rng.uniform(0, 0.8))
            victim.kill()
            await victim.wait()
            killed += 1
        assert killed > 1
        mirror = await wait(services, mirror, 300)
        assert (mirror.state, mirror.progress.count.active) == ("completed", len(keys)), mirror.progress
        asked_again = sum(up.hits(key) for key in keys) - len(keys)
        assert asked_again <= killed * CONCURRENCY, "only what was on the wire when it was killed is asked for again"
        for key in keys:
            assert up.bytes_sent(key) <= len(source.bytes[key]) * (1 + up.hits(key) // 2)
        assert len(await shown(services, channel)) == len(keys)
        await services.publisher.publish(channel.id)
        other = await make_test_channel(services, "undisturbed")
        twin = await add_mirror(services, other, up.url)
        await run_mirror_now(services, twin, "ann")
        await wait(services, twin)
        ours, theirs = await shown(services, channel), await shown(services, other)
        for record in (*ours.values(), *theirs.values()):
            record.pop("indexed_timestamp")
        assert ours == theirs
        started = [data["mirror_id"] for kind, _, data in await events(services, "mirroring_started")]
        assert started.count(mirror.uuid) == 1, "one event for one cause, however many workers it took"
        assert [found async for found in verify(services, deep=True) if not found.information] == []
