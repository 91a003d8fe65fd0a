"""kill -9 while three people and a stranger download: nobody is said to have downloaded more than they did."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from packhouse.catalog.downloads import names
from packhouse.catalog.downloads.items import Wanted
from packhouse.catalog.downloads.store import open_items
from packhouse.catalog.packages import downloads
from packhouse.core.db import open_database
from packhouse.workflows.delivering.counting import SECONDS
from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.server import PASSWORD, Site, site_on

FILE = "/api/repo/pub/noarch/one-1.0-0.conda"
PEOPLE = (None, "ann", "bob", "eve")
#: by so much the spooling of each second may be late on a busy machine, in seconds
SLACK = 5.0


class Visitors:
    """People who download one file without pause, each over connections of their own."""

    def __init__(self, site: Site, headers: dict[str | None, dict[str, str]]) -> None:
        self._site, self._headers = site, headers
        self.asked: Counter[str | None] = Counter()
        self.answered: list[tuple[float, str | None]] = []  # when, who

    async def run(self, over: asyncio.Event) -> None:
        """Download until `over`."""
        await asyncio.gather(*(self._visit(name, over) for name in self._headers for _ in range(2)))

    async def _visit(self, name: str | None, over: asyncio.Event) -> None:
        async with aiohttp.ClientSession(headers=self._headers[name]) as session:
            while not over.is_set():
                self.asked[name] += 1
                try:
                    async with session.get(self._site.url + FILE) as answer:
                        assert answer.status == 200
                        await answer.read()
                    self.answered.append((time.monotonic(), name))
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.002)

    def outside(self, begin: float, end: float) -> Counter[str | None]:
        """Return how often each had the whole file, leaving out a time (monotonic)."""
        return Counter(name for at, name in self.answered if not begin < at < end)


def strike(site: Site, processes: int) -> None:
    """Kill the only server with all its processes, or one of several, which the first one then starts again."""
    if processes == 1:
        site.kill()
        site.launch()
        return
    servers = [pid for pid in site.children() if b"worker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(servers) >= processes
    os.kill(servers[-1], signal.SIGKILL)


def prepare(site: Site) -> dict[str | None, dict[str, str]]:
    """Make the package and the people; return what each sends."""
    headers: dict[str | None, dict[str, str]] = {None: {}}
    site.call("POST", "/api/channels", {"name": "pub", "privacy": "public"})
    assert site.request("PUT", FILE, make_conda("one", "1.0")).status == 201
    for name in PEOPLE:
        if name is not None:
            site.call("POST", "/api/users", {"username": name, "password": PASSWORD})
            login = site.call("POST", "/api/auth/login", {"username": name, "password": PASSWORD})
            headers[name] = {"Authorization": f"Bearer {login['token']}"}
    return headers


@pytest.mark.parametrize("processes", [1, 3])
async def test_killed_processes_take_a_second_of_downloads_with_them_and_add_none(
    backend: Backend, processes: int
) -> None:
    with site_on(backend, processes=processes) as site:
        visitors, over = Visitors(site, prepare(site)), asyncio.Event()
        visits = asyncio.create_task(visitors.run(over))
        await asyncio.sleep(SECONDS * 8.5)
        killed_at = time.monotonic()
        await asyncio.to_thread(strike, site, processes)
        await asyncio.to_thread(site.until_ready)
        again = len(visitors.answered)
        await asyncio.sleep(SECONDS)
        over.set()
        await visits
        assert len(visitors.answered) > again > 0
    db = open_database(backend.database_url)
    content = await db.fetch_value("SELECT id FROM content")
    told = Counter({one.username: one.count for one in await downloads.who(db, contents=[content])})
    total = await db.fetch_value("SELECT count FROM download")
    single = Counter([one.account_id async for batch in open_items(db).read(Wanted(0, 2**52)) for one in batch])
    people = await names.people(db, set(single))
    await db.close()
    assert {people.get(number): count for number, count in single.items()} == told, "each count has its row"
    assert told.total() == total
    assert told <= visitors.asked
    sure = visitors.outside(killed_at - SECONDS - SLACK, killed_at + SLACK)
    assert told >= sure and set(sure) == set(PEOPLE)
