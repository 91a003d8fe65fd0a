"""Logging in with a password that a real OpenLDAP keeps."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.accounts import store as accounts
from packhouse.workflows.signin.directory.syncing import synchronise
from packhouse.workflows.signin.identity import directories
from tests.conftest import Backend
from tests.integration.signin.test_ldap_sync import identity_file
from tests.kit.asgi import Answer
from tests.kit.calls import call
from tests.kit.house import House, open_house
from tests.kit.jobs import HEARD, until
from tests.kit.slapd import Slapd, cn, group, person, slapd, uid


@pytest.fixture
def corp(tmp_path: Path) -> Iterator[Slapd]:
    entries = {uid(name): person(name) for name in ("kim", "lee", "local")}
    entries[uid("Erica.Lamara@x")] = {**person("Erica.Lamara@x", "erica-password"), "givenName": ["Erica"]}
    entries[cn("data")] = group("data", [uid("kim")])
    with slapd(tmp_path / "corp", entries) as server:
        yield server


@pytest.fixture
async def house(backend: Backend, corp: Slapd, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(backend, identity_file=str(identity_file(tmp_path, corp))) as made:
        await made.person("local", password="a password of ours")
        yield made


async def login(house: House, username: str, password: str) -> Answer:
    body = json.dumps({"username": username, "password": password}).encode()
    sent = {"content-type": "application/json", "content-length": str(len(body))}
    return await house.web.request("POST", "/api/auth/login", sent, [body])


async def account(house: House, answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    bearer = {"authorization": f"Bearer {answer.json()['token']}"}
    found: dict[str, Any] = (await house.web.with_headers(bearer).get("/api/account")).json()
    return found


async def test_the_first_login_makes_the_account_and_its_groups(house: House) -> None:
    assert await accounts.by_name(house.services.db, "kim") is None
    assert (await login(house, "kim", "wrong")).status == 401
    assert await accounts.by_name(house.services.db, "kim") is None
    assert (await account(house, await login(house, "Kim", "kim-password")))["username"] == "kim"
    rows = await house.services.db.fetch_all(
        "SELECT user_group.name FROM user_group JOIN group_member ON group_id = user_group.id"
        " JOIN account ON account.id = account_id WHERE username = 'kim' AND source_id > 0"
    )
    assert [row[0] for row in rows] == ["data"]
    erica = await account(house, await login(house, "erica.lamara@x", "erica-password"))
    assert erica["username"] == "erica.lamara@x"


async def test_the_password_works_wherever_clients_send_one(house: House) -> None:
    value = base64.b64encode(b"lee:lee-password").decode()
    assert (await house.web.get("/api/account", authorization=f"Basic {value}")).status == 200
    wrong = base64.b64encode(b"lee:kim-password").decode()
    assert (await house.web.get("/api/account", authorization=f"Basic {wrong}")).status == 401


async def test_a_local_account_is_nobody_of_the_directory(house: House, corp: Slapd) -> None:
    assert (await login(house, "local", "local-password")).status == 401
    assert 'filter="(&(objectClass=person)(uid=local))"' not in corp.log
    assert (await login(house, "local", "a password of ours")).status == 200


async def test_a_local_account_makes_way_for_that_of_the_directory(house: House) -> None:
    """As docs/sign-in.md says under "From local accounts to a provider"."""
    await house.channel("local", "private", owner="local")
    assert (await login(house, "local", "local-password")).status == 401
    assert (await call(house.admin, "DELETE", "/api/users/local?heir=admin")).status == 204
    assert (await account(house, await login(house, "local", "local-password")))["username"] == "local"
    edit = await call(house.admin, "PUT", "/api/channels/local", {"owner": "local"})
    assert edit.status == 200, edit.body
    assert (await login(house, "local", "a password of ours")).status == 401


async def test_who_came_by_a_directory_is_told(house: House) -> None:
    await login(house, "kim", "kim-password")
    [told] = (await call(house.admin, "GET", "/api/events?type=user_signed_in")).json()["items"]
    del told["data"]["login"]
    assert (told["meta"]["actor"], told["data"]) == ("kim", {"by": "api", "how": ["pwd"], "provider": "corp"})


async def test_why_the_directory_lets_somebody_in_no_longer_is_in_the_log(
    backend: Backend, corp: Slapd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = identity_file(tmp_path, corp, 'required_groups = ["data"]\n')
    async with open_house(backend, identity_file=str(file)) as house:
        assert (await login(house, "kim", "kim-password")).status == 200
        assert (await login(house, "lee", "lee-password")).status == 401
    [told] = [vars(one)["values"] for one in caplog.records if one.getMessage() == "sign-in refused"]
    assert told == {"provider": "corp", "account": "lee", "why": "in none of the required groups"}


@pytest.mark.parametrize(
    "username, password", [("kim", ""), ("k*", "kim-password"), ("", ""), ("*", "x"), ("kim", "\0")]
)
async def test_nobody_gets_in_by_a_trick(house: House, username: str, password: str) -> None:
    assert (await login(house, username, password)).status in (400, 401)


async def test_who_is_gone_cannot_log_in_and_their_session_ends_with_the_synchronisation(
    house: House, corp: Slapd
) -> None:
    answer = await login(house, "lee", "lee-password")
    bearer = house.web.with_headers({"authorization": f"Bearer {answer.json()['token']}"})
    assert (await bearer.get("/api/account")).status == 200
    corp.delete(uid("lee"))
    assert (await login(house, "lee", "lee-password")).status == 401
    (provider,) = directories(house.services.providers)
    assert (await synchronise(house.services, provider)).disabled == 1

    async def ended() -> bool:
        return (await bearer.get("/api/account")).status == 401

    await until(ended, HEARD)
    corp.add(uid("lee"), person("lee", "another-password"))  # another person, whose name is taken here
    assert (await login(house, "lee", "another-password")).status == 409


async def test_while_the_directory_is_away_local_people_log_in(backend: Backend, corp: Slapd, tmp_path: Path) -> None:
    file = identity_file(tmp_path, corp)
    file.write_text(file.read_text().replace(f":{corp.tls_port}", ":1"))
    async with open_house(backend, identity_file=str(file)) as house:
        await house.person("local", password="a password of ours")
        assert (await login(house, "local", "a password of ours")).status == 200
        assert (await login(house, "local", "wrong")).status == 401
        answer = await login(house, "kim", "kim-password")
        assert answer.status == 502 and answer.json()["code"] == "directory_failed"
        assert "service-password" not in answer.body.decode()


async def test_guesses_are_throttled_before_the_directory_is_asked(house: House, corp: Slapd) -> None:
    statuses = [(await login(house, "kim", f"guess {number}")).status for number in range(30)]
    assert statuses[0] == 401 and statuses[-1] == 429
    assert corp.log.count(f'BIND dn="{uid("kim")}"') <= 15
