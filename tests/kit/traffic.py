"""Clients that upload, copy and delete over HTTP while servers die under them, and remember what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from packhouse.formats.archives.zstandard import unzstd
from tests.kit.condapkg import make_conda
from tests.kit.server import Site

TIMEOUT = aiohttp.ClientTimeout(total=60)


def filename(name: str) -> str:
    return f"{name}-1.0-0.conda"


@dataclass
class Traffic:
    """What clients did to the channels `lab` and `shelf` of a site, and what they were told."""

    site: Site
    dice: random.Random
    uploaded: set[str] = field(default_factory=set)  #: acknowledged, and left alone since
    copied: set[str] = field(default_factory=set)  #: acknowledged copies in `shelf`
    deleted: set[str] = field(default_factory=set)  #: acknowledged deletions in `lab`
    odd: list[str] = field(default_factory=list)  #: answers no client should see
    _number: int = 0

    async def run(self, over: asyncio.Event, clients: int = 4) -> None:
        """Let clients work until `over`; what breaks off is nobody's business but the server's."""
        async with aiohttp.ClientSession(headers=self.site.headers, timeout=TIMEOUT) as session:
            session._retry_connection = False  # or a request that was done when its server died is sent a second time
            await asyncio.gather(*(self._client(session, over) for _ in range(clients)))

    async def _client(self, session: aiohttp.ClientSession, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                await self._once(session)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                await asyncio.sleep(0.02)

    async def _once(self, session: aiohttp.ClientSession) -> None:
        self._number += 1
        match self.dice.randrange(5):
            case 0:
                name = f"gone{self._number}"
                if await self.upload(session, name) and await self._bulk(session, "delete", name):
                    self.deleted.add(name)
            case 1 if self.uploaded:
                name = self.dice.choice(sorted(self.uploaded))
                if await self._bulk(session, "copy", name, target_channel="shelf"):
                    self.copied.add(name)
            case _:
                name = f"kept{self._number}"
                if await self.upload(session, name):
                    self.uploaded.add(name)

    async def upload(self, session: aiohttp.ClientSession, name: str) -> bool:
        """Put a package of a few kB; True: acknowledged."""
        body = make_conda(name, "1.0", files={"data": random.Random(name).randbytes(3000)})
        url = f"{self.site.url}/api/repo/lab/noarch/{filename(name)}"
        async with session.put(url, data=body) as answer:
            return self._taken(answer.status, await answer.text())

    async def _bulk(self, session: aiohttp.ClientSession, action: str, name: str, **more: str) -> bool:
        body = {"action": action, "items": [{"name": name}], **more}
        async with session.put(f"{self.site.url}/api/channels/lab/artifacts/bulk", json=body) as answer:
            return self._taken(answer.status, await answer.text())

    def _taken(self, status: int, text: str) -> bool:
        if status not in (200, 201, 202, 503):
            self.odd.append(f"{status} {text}")
        return status < 300


async def shown(site: Site, channel: str) -> dict[str, Any]:
    """Return the records that every encoding of a channel's noarch index shows alike."""
    async with aiohttp.ClientSession(headers=site.headers, timeout=TIMEOUT) as session:
        folder = f"{site.url}/api/repo/{channel}/noarch"

        async def get(file: str) -> bytes:
            async with session.get(f"{folder}/{file}") as answer:
                assert answer.status == 200, (file, answer.status, await answer.text())
                return await answer.read()

        plain = json.loads(await get("repodata.json"))["packages.conda"]
        packed = json.loads(unzstd(await get("repodata.json.zst"), 1 << 30))["packages.conda"]
        index = msgspec.msgpack.decode(unzstd(await get("repodata_shards.msgpack.zst"), 1 << 30))
        shards: dict[str, Any] = {}
        for sha256 in index["shards"].values():
            shard = msgspec.msgpack.decode(unzstd(await get(f"shards/{sha256.hex()}.msgpack.zst"), 1 << 30))
            shards |= shard["packages.conda"]
        assert plain == packed and plain.keys() == shards.keys()
        assert all(shards[file]["sha256"].hex() == record["sha256"] for file, record in plain.items())
        return dict(plain)
