"""Which logins a provider is asked about: the live ones, read from an index of them; of others nothing is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from packhouse.catalog.identities import federated
from packhouse.catalog.identities.store import ensure
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins import logins
from packhouse.core.clock import DAY, SECOND
from packhouse.core.db import Database, Unit, open_database
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.keys import SEALER


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


async def test_only_who_is_signed_in_is_asked_about_and_what_has_expired_is_let_go(db: Database) -> None:
    ann = await staffing.create_user(db, "ann", "correct horse", "author", "root")
    keys = await load_keys(db, SEALER)

    async def sign_in(unit: Unit) -> int:
        provider = (await ensure(unit, name="corp", kind="oidc")).id
        voucher = logins.Voucher(provider, "a", None, b"x")
        for client, lifetime in (("open", DAY), ("expired", -SECOND), ("ended", DAY), ("just asked", DAY)):
            login, _ = await logins.begin(
                unit, keys, ann.id, "browser", client=client, lifetime=lifetime, voucher=voucher
            )
            if client == "ended":
                await logins.end(unit, login.id)
        await unit.execute("UPDATE login SET checked_at = 0 WHERE client <> 'just asked'")
        return provider

    provider = await db.write(sign_in)
    due = await federated.due(db, provider, await db.now(), 300 * SECOND)
    names = {row[0]: row[1] for row in await db.fetch_all("SELECT uuid, client FROM login")}
    assert [names[one.uuid] for one in due] == ["open"]

    assert await db.write(federated.let_go) == 1
    kept = await db.fetch_all("SELECT client FROM login WHERE upstream IS NOT NULL")
    assert {row[0] for row in kept} == {"open", "just asked"}
