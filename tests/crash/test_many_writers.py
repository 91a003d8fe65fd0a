"""Many clients at three servers at once: one coordinate has one winner, and nothing of 3,200 uploads goes missing.

By default 8 writers of 25 uploads; `pytest -m full` does the full count.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from tests.conftest import Backend
from tests.crash.test_server_kill import beside
from tests.kit.condapkg import make_conda
from tests.kit.inspection import findings
from tests.kit.server import Site, site_on
from tests.kit.traffic import shown

TIMEOUT = aiohttp.ClientTimeout(total=120)


@pytest.fixture
def sites(backend: Backend) -> Iterator[list[Site]]:
    """Three servers of one installation: on PostgreSQL nodes with folders of their own, else processes of one node."""
    with ExitStack() as stack:
        started = []
        for number in range(3):
            folder = backend.data_dir if backend.name.startswith("sqlite") else backend.data_dir / f"node{number}"
            folder.mkdir(exist_ok=True)
            started.append(stack.enter_context(site_on(backend, worker=number == 0, data_dir=str(folder))))
        started[0].call("POST", "/api/channels", {"name": "lab", "privacy": "public"})
        yield started


async def test_one_of_64_rivals_wins(backend: Backend, sites: list[Site]) -> None:
    path = "/api/repo/lab/noarch/prize-1.0-0.conda"
    bodies = [make_conda("prize", "1.0", files={"number": str(number).encode()}) for number in range(64)]
    async with aiohttp.ClientSession(headers=sites[0].headers, timeout=TIMEOUT) as session:

        async def put(number: int) -> int:
            async with session.put(sites[number % 3].url + path, data=bodies[number]) as answer:
                if answer.status == 409:
                    assert json.loads(await answer.text())["code"] == "different_content"
                return answer.status

        statuses = await asyncio.gather(*(put(number) for number in range(64)))
        assert Counter(statuses) == {201: 1, 409: 63}
        winner = bodies[statuses.index(201)]
        for site in sites:
            async with session.get(site.url + path) as answer:
                assert await answer.read() == winner
    await asyncio.sleep(2)  # as long as it may take until every server shows it
    for site in sites:
        [record] = (await shown(site, "lab")).values()
        assert record["size"] == len(winner)
    async with beside(backend) as services:
        assert await findings(services, deep=True) == []


@pytest.mark.parametrize(("writers", "each"), [(8, 25), pytest.param(32, 100, marks=pytest.mark.full)])
async def test_no_upload_goes_missing(backend: Backend, sites: list[Site], writers: int, each: int) -> None:
    async with aiohttp.ClientSession(headers=sites[0].headers, timeout=TIMEOUT) as session:

        async def writer(number: int) -> None:
            for turn in range(each):
                # every second name is shared by all writers, so that they meet in one part of the index
                name = f"own{number}" if turn % 2 else f"shared{turn}"
                file = f"{name}-{number}.{turn}-0.conda"
                body = make_conda(name, f"{number}.{turn}")
                url = f"{sites[(number + turn) % 3].url}/api/repo/lab/noarch/{file}"
                async with session.put(url, data=body) as answer:
                    assert answer.status == 201, await answer.text()

        await asyncio.gather(*(writer(number) for number in range(writers)))
    await asyncio.sleep(2)
    for site in sites:
        assert len(await shown(site, "lab")) == writers * each
    async with beside(backend) as services:
        numbers = [row[0] for row in await services.db.fetch_all("SELECT number FROM revision ORDER BY number")]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) <= writers * each
        assert await findings(services, deep=True) == []
