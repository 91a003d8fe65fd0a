"""kill -9 while policies are prepared or settled, or names judged again: whoever comes next ends it, nothing is amiss.

By default a few seeded kills; `pytest -m full` kills fifty times.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.hiding import SHOWN, judged
from packhouse.catalog.policies import store as policies
from packhouse.catalog.schema import channel as channel_table
from packhouse.catalog.schema import entry
from packhouse.core.db import Unit
from packhouse.security.policies.checking import check
from packhouse.security.policies.policy import Rules, digest, edited, encode
from packhouse.workflows.judging import duty
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.feeding import osv
from tests.kit.inspection import findings, seal_all
from tests.kit.judging import advise
from tests.kit.mirroring import CondaSource, add_mirror, make_test_channel, run_and_wait, services_on, shown
from tests.kit.upstream import Upstream

ROOT = Path(__file__).parents[2]
NAMES, VERSIONS = 400, ("1.0", "1.5", "2.0", "2.5")
_SHOWN = (
    select(entry.c.filename)
    .select_from(judged(entry.join(channel_table, channel_table.c.id == entry.c.channel_id)))
    .where(SHOWN)
)
_PENDING = """SELECT (SELECT count(*) FROM channel WHERE next_ruleset_id IS NOT NULL),
 (SELECT count(*) FROM channel WHERE settle_from IS NOT NULL), (SELECT count(*) FROM unjudged),
 (SELECT count(*) FROM dirty)"""
PHASES = ("preparing", "settling", "rejudging", "publishing")

Shows = Callable[[int, str, bool], bool]  # number of the package, version, whether the feed speaks of odd ones
#: fields of a policy, and which files it lets be seen
POLICIES: list[tuple[dict[str, Any], Shows]] = [
    ({"cve_score": 7}, lambda number, version, odd: version >= "2" or number % 2 != odd),
    ({"exclude_package_name": ["pkg1*"]}, lambda number, _version, _odd: not str(number).startswith("1")),
    ({"latest_only": True}, lambda _number, version, _odd: version == VERSIONS[-1]),
    ({}, lambda *_: True),
]


async def start(backend: Backend) -> asyncio.subprocess.Process:
    env = {**os.environ, **backend.env, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kit.judging_worker", cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def filled(services: Services) -> Channel:
    """Return a channel with some thousand files that nobody has fetched."""
    source = CondaSource()
    for number in range(NAMES):
        for version in VERSIONS:
            source.add(f"pkg{number}", version, real=False, depends=["python >=3.8"])
    channel = await make_test_channel(services)
    async with Upstream({name: data for name, data in source.files().items() if name.endswith("repodata.json")}) as up:
        mirror = await add_mirror(services, channel, up.url, mode="passive")
        assert (await run_and_wait(services, mirror)).state == "completed"
    return channel


async def govern(services: Services, channel: Channel, fields: dict[str, Any]) -> None:
    """Let the channel have a policy; nobody has written what it says yet."""
    rules = check(edited(Rules(), fields))

    async def work(unit: Unit) -> None:
        number = await policies.keep_rules(unit, digest(rules), encode(rules).decode()) if fields else 0
        await policies.assign(unit, channel.id, None, number)

    await services.db.write(work)


async def under_way(services: Services) -> set[str]:
    """Return the phases there is something to do in."""
    row = await services.db.fetch_one(_PENDING)
    assert row is not None
    return {name for name, count in zip(PHASES, row, strict=True) if count}


async def reaches(services: Services, phase: str) -> None:
    """Wait until it is under way, or everything has ended."""
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            while phase not in await under_way(services):
                await asyncio.sleep(0.002)


async def ended(services: Services) -> None:
    """Let another worker do what is left."""
    async with asyncio.timeout(120):
        while await under_way(services):
            await duty.judge(services)
            await services.publisher.publish_waiting()


async def _say(services: Services, folder: Path, odd: bool) -> None:
    """Let a feed speak of every second package."""
    await advise(services, folder, *(osv(number, f"pkg{number}") for number in range(odd, NAMES, 2)))


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.full)])
async def test_a_judgement_is_ended_whenever_its_worker_is_killed(backend: Backend, tmp_path: Path, kills: int) -> None:
    rng, caught = random.Random(kills), Counter[str]()
    async with services_on(backend) as services:
        channel = await filled(services)
        odd, (fields, shows) = False, POLICIES[-1]
        await _say(services, tmp_path, odd)
        for kill in range(kills):
            victim = await start(backend)
            if kill % 2 == 0 or not fields:
                fields, shows = POLICIES[rng.choice([n for n, one in enumerate(POLICIES) if one[0] != fields])]
                await govern(services, channel, fields)
            if kill % 2 or rng.random() < 0.3:
                odd = not odd
                await _say(services, tmp_path, odd)
            await reaches(services, PHASES[kill % len(PHASES)])
            await asyncio.sleep(rng.uniform(0, 0.2))
            victim.kill()
            await victim.wait()
            caught.update(await under_way(services))
            await ended(services)
            wanted = {
                f"pkg{number}-{version}-0.conda"
                for number in range(NAMES)
                for version in VERSIONS
                if shows(number, version, odd)
            }
            assert {row[0] for row in await services.db.fetch_all(_SHOWN)} == wanted, (kill, fields)
            assert set(await shown(services, channel)) == wanted, (kill, fields)
            await seal_all(services)
            assert await findings(services) == []
    assert len(caught) > 1, "some were killed at work"
