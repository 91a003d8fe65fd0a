"""The key of the audit chain is made once, whoever asks first, and never shown."""

from __future__ import annotations

import asyncio

from packhouse.catalog.audit.keys import find_public_key, load_signing_key
from packhouse.core.db import open_database
from tests.conftest import Backend


async def test_two_processes_that_start_have_one_key(backend: Backend) -> None:
    first, second = open_database(backend.database_url), open_database(backend.database_url)
    assert await find_public_key(first) is None
    keys = await asyncio.gather(*(load_signing_key(db) for db in (first, second, first)))
    assert len({key.private_bytes_raw() for key in keys}) == 1
    public = await find_public_key(second)
    assert public is not None
    public.verify(keys[0].sign(b"chain"), b"chain")
    rows = await first.fetch_all("SELECT type, data FROM event")
    assert rows == [("installation_keys_created", '{"keys":["audit-signing"]}')]
    for db in (first, second):
        await db.close()
