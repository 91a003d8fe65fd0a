"""Logins as rows: one is found by its value or uuid until it ends, and every process hears of the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial

import pytest

from packhouse.catalog.accounts import store
from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.catalog.installation.keys import Keys, load_keys
from packhouse.catalog.logins import logins
from packhouse.core.clock import DAY
from packhouse.core.db import Database, Unit, open_database
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.admitting.credential import Credential
from packhouse.workflows.people import accounts
from packhouse.workflows.signin.browsing import end_others
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.keys import SEALER


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


async def begun(db: Database, keys: Keys, account_id: int, kind: logins.Kind = "browser") -> tuple[logins.Login, str]:
    work = partial(
        logins.begin, keys=keys, account_id=account_id, kind=kind, client="Firefox", lifetime=DAY,
        voucher=logins.Voucher(1, "ann", None, b"sealed"),
        amr=("pwd", "otp"),
    )  # fmt: skip
    return await db.write(work)


async def person(db: Database, name: str) -> int:
    return (await staffing.create_user(db, name, None, "author", "root")).id


async def test_a_login_is_found_by_its_value_which_is_not_in_the_database(db: Database) -> None:
    keys, ann = await load_keys(db, SEALER), await person(db, "ann")
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
    keys, ann = await load_keys(db, SEALER), await person(db, "ann")
    for kind in ("key", "api"):
        login, value = await begun(db, keys, ann, kind)
        assert value == "" and await logins.by_uuid(db, login.uuid) == login
    assert await logins.by_secret(db, keys, "") is None


async def test_the_end_of_one_login_is_told_to_every_process_and_leaves_the_others(db: Database) -> None:
    keys, ann, bob = await load_keys(db, SEALER), await person(db, "ann"), await person(db, "bob")
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
    assert [(change.kind, change.name) for change in told] == [("login", one.uuid)]  # of all it is told by the account


async def test_of_more_logins_than_one_unit_can_end_the_oldest_of_their_kind_ends(db: Database) -> None:
    keys, ann = await load_keys(db, SEALER), await person(db, "ann")
    browser, _ = await begun(db, keys, ann)

    async def many(unit: Unit) -> list[logins.Login]:
        made = []
        for _ in range(logins.MOST):
            made.append((await logins.begin(unit, keys, ann, "api", client="ci", lifetime=DAY))[0])
        return made

    first, second, *_ = await db.write(many)
    assert await logins.by_uuid(db, first.uuid) == first
    await begun(db, keys, ann, "api")
    assert await logins.by_uuid(db, first.uuid) is None
    assert await logins.by_uuid(db, second.uuid) == second and await logins.by_uuid(db, browser.uuid) == browser
    told = "SELECT data FROM event WHERE type = 'user_signed_out' AND object = 'user ann'"
    assert [json.loads(row[0])["login"] for row in await db.fetch_all(told)] == [first.uuid]
    assert await db.write(partial(logins.end_all, account_id=ann)) == logins.MOST + 1


@pytest.mark.parametrize("way", ["password", "others"])
async def test_the_end_of_all_logins_is_told_once_and_heard_in_every_process(db: Database, way: str) -> None:
    keys, ann = await load_keys(db, SEALER), await person(db, "ann")
    values = [(await begun(db, keys, ann))[1] for _ in range(5)]
    told: list[Change] = []
    feed = ChangeFeed(db)
    elsewhere = Authenticator(db, keys, lambda: feed.fresh, feed.doubt)
    feed.listen(told.append, lambda: None)
    feed.listen(lambda change: elsewhere.forget(change.kind, change.name), elsewhere.clear)
    await feed.poll()
    for value in values:
        assert (await elsewhere.proof(Credential("cookie", value))).principal.username == "ann"
    if way == "password":
        account = await store.found(db, "ann")
        await db.write(partial(accounts.change_password, account=account, hashed="x", actor="root"))
    else:
        await db.write(partial(end_others, account_id=ann, username="ann", actor="ann"))
    await feed.poll()
    assert [(change.kind, change.name) for change in told] == [("account", "ann")]
    for value in values:
        with pytest.raises(PackhouseError, match="not valid"):
            await elsewhere.proof(Credential("cookie", value))


async def test_a_deleted_account_takes_its_logins_along(db: Database) -> None:
    keys, ann = await load_keys(db, SEALER), await person(db, "ann")
    login, value = await begun(db, keys, ann)
    await staffing.delete_user(db, "ann", "root")
    assert await logins.by_secret(db, keys, value) is None and await logins.by_uuid(db, login.uuid) is None
