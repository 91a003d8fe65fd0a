"""Tokens on both databases: their names, how long they work, and what who shows one can do to the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from packhouse.catalog.channels import store as channels
from packhouse.catalog.installation.keys import Keys, load_keys
from packhouse.catalog.rights.permissions import MANAGE, READ, WRITE
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.tokens.reach import Resource
from packhouse.core.clock import DAY, SECOND, to_iso
from packhouse.core.db import Database, Unit, open_database
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.admitting.credential import Credential
from packhouse.workflows.people import tokens
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.keys import SEALER


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


@pytest.fixture
async def keys(db: Database) -> Keys:
    return await load_keys(db, SEALER)


async def person(db: Database, username: str, role: str = "author") -> Principal:
    account = await staffing.create_user(db, username, None, role, "root")
    return Principal(account.id, username, account.role)


async def refused(authenticator: Authenticator, credential: Credential) -> bool:
    try:
        await authenticator.proof(credential, "192.0.2.1")
    except PackhouseError as error:
        assert error.code == "unauthenticated"
        return True
    return False


async def test_ill_formed_tokens_are_not_made(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    for name, scopes, expires_at in (
        ("", None, None),
        ("a\nb", None, None),
        ("x" * 129, None, None),
        ("x", ["artifact:fly"], None),
        ("x", None, "2020-01-01"),
        ("x", None, "soon"),
        ("x", None, "9999999-01-01"),
    ):
        with pytest.raises(PackhouseError) as error:
            await tokens.create(db, keys, ann, name, scopes, expires_at)
        assert error.value.code == "bad_request"
    assert (await tokens.of_account(db, ann.account_id or 0))[0] == []


async def test_a_name_stands_for_one_token_that_works(db: Database, keys: Keys) -> None:
    ann, bob, now = await person(db, "ann"), await person(db, "bob"), await db.now()
    made = await asyncio.gather(
        *(tokens.create(db, keys, ann, "ci", None, to_iso(now + DAY)) for _ in range(3)), return_exceptions=True
    )
    first = [one for one in made if not isinstance(one, BaseException)]
    assert len(first) == 1
    assert {one.code for one in made if isinstance(one, PackhouseError)} == {"conflict"}
    await tokens.create(db, keys, bob, "ci", None, None)  # names are those of an account
    ended = "UPDATE token SET expires_at = :now WHERE uuid = :id"
    await db.write(lambda unit: unit.execute(ended, now=unit.now - SECOND, id=first[0][0].id))
    second, _ = await tokens.create(db, keys, ann, "ci", None, None)  # the other is over
    with pytest.raises(PackhouseError, match="'ci' already"):
        await tokens.create(db, keys, ann, "ci", None, None)
    with pytest.raises(PackhouseError, match="'ci' already"):
        await tokens.reissue(db, keys, ann, first[0][0].id, to_iso(now + DAY))
    await tokens.revoke(db, ann, second.id)  # what `--force-scopes` of the old command line does before it makes anew
    await tokens.create(db, keys, ann, "ci", None, None)


async def test_two_edits_of_one_token_at_a_time_lose_neither(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    for number in range(10):
        made, _ = await tokens.create(db, keys, ann, f"t{number}", None, None)
        await asyncio.gather(
            tokens.edit(db, ann, made.id, description="what it is for"),
            tokens.edit(db, ann, made.id, metadata={"owner": "lab"}),
            tokens.edit(db, ann, made.id, name=f"n{number}"),
        )
    listed, _ = await tokens.of_account(db, ann.account_id or 0)
    said = {(one.name, one.description, str(one.metadata)) for one in listed}
    assert said == {(f"n{number}", "what it is for", str({"owner": "lab"})) for number in range(10)}


async def test_whoever_is_deleted_meanwhile_makes_no_token(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    made, _ = await tokens.create(db, keys, ann, "one", None, None)
    await staffing.delete_user(db, "ann", "root")
    for attempt in (
        tokens.create(db, keys, ann, "two", None, None),
        tokens.reissue(db, keys, ann, made.id),
        tokens.edit(db, ann, made.id, name="three"),
    ):
        with pytest.raises(PackhouseError) as error:
            await attempt
        assert error.value.code == "unauthenticated"
    for number in range(5):  # at the same time: one comes first, and the other one finds that out
        bob = await person(db, f"bob{number}")
        done = await asyncio.gather(
            tokens.create(db, keys, bob, "one", None, None),
            staffing.delete_user(db, bob.username, "root"),
            return_exceptions=True,
        )
        assert done[1] is None and (not isinstance(done[0], BaseException) or isinstance(done[0], PackhouseError)), done


async def test_the_date_of_expiry_is_its_last_day(db: Database, keys: Keys) -> None:
    ann, now = await person(db, "ann"), await db.now()
    today = (to_iso(now) or "")[:10]
    token, _ = await tokens.create(db, keys, ann, "today", None, today)
    assert token.expires_at is not None
    assert now < token.expires_at <= now + DAY


async def test_reissue_gives_a_new_value_for_as_long_again(db: Database, keys: Keys) -> None:
    ann, now = await person(db, "ann"), await db.now()
    token, old = await tokens.create(db, keys, ann, "ci", ["artifact:view"], to_iso(now + 30 * DAY))
    again, new = await tokens.reissue(db, keys, ann, token.id)
    authenticator = Authenticator(db, keys)
    assert await refused(authenticator, Credential("token", old))
    assert (await authenticator.proof(Credential("token", new))).principal.scopes == frozenset({"artifact:view"})
    assert again.expires_at and token.expires_at and again.expires_at >= token.expires_at
    assert [listed.id for listed in (await tokens.of_account(db, ann.account_id or 0))[0]] == [token.id]


async def test_nobody_touches_anothers_tokens(db: Database, keys: Keys) -> None:
    ann, bob, root = await person(db, "ann"), await person(db, "bob"), await person(db, "root", "admin")
    token, value = await tokens.create(db, keys, ann, "ci", None, None)
    narrow_root = Principal(root.account_id, "root", "admin", frozenset({"artifact:view"}))
    for principal in (bob, narrow_root):
        with pytest.raises(PackhouseError) as error:
            await tokens.revoke(db, principal, token.id)
        assert error.value.code == "not_found"
        with pytest.raises(PackhouseError):
            await tokens.reissue(db, keys, principal, token.id)
    assert not await refused(Authenticator(db, keys), Credential("token", value))
    await tokens.revoke(db, root, token.id)
    assert await refused(Authenticator(db, keys), Credential("token", value))


async def test_a_token_makes_no_stronger_token(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    strong, _ = await tokens.create(db, keys, ann, "strong", None, None)
    weak = Principal(ann.account_id, "ann", "author", frozenset({"account:edit", "artifact:view"}))
    for scopes in (None, ["artifact:delete"], ["artifact:view", "channel:edit"]):
        with pytest.raises(PackhouseError) as error:
            await tokens.create(db, keys, weak, "more", scopes, None)
        assert error.value.code == "forbidden"
    with pytest.raises(PackhouseError) as error:
        await tokens.reissue(db, keys, weak, strong.id)
    assert error.value.code == "forbidden"
    await tokens.create(db, keys, weak, "less", ["artifact:view"], None)


async def test_a_token_that_ends_makes_none_that_outlives_it(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    shown, _ = await tokens.create(db, keys, ann, "shown", None, "2030-06-30")
    by_it = msgspec.structs.replace(ann, token_id=shown.id)
    for later in ("2030-07-01", "2999-01-01"):
        with pytest.raises(PackhouseError, match="would outlive the one you show"):
            await tokens.create(db, keys, by_it, "another", None, later)
        with pytest.raises(PackhouseError, match="would outlive the one you show"):
            await tokens.reissue(db, keys, by_it, shown.id, later)
    made, _ = await tokens.create(db, keys, by_it, "another", None, None)
    assert made.expires_at == shown.expires_at
    endless, _ = await tokens.create(db, keys, ann, "endless", None, None)
    assert endless.expires_at is None
    renewed, _ = await tokens.reissue(db, keys, by_it, endless.id)
    assert renewed.expires_at == shown.expires_at


async def test_a_token_revokes_itself_and_none_that_can_do_more(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    made = {
        name: (await tokens.create(db, keys, ann, name, scopes, None))[0]
        for name, scopes in (("all", None), ("other", ["channel:edit"]), ("own", ["account:edit"]), ("less", []))
    }
    own = Principal(ann.account_id, "ann", "author", made["own"].scopes, made["own"].id)
    for stronger in ("all", "other"):
        with pytest.raises(PackhouseError) as error:
            await tokens.revoke(db, own, made[stronger].id)
        assert error.value.code == "forbidden"
    await tokens.revoke(db, own, made["less"].id)
    await tokens.revoke(db, own, made["own"].id)
    few = Principal(ann.account_id, "ann", "author", made["other"].scopes, made["all"].id)
    await tokens.revoke(db, few, made["all"].id)  # oneself, whatever one can do
    await tokens.revoke(db, ann, made["other"].id)  # logged in
    assert (await tokens.of_account(db, ann.account_id or 0))[0] == []


async def make_channel(db: Database, path: str, privacy: str, owner: Principal, parent: int | None = None) -> int:
    async def work(unit: Unit) -> int:
        return await channels.insert_channel(unit, path, parent, "", privacy, owner.account_id or 0)

    return await db.write(work)


async def test_a_resource_token_has_its_channels_and_levels(db: Database, keys: Keys) -> None:
    ann, bob = await person(db, "ann"), await person(db, "bob")
    mine = await make_channel(db, "mine", "private", ann)
    below = await make_channel(db, "mine/below", "private", ann, mine)
    await make_channel(db, "bobs", "private", bob)
    wanted = [Resource("mine", WRITE), Resource("mine/below", MANAGE)]
    token, value = await tokens.create(db, keys, ann, "ci", None, None, resources=wanted)
    assert (token.kind, token.scopes) == ("resource", None) and value.startswith("ph-") and len(value) == 51
    shown = (await Authenticator(db, keys).proof(Credential("token", value))).principal
    assert shown.resources == ((mine, WRITE), (below, MANAGE)) and shown.scopes is None


async def test_nobody_gives_a_token_a_channel_they_lack(db: Database, keys: Keys) -> None:
    ann, bob = await person(db, "ann"), await person(db, "bob")
    await make_channel(db, "bobs", "private", bob)
    await make_channel(db, "open", "public", bob)
    mine = await make_channel(db, "mine", "private", ann)

    async def refused_for(*wanted: Resource, principal: Principal = ann) -> tuple[str, str]:
        with pytest.raises(PackhouseError) as error:
            await tokens.create(db, keys, principal, "ci", None, None, resources=wanted)
        return error.value.code, error.value.message

    hidden, absent = await refused_for(Resource("bobs", READ)), await refused_for(Resource("none", READ))
    assert hidden == (absent[0], absent[1].replace("none", "bobs")) and hidden[0] == "not_found"
    assert (await refused_for(Resource("mine", READ), Resource("open", WRITE)))[0] == "forbidden"
    for odd in ((), (Resource("mine", READ), Resource("mine", WRITE))):
        assert (await refused_for(*odd))[0] == "bad_request"
    scoped = Principal(ann.account_id, "ann", "author", frozenset({"account:edit", "channel:view-artifacts"}))
    assert (await refused_for(Resource("mine", READ), principal=scoped))[0] == "forbidden"
    shown, _ = await tokens.create(db, keys, ann, "shown", None, None, resources=[Resource("mine", MANAGE)])
    limited = Principal(ann.account_id, "ann", "author", token_id=shown.id, resources=((mine, MANAGE),))
    assert (await refused_for(Resource("mine", READ), principal=limited))[0] == "forbidden"
    with pytest.raises(PackhouseError, match="either to scopes or to channels"):
        await tokens.create(db, keys, ann, "ci", [], None, resources=[Resource("mine", READ)])
    assert [one.name for one in (await tokens.of_account(db, ann.account_id or 0))[0]] == ["shown"]
    await tokens.create(db, keys, ann, "ci", None, None, resources=[Resource("open", READ)])


async def test_the_last_use_is_written_later_and_never_goes_back(db: Database, keys: Keys) -> None:
    ann = await person(db, "ann")
    token, value = await tokens.create(db, keys, ann, "ci", None, None)
    early, late = Authenticator(db, keys), Authenticator(db, keys)
    await early.proof(Credential("token", value), "192.0.2.1")
    await late.proof(Credential("token", value), "192.0.2.2")
    assert (
        await tokens.shown_by(db, Principal(ann.account_id, "ann", "author", token_id=token.id))
    ).last_used_at is None
    await late.uses.write()
    await early.uses.write()  # a process that was slow to say so
    [listed], total = await tokens.of_account(db, ann.account_id or 0)
    assert total == 1 and listed.last_used_at and listed.last_used_from == "192.0.2.2"
    assert not await refused(early, Credential("token", value))
    assert await refused(early, Credential("token", "ph-" + "0" * 48))
    await early.uses.write()  # what was refused is no use, and what is remembered none that is told


async def test_a_use_is_kept_while_the_database_is_away(
    db: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await person(db, "ann")
    _, value = await tokens.create(db, keys, ann, "ci", None, None)
    authenticator = Authenticator(db, keys)
    await authenticator.proof(Credential("token", value), "192.0.2.1")

    async def away(work: object) -> None:
        raise PackhouseError("try_later", "The database is away.", "Wait.")

    with monkeypatch.context() as outage:
        outage.setattr(db, "write", away)
        with pytest.raises(PackhouseError):
            await authenticator.uses.write()
    await authenticator.uses.write()
    [listed], _ = await tokens.of_account(db, ann.account_id or 0)
    assert listed.last_used_from == "192.0.2.1"
