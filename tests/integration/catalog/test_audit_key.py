"""The key of the audit chain is made once, whoever asks first, and never shown."""

from __future__ import annotations

import asyncio

import pytest

from packhouse.catalog.installation.audit_key import find_public_key, load_signing_key
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.installation.sealed_keys import seal_readable
from packhouse.core.db import open_database
from packhouse.core.errors import PackhouseError
from tests.conftest import Backend
from tests.kit.keys import SEALER


async def test_two_processes_that_start_have_one_key(backend: Backend) -> None:
    first, second = open_database(backend.database_url), open_database(backend.database_url)
    assert await find_public_key(first, SEALER) is None
    keys = await asyncio.gather(*(load_signing_key(db, SEALER) for db in (first, second, first)))
    assert len({key.private_bytes_raw() for key in keys}) == 1
    public = await find_public_key(second, SEALER)
    assert public is not None
    public.verify(keys[0].sign(b"chain"), b"chain")
    rows = await first.fetch_all("SELECT type, data FROM event")
    assert rows == [("installation_keys_created", '{"keys":["audit-signing"]}')]
    for db in (first, second):
        await db.close()


async def test_who_has_a_copy_of_the_database_signs_nothing(backend: Backend) -> None:
    db = open_database(backend.database_url)
    keys = await load_keys(db, SEALER)
    signing = await load_signing_key(db, SEALER)
    rows = [bytes(row[0]) for row in await db.fetch_all("SELECT value FROM secret")]
    assert len(rows) == 2
    for key in (keys.token, signing.private_bytes_raw()):
        assert not [row for row in rows if key in row]

    await db.write(lambda unit: unit.execute("UPDATE secret SET value = :value", value=rows[0]))
    refused = []
    for load in (load_keys, load_signing_key):
        try:
            await load(db, SEALER)
        except PackhouseError as error:
            refused.append(error.code)
    assert refused == ["internal"], "a key that is put in the place of another one does not open"
    await db.close()


async def test_a_key_that_lies_readably_signs_and_checks_nothing_before_a_start_has_sealed_it(backend: Backend) -> None:
    db = open_database(backend.database_url)
    await load_signing_key(db, SEALER)
    own = bytes(range(32))  # of somebody who can write to the database and nothing else
    await db.write(lambda unit: unit.execute("UPDATE secret SET value = :value", value=own))
    for load in (load_signing_key, find_public_key):
        with pytest.raises(PackhouseError) as caught:
            await load(db, SEALER)
        assert caught.value.code == "internal"
    assert await db.write(lambda unit: seal_readable(unit, SEALER)) == 1
    assert (await load_signing_key(db, SEALER)).private_bytes_raw() == own
    await db.close()
