"""kill -9 in the middle of runs of a feed: readers see the old or the new, and in the end nothing is left half-way.

By default a few seeded kills; `pytest -m full` kills fifty times.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest

from packhouse.workflows.feeding import managing as feeds
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.feeding import LOW, add_feed, everything, lines, osv, said, settled, take, waiting
from tests.kit.mirroring import services_on

ROOT = Path(__file__).parents[2]
NUMBER = 600
HELD = "SELECT count(*) FROM job WHERE lease_until > :now"


async def start(backend: Backend) -> asyncio.subprocess.Process:
    env = {**os.environ, **backend.env, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kit.feed_worker", cwd=ROOT, env=env, stderr=asyncio.subprocess.DEVNULL
    )


async def at_work(services: Services) -> None:
    """Wait until a worker has the feed."""
    async with asyncio.timeout(120):
        while not await services.db.fetch_value(HELD, now=await services.db.now()):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.full)])
async def test_a_feed_is_whole_whenever_its_worker_is_killed(backend: Backend, tmp_path: Path, kills: int) -> None:
    rng = random.Random(kills)
    path = tmp_path / "feed.jsonl"
    ends = [
        lines(osv(n) for n in range(NUMBER)),
        lines(osv(n, severity=[{"type": "CVSS_V3", "score": LOW}] if n % 2 else []) for n in range(100, NUMBER + 100)),
    ]
    async with services_on(backend) as services:
        await add_feed(services, path.as_uri())
        wanted = []
        for end in (*ends, ends[0]):
            path.write_bytes(end)
            assert (await take(services)).progress.reason == ""
            wanted.append(await everything(services))
        assert wanted[0] == wanted[2] != wanted[1]
        caught = 0
        for kill in range(kills):
            target = (kill + 1) % 2
            await waiting(services)
            path.write_bytes(ends[target])
            await feeds.run_feed_now(services, "ours", "ann")
            victim = await start(backend)
            await at_work(services)
            await asyncio.sleep(rng.uniform(0, 0.5))
            victim.kill()
            await victim.wait()
            assert await said(services) in (wanted[0][0], wanted[1][0])
            caught += (await feeds.get_feed(services.db, "ours")).state == "running"
            feed = await settled(services)
            assert (feed.state, feed.progress.reason) == ("completed", "")
            assert await everything(services) == wanted[target]
            assert len(await waiting(services)) == NUMBER + 100
        assert caught, "at least one was killed at work"
