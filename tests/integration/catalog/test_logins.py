"""Logins as rows: one is found by its value or uuid until it ends, and every process hears of the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from packhouse.catalog.accounts import logins
from packhouse.catalog.accounts.keys import Keys, load_keys
from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.core.clock import DAY
from packhouse.core.db import Database, open_database
from tests.conftest import Backend
from tests.kit import staffing


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


async def begun(db: Database, keys: Keys, account_id: int, kind: logins.Kind = "browser") -> tuple[logins.Login, str]:
    work = partial(
        logins.begin, keys=keys, account_id=account_id, kind=kind, client="Firefox", lifetime=DAY, upstream=b"sealed",
        amr=("pwd", "otp"),
    )  # fmt: skip
    return await db.write(work)


async def person(db: Database, name: str) -> int:
    return (await staffing.create_user(db, name, None, "author", "root")).id


async def test_a_login_is_found_by_its_value_which_is_not_in_the_database(db: Database) -> None:
    keys, ann = await load_keys(db), await person(db, "ann")
    login, value = await begun(db, keys, ann)
    other, other_value = await begun(db, keys, ann)
    assert login.expires_at - login.created_at == DAY and len(bytes.fromhex(value)) == 32
    assert await logins.by_secret(db, keys, value) == await logins.by_uuid(db, login.uuid) == login
    assert await logins.by_secret(db, keys, other_value) == other != login
    for wrong in ("", value[:-1], value.upper() + "0", login.uuid):
        assert await logins.by_secret(db, keys, wrong) is None
    (row,) = await db.fetch_all("SELECT * FROM login WHERE id = :id", id=login.id)
    assert value not in str(row) and bytes.fromhex(value) not in [cell for cell in row if isinstance(cell, bytes)]


async def test_a_signed_key_has_a_login_without_a_value(db: Database) -> None:
    keys, ann = await load_keys(db), await person(db, "ann")
    for kind in ("key", "api"):
        login, value = await begun(db, keys, ann, kind)
        assert value == "" and await logins.by_uuid(db, login.uuid) == login
    assert await logins.by_secret(db, keys, "") is None


async def test_the_end_of_one_login_is_told_to_every_process_and_leaves_the_others(db: Database) -> None:
    keys, ann, bob = await load_keys(db), await person(db, "ann"), await person(db, "bob")
    told: list[Change] = []
    feed = ChangeFeed(db)
    feed.listen(told.append, lambda: None)
    one, value = await begun(db, keys, ann)
    two, _ = await begun(db, keys, ann)
    three, _ = await begun(db, keys, ann, "key")
    bobs, _ = await begun(db, keys, bob)
    await feed.poll()
    for _ in range(2):  # the second time nothing is left to end
        await db.write(partial(logins.end, login_id=one.id))
    assert await logins.by_secret(db, keys, value) is None and await logins.by_uuid(db, one.uuid) is None
    assert await db.fetch_value("SELECT upstream FROM login WHERE id = :id", id=one.id) is None
    assert await db.write(partial(logins.end_all, account_id=ann, but=two.id)) == 1
    assert await logins.by_uuid(db, two.uuid) == two and await logins.by_uuid(db, three.uuid) is None
    assert await db.write(partial(logins.end_all, account_id=ann)) == 1
    assert await logins.by_uuid(db, bobs.uuid) == bobs
    await feed.poll()
    assert [(change.kind, change.name) for change in told] == [("login", name.uuid) for name in (one, three, two)]


async def test_a_deleted_account_takes_its_logins_along(db: Database) -> None:
    keys, ann = await load_keys(db), await person(db, "ann")
    login, value = await begun(db, keys, ann)
    await staffing.delete_user(db, "ann", "root")
    assert await logins.by_secret(db, keys, value) is None and await logins.by_uuid(db, login.uuid) is None
