"""When each token was last used, and from where: kept here for some seconds, then written for many tokens at once.

A check of a token is remembered for a minute, so that a time is no more exact than that. Nobody waits for it, and a
database that is away for a while costs none of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple

from packhouse.catalog.tokens import store as token_store
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError

#: between two writes, in seconds
SECONDS = 5.0
#: tokens of one transaction
BATCH = 1000


class Use(NamedTuple):
    """The last use of a token that this process knows of."""

    at: int  #: microseconds since the epoch
    address: str


class Uses:
    """What one process has seen of tokens in use."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen: dict[str, Use] = {}

    def saw(self, token_id: str, at: int, address: str) -> None:
        """Remember that a token (uuid) was shown and held."""
        self._seen[token_id] = Use(at, address)

    async def run(self) -> None:
        """Write what was seen, again and again."""
        while True:
            await asyncio.sleep(SECONDS)
            with suppress(PackhouseError):  # the database is away; what was seen is still here
                await self.write()

    async def write(self) -> None:
        """Write what was seen so far. Raises PackhouseError("try_later"); then nothing is lost."""
        while self._seen:
            some = dict(sorted(self._seen.items())[:BATCH])  # in one order, so that no two processes wait in a circle

            async def work(unit: Unit, some: dict[str, Use] = some) -> None:
                await token_store.used(unit, [(token_id, *use) for token_id, use in some.items()])

            await self._db.write(work)
            for token_id, use in some.items():
                if self._seen.get(token_id) == use:
                    del self._seen[token_id]
