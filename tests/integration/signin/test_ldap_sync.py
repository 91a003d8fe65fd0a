"""Synchronising with a real OpenLDAP: who is gone stops on every process, groups follow, mistakes shut out nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.accounts import store as account_store
from packhouse.catalog.groups import store as groups
from packhouse.catalog.identities import store
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.workflows.people import accounts, tokens
from packhouse.workflows.signin.directory import syncing
from packhouse.workflows.signin.directory.asking import sign_in
from packhouse.workflows.signin.directory.syncing import synchronise, synchronise_due
from packhouse.workflows.signin.identity import LdapProvider, directories
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.calls import call
from tests.kit.house import House, Person, open_house, second_process
from tests.kit.jobs import HEARD, until
from tests.kit.keys import SEALER
from tests.kit.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd, cn, group, person, slapd, uid

STAFF = ("kim", "lee", "sam", "eve", "bob")
GRANT = "INSERT INTO group_grant (channel_id, group_id, level) VALUES (:channel_id, :group_id, 1)"


@pytest.fixture
def corp(tmp_path: Path) -> Iterator[Slapd]:
    entries = {uid(name): person(name) for name in STAFF}
    entries[cn("data")] = group("Data", [uid("kim"), uid("lee")])
    entries[cn("all")] = group("all", [cn("data"), uid("sam"), uid("eve"), uid("bob")])
    with slapd(tmp_path / "corp", entries) as server:
        yield server


def identity_file(folder: Path, server: Slapd, more: str = "") -> Path:
    file = folder / "identity.toml"
    file.write_text(
        f'[[provider]]\nkind = "ldap"\nname = "corp"\ntitle = "Corp"\nurl = "{server.tls_url}"\n'
        f'ca_file = "{server.ca}"\nbind_dn = "{SERVICE}"\nbind_password = "{SERVICE_PASSWORD}"\n'
        f'user_base = "{PEOPLE}"\ngroup_base = "{GROUPS}"\n{more}'
    )
    return file


class Office:
    """A house whose people come from a directory."""

    def __init__(self, house: House, server: Slapd) -> None:
        self.house, self.slapd, self.db = house, server, house.services.db
        (self.provider,) = directories(house.services.providers)

    async def arrive(self, name: str) -> Person:
        """Let somebody have come from the directory, with a token."""
        known = await sign_in(self.provider, name, f"{name}-password")
        assert known is not None

        async def work(unit: Unit) -> int:
            row = await store.ensure(unit, self.provider.name, "ldap")
            made = await accounts.create_account(unit, username=name, provider_id=row.id)
            await store.remember(unit, row.id, known.person.subject, made.id, known.person.dn)
            await store.confirm(unit, [made.id])
            return made.id

        principal = Principal(await self.db.write(work), name, "author")
        token, value = await tokens.create(
            self.db, await load_keys(self.db, SEALER), principal, "for tests", None, None
        )
        self.house.people[name] = Person(principal, value, token.id)
        return self.house.people[name]

    async def share(self, path: str, group_name: str) -> None:
        """Make a private channel that a group may read."""
        channel = await self.house.channel(path, "private")
        found = await groups.by_name(self.db, group_name)
        assert found is not None
        await self.db.write(lambda unit: unit.execute(GRANT, channel_id=channel.id, group_id=found.id))

    async def status(self, name: str, target: str, house: House | None = None) -> int:
        return (await (house or self.house).as_(name).get(target)).status

    async def events(self, type_: str) -> list[dict[str, Any]]:
        rows = await self.db.fetch_all("SELECT object, data FROM event WHERE type = :type ORDER BY id", type=type_)
        return [{"object": row[0], **json.loads(row[1])} for row in rows]


@pytest.fixture
async def office(backend: Backend, corp: Slapd, tmp_path: Path) -> AsyncIterator[Office]:
    async with open_house(backend, identity_file=str(identity_file(tmp_path, corp))) as house:
        made = Office(house, corp)
        for name in STAFF:
            await made.arrive(name)
        assert (await synchronise(house.services, made.provider)).state == "ok"
        yield made


async def test_groups_come_at_first_sight_and_nested(office: Office) -> None:
    people = await store.vouched(office.db, 1)
    names = {row[0]: row[1] for row in await office.db.fetch_all("SELECT id, name FROM user_group")}
    assert {one.username: {names[number] for number in one.groups} for one in people} == {
        "kim": {"data", "all"}, "lee": {"data", "all"}, "sam": {"all"}, "eve": {"all"}, "bob": {"all"},
    }  # fmt: skip
    assert [event["object"] for event in await office.events("group_created")] == ["group data", "group all"]
    again = await synchronise(office.house.services, office.provider)
    assert (again.changed, again.found, again.known) == (0, 5, 5)
    assert len(await office.events("directory_synced")) == 1  # nothing happened the second time


async def test_groups_of_a_directory_are_made_some_at_a_time(
    backend: Backend, corp: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "GROUP_BATCH", 1)
    async with open_house(backend, identity_file=str(identity_file(tmp_path, corp))) as house:
        office = Office(house, corp)
        await office.arrive("kim")
        assert (await synchronise(house.services, office.provider)).state == "ok"
        rows = await office.db.fetch_all("SELECT object, at FROM event WHERE type = 'group_created' ORDER BY object")
        assert [row[0] for row in rows] == ["group all", "group data"]
        assert rows[0][1] != rows[1][1], "each in a unit of its own"
        assert len((await store.vouched(office.db, 1))[0].groups) == 2


async def test_one_removed_from_a_group_loses_access_on_every_process_and_gets_it_back(
    office: Office, backend: Backend, tmp_path: Path
) -> None:
    await office.share("secrets", "data")
    target = "/api/channels/secrets"
    async with second_process(backend, office.house, tmp_path / "other") as other:
        both = (office.house, other)
        assert [await office.status("kim", target, one) for one in both] == [200, 200]

        async def all_are(status: int) -> bool:
            return [await office.status("kim", target, one) for one in both] == [status, status]

        office.slapd.set(cn("data"), "member", [uid("lee")])
        assert (await synchronise(office.house.services, office.provider)).changed == 1
        await until(lambda: all_are(404), HEARD)
        assert [await office.status("lee", target, one) for one in both] == [200, 200]
        office.slapd.set(cn("data"), "member", [uid("lee"), uid("kim")])
        await synchronise(office.house.services, office.provider)
        await until(lambda: all_are(200), HEARD)
    gone = await office.events("group_user_deleted")
    assert {(one["object"], one["user"]) for one in gone} == {("group data", "kim"), ("group all", "kim")}


async def test_who_is_gone_stops_on_every_process_and_returns(office: Office, backend: Backend, tmp_path: Path) -> None:
    async with second_process(backend, office.house, tmp_path / "other") as other:
        both = (office.house, other)

        async def all_are(status: int) -> bool:
            return [await office.status("bob", "/api/account", one) for one in both] == [status, status]

        assert await all_are(200)
        office.slapd.rename(uid("bob"), "uid=robert")  # somebody renamed is the same person
        office.slapd.set(cn("all"), "member", [cn("data"), uid("sam"), uid("eve"), uid("robert")])
        assert (await synchronise(office.house.services, office.provider)).disabled == 0
        assert await all_are(200)
        office.slapd.delete(uid("robert"))
        outcome = await synchronise(office.house.services, office.provider)
        assert (outcome.changed, outcome.disabled) == (1, 1)
        await until(lambda: all_are(401), HEARD)
        found = await account_store.by_name(office.db, "bob")
        assert found is not None and found.disabled_at is not None
        assert (await synchronise(office.house.services, office.provider)).changed == 0
        # another entry of the same name is another person
        office.slapd.add(uid("bob"), person("bob"))
        assert (await synchronise(office.house.services, office.provider)).changed == 0
        assert await all_are(401)


async def test_who_was_shut_out_by_the_directory_comes_back_with_it(office: Office) -> None:
    async def work(unit: Unit) -> None:
        found = await account_store.by_name(unit, "sam")
        assert found is not None
        await accounts.disable(unit, found, True, "directory")

    await office.db.write(work)
    await until(lambda: _is(office, "sam", 401), HEARD)
    await synchronise(office.house.services, office.provider)
    await until(lambda: _is(office, "sam", 200), HEARD)
    await staffing.set_disabled(office.db, "sam", True, "admin")
    await synchronise(office.house.services, office.provider)
    await until(lambda: _is(office, "sam", 401), HEARD)


async def test_no_channel_is_left_to_somebody_who_is_gone(office: Office) -> None:
    await office.house.channel("bobs", owner="bob")
    office.slapd.delete(uid("bob"))
    assert (await synchronise(office.house.services, office.provider)).state == "ok"
    channel = await office.house.find("bobs")
    assert channel.owner_id == office.house.people["admin"].principal.account_id


async def _is(office: Office, name: str, status: int) -> bool:
    return await office.status(name, "/api/account") == status


async def test_a_directory_that_suddenly_has_nobody_shuts_out_nobody_until_somebody_says_so(office: Office) -> None:
    for name in ("kim", "lee", "sam", "eve"):
        office.slapd.set(uid(name), "objectClass", ["inetOrgPerson"])
        office.slapd.delete(uid(name))
    outcome = await synchronise(office.house.services, office.provider)
    assert outcome.state == "held" and "4 of 5 people would lose" in outcome.message
    assert [await office.status(name, "/api/account") for name in STAFF] == [200] * 5
    (held,) = await office.events("directory_sync_held")
    assert held["object"] == "provider corp" and "Nothing was changed" in held["message"]
    answer = await office.house.admin.get("/api/identity-providers")
    (shown,) = answer.json()["items"]
    assert (shown["sync"]["state"], shown["people"], shown["title"]) == ("held", 5, "Corp")

    target, body = "/api/identity-providers/corp/sync", b'{"accept_shrink": true}'
    sent = {"content-type": "application/json", "content-length": str(len(body))}
    assert (await office.house.as_("kim").request("POST", target, sent, [body])).status == 403
    answer = await office.house.admin.request("POST", target, sent, [body])
    assert answer.status == 202 and answer.json()["sync"]["asked"]
    await synchronise_due(office.house.services, [office.provider])
    shown = (await office.house.admin.get("/api/identity-providers")).json()["items"][0]["sync"]
    assert (shown["state"], shown["disabled"], shown["asked"]) == ("ok", 4, False)
    await until(lambda: _is(office, "kim", 401), HEARD)
    _, last = await office.events("directory_synced")
    assert last["disabled"] == 4 and last["asked_by"] == "admin"


async def test_one_that_was_asked_for_survives_the_end_of_its_worker(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kim", "lee", "sam", "eve"):
        office.slapd.delete(uid(name))
    assert (await synchronise(office.house.services, office.provider)).state == "held"
    asked = await call(office.house.admin, "POST", "/api/identity-providers/corp/sync", {"accept_shrink": True})
    assert asked.status == 202, asked.body

    async def ended(_: LdapProvider) -> Any:
        raise asyncio.CancelledError

    with monkeypatch.context() as stopping:
        stopping.setattr(syncing, "everybody", ended)
        with pytest.raises(asyncio.CancelledError):
            await synchronise_due(office.house.services, [office.provider])
    assert (await shown(office))["asked"], "nothing has come of it yet"
    await some_minutes_pass(office)
    await synchronise_due(office.house.services, [office.provider])
    outcome = await shown(office)
    assert (outcome["state"], outcome["disabled"], outcome["asked"]) == ("ok", 4, False)
    assert [one.get("asked_by") for one in await office.events("directory_synced")] == [None, "admin"]


async def test_one_that_broke_off_is_made_up_for_within_minutes(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.slapd.delete(uid("bob"))

    async def ended(_: LdapProvider) -> Any:
        raise asyncio.CancelledError

    with monkeypatch.context() as stopping:
        stopping.setattr(syncing, "everybody", ended)
        with pytest.raises(asyncio.CancelledError):
            await synchronise(office.house.services, office.provider)
    await some_minutes_pass(office)
    await synchronise_due(office.house.services, [office.provider])
    await until(lambda: _is(office, "bob", 401), HEARD)


async def shown(office: Office) -> dict[str, Any]:
    """Return how the synchronisation went, as administrators are told."""
    answer = await office.house.admin.get("/api/identity-providers")
    found: dict[str, Any] = answer.json()["items"][0]["sync"]
    return found


async def some_minutes_pass(office: Office) -> None:
    """Let the last synchronisation have begun, and ended, so long ago that a failed one is tried again."""

    async def work(unit: Unit) -> None:
        row = await store.lock(unit, office.provider.name)
        assert row is not None and row.synced_at is not None
        ago = (syncing.RETRY_SECONDS + 1) * SECOND
        row.sync.tried_at -= ago
        await store.set_sync(unit, row.id, row.synced_at - ago, row.sync)

    await office.db.write(work)


async def test_a_directory_that_is_away_changes_nothing(office: Office, corp: Slapd) -> None:
    broken = LdapProvider(name="corp", url="ldap://127.0.0.1:1", user_base=PEOPLE, timeout_seconds=1.0)
    for _ in range(2):
        outcome = await synchronise(office.house.services, broken)
        assert outcome.state == "failed" and "cannot be used" in outcome.message
    assert [await office.status(name, "/api/account") for name in STAFF] == [200] * 5
    assert len(await office.events("directory_sync_failed")) == 1  # not again each time
    shown = (await office.house.admin.get("/api/identity-providers")).json()["items"][0]["sync"]
    assert shown["state"] == "failed" and shown["completed_at"] is not None
    await synchronise_due(office.house.services, [broken])  # not before some minutes have passed
    assert shown == (await office.house.admin.get("/api/identity-providers")).json()["items"][0]["sync"]


async def test_a_group_made_here_is_not_joined_because_it_has_the_same_name(office: Office) -> None:
    await office.db.write(lambda unit: groups.insert_group(unit, "ops", ""))
    office.slapd.add(cn("ops"), group("ops", [uid("eve")]))
    await synchronise(office.house.services, office.provider)
    found = await groups.by_name(office.db, "ops")
    assert found is not None
    eve = next(one for one in await store.vouched(office.db, 1) if one.username == "eve")
    assert found.id not in eve.groups


async def test_the_file_names_groups_and_roles(backend: Backend, corp: Slapd, tmp_path: Path) -> None:
    more = 'required_groups = ["all"]\n[provider.groups]\nData = "science"\n[provider.roles]\nData = "admin"\n'
    async with open_house(backend, identity_file=str(identity_file(tmp_path, corp, more))) as house:
        office = Office(house, corp)
        await house.services.db.write(lambda unit: groups.insert_group(unit, "science", ""))
        await office.arrive("kim")
        assert await office.status("kim", "/api/users") == 403
        await synchronise(house.services, office.provider)
        await until(lambda: _may(office, "kim", 200), HEARD)
        names = await house.services.db.fetch_all(
            "SELECT name FROM user_group JOIN group_member ON group_id = user_group.id WHERE account_id = :number",
            number=house.people["kim"].principal.account_id,
        )
        assert {row[0] for row in names} == {"science", "all"}
        corp.set(cn("all"), "member", [uid("sam")])  # whoever is in no required group is out
        assert (await synchronise(house.services, office.provider)).disabled == 1
        await until(lambda: _is(office, "kim", 401), HEARD)


async def _may(office: Office, name: str, status: int) -> bool:
    return await office.status(name, "/api/users") == status


async def test_the_last_administrator_stays(backend: Backend, corp: Slapd, tmp_path: Path) -> None:
    more = '[provider.roles]\nData = "admin"\n'
    async with open_house(backend, identity_file=str(identity_file(tmp_path, corp, more))) as house:
        office = Office(house, corp)
        await office.arrive("kim")
        await synchronise(house.services, office.provider)
        await staffing.set_disabled(office.db, "admin", True, "test")
        corp.delete(uid("kim"))
        await synchronise(house.services, office.provider)
        assert await account_store.any_admin(office.db)
        assert [event["object"] for event in await office.events("user_kept_admin")] == ["user kim"]
