"""The disk is full, the database is gone: clients are told so cleanly, nothing is spoilt, work goes on by itself."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from packhouse.core.db.migrating import migrate
from tests.conftest import Backend
from tests.crash.test_server_kill import beside, check
from tests.integration.core.test_db_outage import Server as PostgresServer
from tests.kit import services
from tests.kit.inspection import findings
from tests.kit.server import Site, site_on
from tests.kit.traffic import TIMEOUT, Traffic

DISK_BYTES = 24 * 2**20
#: how long a test waits for recovery, in seconds
PATIENCE = 120.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MB, where the machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a disk that can be filled needs the right to mount one (run as root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@asynccontextmanager
async def session_of(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=site.headers, timeout=TIMEOUT) as session:
        yield session


def fill(folder: Path, leave: int) -> Path:
    """Take up the room of a disk but for `leave` bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file, suppress(OSError):
        while (free := os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - leave) > 0:
            file.write(bytes(min(free, 65536)))
            file.flush()
    return ballast


async def back_again(site: Site, traffic: Traffic, name: str) -> None:
    """Wait until an upload succeeds."""
    begun = time.monotonic()
    async with session_of(site) as session:
        while not await traffic.upload(session, name):
            assert time.monotonic() - begun < PATIENCE, traffic.odd[-3:]
            await asyncio.sleep(0.1)
    traffic.uploaded.add(name)


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.full)])
async def test_a_full_disk(small_disk: Path, times: int) -> None:
    dice = random.Random(times)
    folder = small_disk / "data"
    env = {"PACKHOUSE_DATA_DIR": str(folder)}
    folder.mkdir()
    backend = Backend("sqlite+folder", f"sqlite:///{folder}/packhouse.db", f"file://{folder}/blobs", env, folder)
    with site_on(backend) as site:
        for channel in ("lab", "shelf"):
            site.call("POST", "/api/channels", {"name": channel, "privacy": "public"})
        traffic = Traffic(site, dice)
        await back_again(site, traffic, "first")
        async with beside(backend) as beside_it:
            for turn in range(times):
                ballast = fill(small_disk, dice.randrange(0, 400_000))
                over, seen = asyncio.Event(), len(traffic.odd)
                clients = asyncio.create_task(traffic.run(over))
                with suppress(TimeoutError):
                    async with asyncio.timeout(30):
                        while len(traffic.odd) == seen:  # few packages fill what is left, which takes time all the same
                            await asyncio.sleep(0.05)
                await asyncio.sleep(dice.uniform(0.5, 1.5))
                async with session_of(site) as session:
                    for path in ("lab/noarch/repodata.json", "lab/noarch/first-1.0-0.conda", "lab/channeldata.json"):
                        async with session.get(f"{site.url}/api/repo/{path}") as answer:
                            assert answer.status in (200, 503, 507), (path, await answer.text())
                over.set()
                await clients
                assert {odd[:3] for odd in traffic.odd} <= {"507"}, [one for one in traffic.odd if one[:3] != "507"][:3]
                ballast.unlink()
                await back_again(site, traffic, f"after{turn}")
                assert await findings(beside_it) == []
            assert traffic.odd, "the disk was never full"
            traffic.odd.clear()
            await check(site, traffic, beside_it)
            assert await findings(beside_it, deep=True) == []


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    with services.postgres() as cluster:
        server = PostgresServer(cluster)
        yield server
        server.end()


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.full)])
async def test_a_database_that_goes_away(postgres_server: PostgresServer, tmp_path: Path, times: int) -> None:
    dice = random.Random(times)
    url = postgres_server.url
    migrate(url)
    env = {"PACKHOUSE_DATA_DIR": str(tmp_path / "data"), "PACKHOUSE_DATABASE_URL": url}
    (tmp_path / "data" / "blobs").mkdir(parents=True)  # as with the schema, a first start made it
    backend = Backend("postgres+folder", url, f"file://{tmp_path}/data/blobs", env, tmp_path / "data")
    with site_on(backend) as site:
        for channel in ("lab", "shelf"):
            site.call("POST", "/api/channels", {"name": channel, "privacy": "public"})
        traffic = Traffic(site, dice)
        for turn in range(times):
            over = asyncio.Event()
            clients = asyncio.create_task(traffic.run(over))
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            await asyncio.to_thread(postgres_server.stop)
            await asyncio.sleep(2.5)
            async with session_of(site) as session:
                for path in ("lab/noarch/repodata.json", "lab/channeldata.json", "nowhere/noarch/repodata.json"):
                    async with session.get(f"{site.url}/api/repo/{path}") as answer:
                        assert answer.status == 503 and answer.headers["Retry-After"], await answer.text()
            over.set()
            await clients
            assert traffic.odd == []
            postgres_server.start()
            await back_again(site, traffic, f"after{turn}")
        async with beside(backend) as beside_it:
            await check(site, traffic, beside_it)
            assert await findings(beside_it, deep=True) == []
