"""kill -9 of servers and worker in the middle of uploads, copies and deletions: nothing acknowledged is lost.

By default a few seeded kills; `pytest -m full` kills two hundred times.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from packhouse.app import build_services, close
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import load
from packhouse.workflows.maintaining.sweep import LEASE_SECONDS, Tally, diagnose, sweep
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.inspection import findings
from tests.kit.server import Site, site_on
from tests.kit.traffic import Traffic, filename, shown


@asynccontextmanager
async def beside(backend: Backend) -> AsyncIterator[Services]:
    """The services as `packhouse verify` has them; nothing is too young for this one's sweep."""
    services = build_services(load(backend.env, sweep_grace_seconds=0))
    try:
        yield services
    finally:
        await close(services)


def strike(site: Site, dice: random.Random) -> None:
    """Kill everything, or one of the processes, which the first one then starts again."""
    victims = site.children()
    if dice.random() < 0.5 or not victims:
        site.kill()
    else:
        os.kill(dice.choice(victims), signal.SIGKILL)


async def sweep_in_turn(services: Services) -> None:
    """Sweep as soon as nobody else does: the site's own worker, or one whose lease outlived it."""
    async with asyncio.timeout(LEASE_SECONDS + 30):
        while True:
            try:
                await sweep(services)
                return
            except PackhouseError as fault:
                if fault.code != "conflict":
                    raise
                await asyncio.sleep(1)


async def check(site: Site, traffic: Traffic, services: Services) -> None:
    """Everything acknowledged is there in every encoding and can be fetched; everything deleted is not."""
    await services.publisher.publish_waiting()
    await asyncio.sleep(1)
    lab, shelf = await shown(site, "lab"), await shown(site, "shelf") if traffic.copied else {}
    assert {filename(name) for name in traffic.uploaded} <= lab.keys()
    assert {filename(name) for name in traffic.copied} <= shelf.keys()
    assert not {filename(name) for name in traffic.deleted} & lab.keys()
    async with aiohttp.ClientSession(headers=site.headers) as session:
        for file, record in lab.items():
            async with session.get(f"{site.url}/api/repo/lab/noarch/{file}") as answer:
                assert hashlib.sha256(await answer.read()).hexdigest() == record["sha256"], file


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.full)])
@pytest.mark.parametrize("processes", [1, 3])
async def test_nothing_acknowledged_is_lost(backend: Backend, processes: int, kills: int) -> None:
    dice = random.Random(processes * 1000 + kills)
    with site_on(backend, processes=processes) as site:
        for channel in ("lab", "shelf"):
            site.call("POST", "/api/channels", {"name": channel, "privacy": "public"})
        async with beside(backend) as services:
            traffic = Traffic(site, dice)
            for number in range(kills):
                over = asyncio.Event()
                clients = asyncio.create_task(traffic.run(over))
                await asyncio.sleep(dice.uniform(0.05, 1.0))
                async with asyncio.timeout(90):  # on a slow machine nothing may have been acknowledged yet
                    while len(traffic.uploaded) < number + 2 and site.process.poll() is None:
                        await asyncio.sleep(0.01)
                strike(site, dice)
                over.set()
                await clients
                assert await findings(services) == []
                if site.process.poll() is not None:
                    site.start()
            assert len(traffic.uploaded) > kills and traffic.odd == []
            await asyncio.to_thread(site.recover)
            await check(site, traffic, services)
            assert await findings(services, deep=True) == []
            await sweep_in_turn(services)  # marks what the kills left behind
            await sweep_in_turn(services)  # nobody uploads any more: grace may be nothing
            left = await diagnose(services)
            assert left.marked == left.deleted == left.unknown == Tally()
            assert await findings(services, deep=True) == []
