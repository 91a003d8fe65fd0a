"""The keys that sign our JWTs: one at first, followed by others in time, and no longer counting once retired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.catalog.grants import signing_keys
from packhouse.catalog.grants.signing_keys import NOTICE, SIGNS, jwks, rotate, signer, verifier
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins import logins, sessions
from packhouse.catalog.logins.listing import live_logins
from packhouse.core.clock import DAY
from packhouse.core.db import Database, Unit, open_database
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.admitting.credential import Credential
from packhouse.workflows.signin.administering import retire_keys
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.keys import SEALER, key_for


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    await staffing.create_user(database, "ann", None, "author", "root")
    yield database
    await database.close()


async def kids(db: Database) -> list[str]:
    return [key["kid"] for key in (await jwks(db))["keys"]]


async def grow_older(db: Database, micros: int) -> None:
    """Let time pass for the keys."""

    async def work(unit: Unit) -> None:
        await unit.execute(
            "UPDATE signing_key SET signs_from = signs_from - :by, verifies_until = verifies_until - :by", by=micros
        )

    await db.write(work)


async def refused(authenticator: Authenticator, token: str) -> bool:
    try:
        await authenticator.proof(Credential("session", token))
    except PackhouseError as error:
        assert error.code == "unauthenticated"
        return True
    return False


async def follower(db: Database) -> tuple[Authenticator, ChangeFeed]:
    """Return what another process has."""
    feed = ChangeFeed(db)
    authenticator = Authenticator(db, await load_keys(db, SEALER), lambda: feed.fresh, feed.doubt)

    def listener(change: Change) -> None:
        authenticator.forget(change.kind, change.name)

    feed.listen(listener, authenticator.clear)
    await feed.poll()
    return authenticator, feed


async def test_of_many_first_logins_one_makes_the_key(db: Database) -> None:
    assert (await jwks(db)) == {"keys": []}
    made = await asyncio.gather(*(signer(db, SEALER) for _ in range(4)))
    assert len({key.kid for key in made}) == 1
    (published,) = (await jwks(db))["keys"]
    assert set(published) == {"kty", "use", "alg", "kid", "n", "e"}  # and nothing of the private half
    row = await db.fetch_one("SELECT private, public FROM signing_key")
    assert row is not None and SEALER.open(bytes(row[0]), f"signing key {published['kid']}")
    token, _ = await key_for(db, "ann")
    key = jwt.PyJWKSet.from_dict(await jwks(db))[published["kid"]].key
    assert jwt.decode(token, key, algorithms=["RS256"])["preferred_username"] == "ann"


async def test_a_key_is_followed_by_one_that_is_published_before_it_signs(db: Database) -> None:
    authenticator, _ = await follower(db)
    old, _ = await key_for(db, "ann", "key", 300 * DAY)
    first = sessions.kid_of(old)
    await rotate(db, SEALER)
    assert await kids(db) == [first]  # too early
    await grow_older(db, SIGNS - NOTICE)
    await asyncio.gather(*(rotate(db, SEALER) for _ in range(3)))
    both = await kids(db)
    assert len(both) == 2 and both[0] == first
    assert (await signer(db, SEALER)).kid == first
    await grow_older(db, NOTICE)
    new, _ = await key_for(db, "ann")
    assert sessions.kid_of(new) == both[1] != first
    authenticator.clear()
    assert not await refused(authenticator, old) and not await refused(authenticator, new)
    await grow_older(db, signing_keys.LONGEST + NOTICE)  # all that the first one signed has expired
    assert both[1] in await kids(db) and first not in await kids(db)
    assert await verifier(db, str(first), await db.now()) is None
    authenticator.clear()
    assert await refused(authenticator, old)


async def test_nothing_outlives_the_key_that_signed_it(db: Database) -> None:
    await signer(db, SEALER)
    await grow_older(db, SIGNS + NOTICE + 365 * DAY)
    _, login = await key_for(db, "ann", "key", 90 * DAY)
    assert login.expires_at - login.created_at <= DAY


async def test_logins_that_were_signed_end_with_their_keys(db: Database) -> None:
    ann = int(await db.fetch_value("SELECT id FROM account WHERE username = 'ann'"))
    keys = await load_keys(db, SEALER)

    async def shown() -> list[str]:
        return [one.kind for one in (await live_logins(db, ann, await db.now(), 10, 0))[0]]

    browser = partial(logins.begin, keys=keys, account_id=ann, kind="browser", client="Firefox", lifetime=DAY)
    await db.write(browser)
    for _ in range(2):
        await key_for(db, "ann")
        await key_for(db, "ann", "key", 90 * DAY)
        assert sorted(await shown()) == ["api", "browser", "key"]
        assert await retire_keys(db) == 1
        assert await shown() == ["browser"]


async def test_retired_keys_end_all_they_signed_in_every_process(db: Database) -> None:
    authenticator, feed = await follower(db)
    old, _ = await key_for(db, "ann")
    assert not await refused(authenticator, old)
    retired = await db.write(partial(signing_keys.retire_all, actor="root"))
    assert retired == [sessions.kid_of(old)]
    await feed.poll()
    assert await refused(authenticator, old)
    assert await kids(db) == []
    new, _ = await key_for(db, "ann")
    assert not await refused(authenticator, new)
    types = [row[0] for row in await db.fetch_all("SELECT type FROM event ORDER BY id")]
    assert types.count("signing_key_created") == 2 and types.count("signing_keys_retired") == 1


async def test_the_end_of_its_login_stops_one_key_and_no_other(db: Database) -> None:
    authenticator, feed = await follower(db)
    one, login = await key_for(db, "ann", "key")
    two, _ = await key_for(db, "ann", "key")
    shown = (await authenticator.proof(Credential("session", one))).principal
    assert (shown.username, shown.login_id) == ("ann", login.uuid)
    assert not await refused(authenticator, two)
    await db.write(partial(logins.end, login_id=login.id))
    await feed.poll()
    assert await refused(authenticator, one) and not await refused(authenticator, two)


async def test_a_key_of_another_installation_is_refused(db: Database) -> None:
    token, _ = await key_for(db, "ann")
    claims = jwt.decode(token, options={"verify_signature": False})
    await db.write(partial(signing_keys.retire_all, actor="root"))
    mine, _ = await key_for(db, "ann")
    kid, foreign = str(sessions.kid_of(mine)), await asyncio.to_thread(_another_private_key)
    authenticator, _ = await follower(db)
    assert await refused(authenticator, sessions.sign(claims, kid, foreign))
    assert await refused(authenticator, sessions.sign(claims, "unknown", foreign))


def _another_private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)
