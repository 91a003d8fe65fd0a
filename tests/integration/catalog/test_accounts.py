"""Accounts, tokens and logins on both databases: what works, what stops working, and how soon."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from packhouse.catalog.accounts import passwords, store
from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.accounts.people import page_for
from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.catalog.channels import store as channels
from packhouse.catalog.installation.keys import Keys, load_keys
from packhouse.catalog.rights.permissions import Decision, Target, permit
from packhouse.catalog.rights.principal import ANONYMOUS, Principal
from packhouse.catalog.rights.visibility import VISIBLE, levels_on, target_of, viewer
from packhouse.catalog.schema import channel
from packhouse.catalog.tokens import store as token_store
from packhouse.core.clock import SECOND, to_iso
from packhouse.core.db import Database, Row, Unit, open_database
from packhouse.core.db.statements import Statement, compiled
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.admitting.credential import MALFORMED, Credential
from packhouse.workflows.people import accounts, tokens
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.keys import SEALER, key_for

PASSWORD = "correct horse"


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


@pytest.fixture
async def keys(db: Database) -> Keys:
    return await load_keys(db, SEALER)


async def person(db: Database, username: str, role: str = "author") -> Principal:
    account = await staffing.create_user(db, username, PASSWORD, role, "root")
    return Principal(account.id, username, account.role)


def password(username: str, value: str = PASSWORD) -> Credential:
    return Credential("password", value, username)


async def refused(authenticator: Authenticator, credential: Credential) -> bool:
    try:
        await authenticator.proof(credential, "192.0.2.1")
    except PackhouseError as error:
        assert error.code == "unauthenticated"
        return True
    return False


async def events(db: Database) -> list[tuple[str, str, str]]:
    rows = await db.fetch_all("SELECT type, actor, object FROM event ORDER BY id")
    return [(row[0], row[1], row[2]) for row in rows]


async def dump(db: Database) -> str:
    names = ("account", "token", "secret", "event", "change")
    return repr([await db.fetch_all(f"SELECT * FROM {name}") for name in names])


async def test_the_first_administrator_is_made_once(db: Database, keys: Keys) -> None:
    made = await asyncio.gather(*(accounts.ensure_admin(db) for _ in range(3)))
    [secret] = [value for value in made if value]
    assert await accounts.ensure_admin(db) is None
    principal = (await Authenticator(db, keys).proof(password("admin", secret))).principal
    assert (principal.username, principal.role) == ("admin", "admin")
    assert secret not in await dump(db)
    assert [event[0] for event in await events(db)].count("user_created") == 1


async def test_the_first_administrator_with_a_given_password(db: Database, keys: Keys) -> None:
    assert await accounts.ensure_admin(db, PASSWORD) is None
    assert (await Authenticator(db, keys).proof(password("admin"))).principal.role == "admin"


async def test_keys_are_made_once(db: Database) -> None:
    made = await asyncio.gather(*(load_keys(db, SEALER) for _ in range(5)))
    assert len({keys.token for keys in made}) == 1
    assert {len(keys.token) for keys in made} == {32}
    assert [event[0] for event in await events(db)] == ["installation_keys_created"]


async def test_who_a_credential_stands_for(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    authenticator = Authenticator(db, keys)
    token, value = await tokens.create(db, keys, ann, "ci", ["artifact:view", "channel:manage-groups"], None)
    assert (await authenticator.check_password("Ann", PASSWORD, "192.0.2.1")).username == "ann"
    session, login = await key_for(db, "ann")
    everyone = (await holding_of(db, None)).principal(None, "anonymous")
    known = (await holding_of(db, ann.account_id)).principal(ann.account_id, "ann")
    for _ in range(2):  # from the database, then from memory
        assert (await authenticator.proof(None)).principal == everyone
        by_key = (await authenticator.proof(Credential("session", session))).principal
        assert by_key == msgspec.structs.replace(known, login_id=login.uuid)
        by_password = (await authenticator.proof(password("ann"))).principal
        assert by_password == msgspec.structs.replace(known, sessions=0)
        shown = (await authenticator.proof(Credential("token", value))).principal
        assert shown == msgspec.structs.replace(
            known, scopes=frozenset({"artifact:view", "channel.group:edit"}), token_id=token.id
        )
    assert (await tokens.shown_by(db, shown)).expires_at is None


WRONG = [
    MALFORMED,
    Credential("token", "0" * 48),
    Credential("token", ""),
    Credential("session", "a.b.c"),
    Credential("session", ""),
    password("ann", "wrong"),
    password("ann", ""),
    password("ann", "x" * 5000),
    password("ann", "\ud800"),
    password("nobody"),
    password("ANN\x00"),
    password("\ud800"),
    password(""),
]


async def test_wrong_credentials_are_all_refused_alike(db: Database, keys: Keys) -> None:
    await person(db, "ann")
    authenticator = Authenticator(db, keys)
    first: dict[str, dict[str, object]] = {}  # by kind: which one was sent is no secret, what is wrong with it is
    for credential in WRONG:
        with pytest.raises(PackhouseError) as error:
            await authenticator.proof(credential, "192.0.2.1")
        assert error.value.status == 401
        assert error.value.body() == first.setdefault(credential.kind, error.value.body()), credential.kind


async def test_changes_of_other_things_leave_memory_alone(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    token, value = await tokens.create(db, keys, ann, "ci", None, None)
    authenticator = Authenticator(db, keys)
    await authenticator.proof(Credential("token", value))
    await tokens.revoke(db, ann, token.id)
    for kind, name in (("channel", token.id), ("index", "ann"), ("account", "bob"), ("token", "other")):
        authenticator.forget(kind, name)
    await authenticator.proof(Credential("token", value))  # only its own change row ends what is remembered
    authenticator.forget("token", token.id)
    assert await refused(authenticator, Credential("token", value))


async def test_a_token_works_until_it_expires(db: Database, keys: Keys) -> None:
    ann, authenticator = await person(db, "ann"), Authenticator(db, keys)
    for seconds in (2, 10, 40):  # a machine may stall until the first has expired
        expires = await db.now() + seconds * SECOND
        _, value = await tokens.create(db, keys, ann, f"for {seconds} s", None, to_iso(expires))
        if not await refused(authenticator, Credential("token", value)):
            break
        assert await db.now() >= expires - SECOND
    else:
        pytest.fail("none of the tokens ever worked")
    async with asyncio.timeout(90):
        while not await refused(authenticator, Credential("token", value)):
            await asyncio.sleep(0.05)
    assert await db.now() >= expires - SECOND, "it ended too early"
    assert await refused(Authenticator(db, keys), Credential("token", value))


async def follow(feed: ChangeFeed, authenticator: Authenticator) -> None:
    def listener(change: Change) -> None:
        authenticator.forget(change.kind, change.name)

    feed.listen(listener, authenticator.clear)
    await feed.poll()


async def test_what_is_taken_back_stops_in_other_processes(db: Database, keys: Keys) -> None:
    ann, root = await person(db, "ann"), await person(db, "root", "admin")
    authenticator, feed = Authenticator(db, keys), ChangeFeed(db)
    await follow(feed, authenticator)
    token, value = await tokens.create(db, keys, ann, "one", None, None)
    _, other = await tokens.create(db, keys, ann, "two", None, None)
    session, _ = await key_for(db, "ann")
    shown = [Credential("token", value), Credential("token", other), Credential("session", session), password("ann")]
    for credential in shown:
        await authenticator.proof(credential)

    await tokens.revoke(db, ann, token.id)
    await feed.poll()
    assert [await refused(authenticator, c) for c in shown] == [True, False, False, False]

    await staffing.set_disabled(db, "ann", True, root.username)
    await feed.poll()
    assert all([await refused(authenticator, c) for c in shown])

    await staffing.set_disabled(db, "ann", False, root.username)
    await feed.poll()
    assert [await refused(authenticator, c) for c in shown] == [True, False, True, False]

    await staffing.set_password(db, "ann", "another horse", "ann")
    await feed.poll()
    assert await refused(authenticator, password("ann"))
    assert not await refused(authenticator, password("ann", "another horse"))

    await staffing.delete_user(db, "ann", root.username)
    await feed.poll()
    assert await refused(authenticator, Credential("token", other))
    assert await refused(authenticator, password("ann", "another horse"))


async def test_a_new_password_ends_sessions(db: Database, keys: Keys) -> None:
    await person(db, "ann")
    session, _ = await key_for(db, "ann")
    assert not await refused(Authenticator(db, keys), Credential("session", session))
    await staffing.set_password(db, "ann", PASSWORD, "ann")
    assert await refused(Authenticator(db, keys), Credential("session", session))


async def test_a_process_that_cannot_follow_asks_the_database(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    token, value = await tokens.create(db, keys, ann, "ci", None, None)
    authenticator = Authenticator(db, keys, fresh=lambda: False)
    await authenticator.proof(Credential("token", value))
    await tokens.revoke(db, ann, token.id)
    assert await refused(authenticator, Credential("token", value))


async def test_an_answer_that_was_overtaken_is_not_remembered(
    db: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await person(db, "ann")
    token, value = await tokens.create(db, keys, ann, "ci", None, None)
    authenticator, read = Authenticator(db, keys), token_store.bearer

    async def slowly(reader: Database, token_hash: bytes) -> object:
        row = await read(reader, token_hash)
        await tokens.revoke(db, ann, token.id)  # committed and announced while the answer is on its way
        authenticator.forget("token", token.id)
        return row

    monkeypatch.setattr(token_store, "bearer", slowly)
    await authenticator.proof(Credential("token", value))
    monkeypatch.undo()
    assert await refused(authenticator, Credential("token", value))


async def test_accounts_are_listed_and_kept_in_order(db: Database) -> None:
    for name in ("zoe", "ann", "root"):
        await person(db, name, "admin" if name == "root" else "author")
    root = Principal(1, "root", "admin")
    listed, total = await page_for(db, root, {}, 2, 0)
    assert [account.username for account in listed] == ["ann", "root"]
    assert total == 3
    for username, secret, role, code in (
        ("ann", PASSWORD, "author", "conflict"),
        ("Bob", PASSWORD, "author", "bad_request"),
        ("a:b", PASSWORD, "author", "bad_request"),
        ("system", PASSWORD, "author", "bad_request"),
        ("bob", "short", "author", "bad_request"),
        ("bob", PASSWORD, "king", "bad_request"),
    ):
        with pytest.raises(PackhouseError) as error:
            await staffing.create_user(db, username, secret, role, "root")
        assert error.value.code == code
    assert (await page_for(db, root, {}, 10, 0))[1] == 3


async def test_the_last_administrator_stays(db: Database) -> None:
    await person(db, "root", "admin")
    for attempt in (staffing.set_disabled(db, "root", True, "root"), staffing.delete_user(db, "root", "root")):
        with pytest.raises(PackhouseError) as error:
            await attempt
        assert error.value.code == "conflict"
    await person(db, "other", "admin")
    outcome = await asyncio.gather(
        staffing.set_disabled(db, "root", True, "other"),
        staffing.delete_user(db, "other", "root"),
        return_exceptions=True,
    )
    assert sum(isinstance(result, PackhouseError) for result in outcome) == 1
    assert await store.any_admin(db)


async def add_channel(db: Database, path: str | None, privacy: str, owner: int, parent: int | None = None) -> int:
    async def work(unit: Unit) -> int:
        return int(
            await unit.fetch_value(
                """INSERT INTO channel (path, parent_id, description, privacy, owner_id, created_at, updated_at)
                VALUES (:path, :parent, '', :privacy, :owner, 0, 0) RETURNING id""",
                path=path, parent=parent, privacy=privacy, owner=owner,
            )
        )  # fmt: skip

    return await db.write(work)


async def target(db: Database, principal: Principal, channel_id: int) -> Target:
    found = await channels.by_id(db, channel_id)
    assert found is not None
    return await target_of(db, principal, found)


async def test_owners_are_not_deleted_and_numbers_not_inherited(db: Database) -> None:
    ann = await person(db, "ann")
    channel_id = await add_channel(db, "data", "private", ann.account_id or 0)
    with pytest.raises(PackhouseError) as error:
        await staffing.delete_user(db, "ann", "root")
    assert error.value.code == "conflict"

    async def remove(unit: Unit) -> None:
        await unit.execute("DELETE FROM channel WHERE id = :id", id=channel_id)

    await db.write(remove)
    await staffing.delete_user(db, "ann", "root")
    assert (await person(db, "ann")).account_id != ann.account_id


async def test_lists_show_what_permit_allows(db: Database) -> None:
    ann, bob, root = await person(db, "ann"), await person(db, "bob"), await person(db, "root", "admin")
    owner = ann.account_id or 0
    numbers: list[int] = []
    for privacy in ("public", "authenticated", "private"):
        top = await add_channel(db, privacy, privacy, owner)
        inner = [await add_channel(db, f"{privacy}/{one}", one, owner, top) for one in ("public", "private")]
        numbers += [top, *inner]
    await add_channel(db, None, "public", owner)  # deleted

    async def grant(unit: Unit) -> None:
        await unit.execute(
            "INSERT INTO channel_grant (channel_id, user_id, level) VALUES (:channel, :user, 2)",
            channel=top, user=bob.account_id,
        )  # fmt: skip

    await db.write(grant)
    only_top = Principal(bob.account_id, "bob", "author", frozenset({"channel:view"}), "t")
    blind = Principal(root.account_id, "root", "admin", frozenset({"artifact:view"}), "t")
    for principal in (ANONYMOUS, ann, bob, root, only_top, blind):
        seen = [row[0] for row in await db.fetch_all(select(channel.c.id).where(VISIBLE), **viewer(principal))]
        granted = await levels_on(db, principal, seen)
        listed = [(number, granted.get(number, 0)) for number in seen]
        expected = set()
        for number in numbers:
            if permit(principal, "channel:view", await target(db, principal, number)) is Decision.ALLOWED:
                expected.add((number, 2 if number == top and principal.username == "bob" else 0))
        assert set(listed) == expected, principal
    assert permit(bob, "artifact:create", await target(db, bob, top)) is Decision.ALLOWED


async def test_every_change_is_one_event_without_a_secret(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    token, first = await tokens.create(db, keys, ann, "ci", ["artifact:view"], None)
    _, second = await tokens.reissue(db, keys, ann, token.id)
    await tokens.revoke(db, ann, token.id)
    await staffing.set_password(db, "ann", "another horse", "root")
    await staffing.set_disabled(db, "ann", True, "root")
    await staffing.set_disabled(db, "ann", True, "root")  # changes nothing
    await staffing.set_disabled(db, "ann", False, "root")
    await staffing.delete_user(db, "ann", "root")
    assert await events(db) == [
        ("installation_keys_created", "system", "keys"),
        ("user_created", "root", "user ann"),
        ("user_token_created", "ann", "token ci"),
        ("user_token_updated", "ann", "token ci"),
        ("user_token_revoked", "ann", "token ci"),
        ("user_password_changed", "root", "user ann"),
        ("user_disabled", "root", "user ann"),
        ("user_enabled", "root", "user ann"),
        ("user_deleted", "root", "user ann"),
    ]
    everything = await dump(db)
    for secret in (first, second, PASSWORD, "another horse", first.removeprefix("ph-")):
        assert secret not in everything


async def test_a_burst_with_the_right_password_is_one_check(db: Database, keys: Keys) -> None:
    await person(db, "ann")
    authenticator = Authenticator(db, keys)
    found = await asyncio.gather(*(authenticator.proof(password("ann"), "192.0.2.1") for _ in range(200)))
    assert {principal.username for principal, _ in found} == {"ann"}
    assert authenticator.evaluations == 1


async def test_a_check_from_before_a_change_counts_for_nobody_who_comes_after_it(
    db: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person(db, "ann")
    authenticator, verify, go_on = Authenticator(db, keys), passwords._verify, threading.Event()

    def slowly(hashed: str, given: str) -> bool:
        return go_on.wait(90) and verify(hashed, given)

    monkeypatch.setattr(passwords, "_verify", slowly)
    before = asyncio.create_task(authenticator.proof(password("ann")))
    async with asyncio.timeout(90):
        while not authenticator.evaluations:  # then it has read the account
            await asyncio.sleep(0.01)
    await staffing.set_disabled(db, "ann", True, "root")
    authenticator.forget("account", "ann")
    after = asyncio.create_task(authenticator.proof(password("ann")))
    await asyncio.sleep(0)  # it has begun while the other still goes on
    go_on.set()
    with pytest.raises(PackhouseError):
        await after
    await asyncio.gather(before, return_exceptions=True)
    assert await refused(authenticator, password("ann"))


async def test_time_of_a_remembered_check(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    _, value = await tokens.create(db, keys, ann, "ci", None, None)
    authenticator, credential, times = Authenticator(db, keys), Credential("token", value), 20_000
    await authenticator.proof(credential)
    started = time.perf_counter()
    for _ in range(times):
        await authenticator.proof(credential)
    print(f"remembered check: {(time.perf_counter() - started) / times * 1e6:.2f} us")


async def test_to_make_an_account_nobody_counts_those_that_have_its_roles(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def work(unit: Unit) -> None:
        fetch = type(unit).fetch_all

        async def noted(self: Unit, statement: Statement, **values: Any) -> list[Row]:
            asked.append(compiled(statement, self.dialect)[0])
            return await fetch(self, statement, **values)

        with monkeypatch.context() as patch:
            patch.setattr(type(unit), "fetch_all", noted)
            await accounts.create_account(unit, username="ann")

    await db.write(work)
    assert asked and not [one for one in asked if "count(" in one]
