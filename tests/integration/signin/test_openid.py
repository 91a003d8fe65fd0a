"""People whom an OpenID provider vouches for: what they are here, and how the provider takes its word back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from packhouse.catalog.changes import note
from packhouse.catalog.identities import federated
from packhouse.catalog.identities.federated import Upstream
from packhouse.catalog.installation.keys import load_keys
from packhouse.core.clock import DAY
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.signin.oidc import client as client_module
from packhouse.workflows.signin.oidc.client import Client as OidcClient
from packhouse.workflows.signin.oidc.client import Endpoints
from packhouse.workflows.signin.oidc.federation import Federation
from tests.conftest import Backend
from tests.kit.asgi import Client
from tests.kit.calls import call, read
from tests.kit.fake_idp import FakeIdp, fake_idp, identity_file
from tests.kit.house import House, basic, open_house
from tests.kit.keys import SEALER
from tests.kit.openid import arrives, recheck
from tests.kit.pages import ORIGIN, Browser

PASSWORD = "correct horse battery"
LOGOUT: dict[str, dict[str, str]] = {"http://schemas.openid.net/event/backchannel-logout": {}}


@pytest.fixture
async def idp() -> AsyncIterator[FakeIdp]:
    async with fake_idp("idp") as found:
        found.person |= {"groups": ["/science"], "email_verified": True, "given_name": "Kim"}
        yield found


@pytest.fixture
async def house(backend: Backend, idp: FakeIdp, tmp_path: Path) -> AsyncIterator[House]:
    file = tmp_path / "identity.toml"
    more = {"groups": {"/science": "science"}, "required_groups": ["/science", "/finance"], "title": "The Lab"}
    file.write_text(identity_file(idp, **more))
    async with open_house(backend, identity_file=str(file)) as opened:
        made = await call(opened.admin, "POST", "/api/groups", {"name": "science"})
        assert made.status == 201, made.body
        await opened.channel("secret", "private")
        shared = await call(opened.admin, "PUT", "/api/channels/secret/groups/science", {"level": "read"})
        assert shared.status < 300, shared.body
        yield opened


async def sees(browser: Browser) -> int:
    return (await browser.get("/api/channels/secret")).status


async def sends(browser: Browser, method: str, path: str, body: dict[str, Any]) -> int:
    """Return what a signed-in browser is answered that sends JSON."""
    headers = {"content-type": "application/json", "origin": ORIGIN}
    return (await browser.request(method, path, headers, msgspec.json.encode(body))).status


async def with_token(house: House, browser: Browser) -> Client:
    """Return a client with a token that a signed-in person makes for themselves."""
    sent = {"content-type": "application/json", "origin": ORIGIN}
    made = await browser.request("POST", "/api/account/tokens", sent, b'{"name": "conda"}')
    assert made.status == 200, made.body
    return house.web.with_headers({"x-auth": made.json()["token"]})


async def test_a_group_of_the_provider_opens_channels_and_closes_them(house: House, idp: FakeIdp) -> None:
    page = (await house.web.get("/login?next=/api/account")).body.decode()
    assert "Sign in with The Lab" in page and "/login/idp?next=%2Fapi%2Faccount" in page
    browser = Browser(house.web)
    answer = await arrives(browser, idp, "/api/account")
    assert (answer.status, answer.headers["location"]) == (303, "/api/account"), answer.body
    me = (await browser.get("/api/account")).json()
    assert (me["username"], me["user"]["email"], me["user"]["first_name"]) == ("kim", "kim@example.org", "Kim")
    assert await sees(browser) == 200
    idp.person["groups"] = ["/finance"]
    await recheck(house)
    assert await sees(browser) == 404 and (await browser.get("/api/account")).status == 200
    idp.person["groups"] = ["/science"]
    await recheck(house)
    assert await sees(browser) == 200
    idp.person["groups"] = ["/elsewhere"]
    await recheck(house)
    assert (await browser.get("/api/account")).status == 401, "who left the required groups is signed out"
    refused = await arrives(Browser(house.web), idp)
    assert refused.status == 403 and b"none of the groups" in refused.body


@pytest.mark.parametrize("seen", ["at a recheck", "at a sign-in"])
async def test_tokens_of_who_left_the_required_groups_stop_until_they_return(
    house: House, idp: FakeIdp, seen: str
) -> None:
    browser = Browser(house.web)
    await arrives(browser, idp)
    conda = await with_token(house, browser)

    async def reached() -> list[int]:
        paths = ("secret", "kim")  # that of the group, and their own
        return [(await call(conda, "GET", f"/api/channels/{path}")).status for path in paths]

    assert await reached() == [200, 200]
    idp.person["groups"] = ["/elsewhere"]
    if seen == "at a recheck":
        await recheck(house)
    else:
        assert (await arrives(Browser(house.web), idp)).status == 403
        await house.caught_up()
    assert await reached() == [401, 401]
    assert (await read(house.admin, "/api/channels/kim"))["owners"] == ["admin", "kim"], "it has an heir"
    idp.person["groups"] = ["/science"]
    assert (await arrives(Browser(house.web), idp)).status == 303
    await house.caught_up()
    assert await reached() == [200, 200]


async def test_the_last_administrator_is_not_turned_away(house: House, idp: FakeIdp) -> None:
    browser = Browser(house.web)
    await arrives(browser, idp)
    assert (await call(house.admin, "PUT", "/api/users/kim", {"roles": ["admin"]})).status == 200
    conda = await with_token(house, browser)
    assert (await call(conda, "PUT", "/api/users/admin", {"roles": ["author"]})).status == 200
    idp.person["groups"] = ["/elsewhere"]
    await recheck(house)
    assert (await browser.get("/api/account")).status == 401
    events = (await read(conda, "/api/events"))["items"]  # with a token that still works
    assert [one["meta"]["object"] for one in events if one["event_type"] == "user_kept_admin"] == ["user kim"]


async def test_no_word_of_a_provider_takes_the_last_administrator_away(
    backend: Backend, idp: FakeIdp, tmp_path: Path
) -> None:
    file = tmp_path / "identity.toml"
    file.write_text(identity_file(idp, roles={"ops": "admin"}))
    async with open_house(backend, identity_file=str(file)) as house:
        idp.person["realm_access"] = {"roles": ["ops"]}
        browser = Browser(house.web)
        await arrives(browser, idp)
        idp.person["realm_access"] = {"roles": []}
        await recheck(house)
        assert (await browser.get("/api/users")).status == 403, "there is another one"
        idp.person["realm_access"] = {"roles": ["ops"]}
        await recheck(house)
        assert await sends(browser, "PUT", "/api/users/admin", {"roles": ["author"]}) == 200
        idp.person |= {"realm_access": {"roles": []}, "groups": ["/others"]}
        await recheck(house)
        assert (await browser.get("/api/users")).status == 200
        again = Browser(house.web)
        assert (await arrives(again, idp)).status == 303
        assert (await again.get("/api/account")).json()["roles"] == ["admin", "author"]
        told = (await again.get("/api/events?type=user_kept_admin")).json()["items"]
        assert {one["meta"]["object"] for one in told} == {"user kim"}


async def test_who_is_asked_about_has_not_logged_in(house: House, idp: FakeIdp) -> None:
    browser, db = Browser(house.web), house.services.db
    await arrives(browser, idp)
    noted = "SELECT last_login_at FROM account WHERE username = 'kim'"
    assert await db.fetch_value(noted) is not None
    await db.write(lambda unit: unit.execute("UPDATE account SET last_login_at = 5 WHERE username = 'kim'"))
    await recheck(house)
    assert await db.fetch_value(noted) == 5


async def test_an_end_that_two_tell_of_is_one(house: House, idp: FakeIdp) -> None:
    browser, door = Browser(house.web), Federation(house.services)
    await arrives(browser, idp)
    found = await federated.named(house.services.db, await door.number("idp"), "sid-1", None)
    assert len(found) == 1
    await browser.post("/logout")
    await door._end(found, "signed out at the provider")  # which began before the browser's end was written
    ended = "SELECT count(*) FROM event WHERE type = 'user_signed_out'"
    assert await house.services.db.fetch_value(ended) == 1


async def test_who_comes_again_is_the_same_account_whatever_they_are_called(house: House, idp: FakeIdp) -> None:
    first, again = Browser(house.web), Browser(house.web)
    await arrives(first, idp)
    idp.person |= {"preferred_username": "kim.lee", "given_name": "Kimberly"}
    assert (await arrives(again, idp)).status == 303
    me = (await again.get("/api/account")).json()
    assert (me["username"], me["user"]["first_name"]) == ("kim", "Kimberly")
    assert me["user_id"] == (await first.get("/api/account")).json()["user_id"]
    types = [event["event_type"] for event in (await read(house.admin, "/api/events"))["items"]]
    assert types.count("user_created") == 2 and "user_signed_in" in types


async def test_no_role_admin_unless_the_file_gives_it(house: House, idp: FakeIdp) -> None:
    idp.person["realm_access"] = {"roles": ["admin", "offline_access", "author"]}
    browser = Browser(house.web)
    await arrives(browser, idp)
    assert (await browser.get("/api/users")).status == 403


async def test_no_name_of_a_role_makes_more_of_whom_the_provider_sends(house: House, idp: FakeIdp) -> None:
    """Else who may change roles would call a strong one as Keycloak calls a role that everybody has."""
    await call(house.admin, "POST", "/api/roles", {"name": "keepers", "levels": {"roles": "manage"}})
    await call(house.admin, "POST", "/api/roles", {"name": "operators", "levels": {"system": "manage"}})
    idp.person["realm_access"] = {"roles": ["offline_access"]}
    browser = Browser(house.web)
    await arrives(browser, idp)
    await call(house.admin, "PUT", "/api/users/kim", {"roles": ["author", "keepers"]})
    await house.caught_up()
    assert await sends(browser, "PUT", "/api/roles/operators", {"name": "offline_access"}) == 403
    assert await sends(browser, "PUT", "/api/roles/keepers", {"name": "offline_access"}) == 200, "they have all of it"
    await recheck(house)
    assert (await browser.get("/api/system/settings")).status == 403


async def test_no_name_of_a_group_lets_in_whom_the_provider_sends(house: House, idp: FakeIdp) -> None:
    await call(house.admin, "POST", "/api/roles", {"name": "grouping", "levels": {"channel.group": "manage"}})
    await call(house.admin, "POST", "/api/groups", {"name": "admins", "roles": ["admin"]})
    await call(house.admin, "POST", "/api/groups", {"name": "hidden"})
    await house.channel("other", "private")
    await call(house.admin, "PUT", "/api/channels/other/groups/hidden", {"level": "read"})
    browser = Browser(house.web)
    await arrives(browser, idp)
    await call(house.admin, "PUT", "/api/users/kim", {"roles": ["author", "grouping"]})
    await house.caught_up()
    assert await sends(browser, "PUT", "/api/groups/science", {"name": "before"}) == 200, "they are in it"
    for name in ("admins", "hidden"):
        assert await sends(browser, "PUT", f"/api/groups/{name}", {"name": "science"}) == 403
    await recheck(house)
    assert (await browser.get("/api/users/admin")).status == 403
    assert (await browser.get("/api/channels/other")).status == 404


async def test_no_user_administrator_says_whose_a_mail_address_is(
    backend: Backend, idp: FakeIdp, tmp_path: Path
) -> None:
    """Else they would say it of an account of their own, and become what the provider makes of its owner."""
    file = tmp_path / "identity.toml"
    file.write_text(identity_file(idp, link_by_email=True, roles={"ops": "admin"}))
    mine = {"email": idp.person["email"], "email_verified": True}
    async with open_house(backend, identity_file=str(file)) as house:
        for name in ("mal", "eve"):
            await house.person(name, password=PASSWORD)
        await call(house.admin, "PUT", "/api/users/mal", {"roles": ["author", "user-administrator"]})
        await house.caught_up()
        mal = house.web.with_headers({"authorization": basic("mal", PASSWORD)})
        for name in ("mal", "eve"):
            assert (await call(mal, "PUT", f"/api/users/{name}", mine)).status == 403
        assert (await call(mal, "POST", "/api/users", {"username": "new", "password": PASSWORD, **mine})).status == 403
        assert (await call(mal, "PUT", "/api/users/eve", {"email": mine["email"]})).status == 200, "not that it is hers"
        assert (await call(house.admin, "PUT", "/api/users/admin", mine)).status == 403, "nor of themselves"
        idp.person["realm_access"] = {"roles": ["ops"]}
        browser = Browser(house.web)
        assert (await arrives(browser, idp)).status == 303
        assert (await browser.get("/api/account")).json()["username"] == "kim"
        assert (await call(mal, "GET", "/api/users/admin")).status == 404


async def test_what_the_provider_no_longer_vouches_for_ends(house: House, idp: FakeIdp) -> None:
    browser, other = Browser(house.web), Browser(house.web)
    await arrives(browser, idp)
    idp.refreshing = {"error": "temporarily_unavailable"}
    await recheck(house)
    assert (await browser.get("/api/account")).status == 200, "a provider that does not answer changes nothing"
    waiting = "SELECT count(*) FROM login WHERE checked_at = 0 AND upstream IS NOT NULL"
    assert await house.services.db.fetch_value(waiting) == 0, "and those behind it have their turn"
    idp.refreshing = {"error": "invalid_grant"}
    await recheck(house)
    assert (await browser.get("/api/account")).status == 401
    idp.refreshing = None
    await arrives(other, idp)
    idp.person["sub"] = "s-2"
    await recheck(house)
    assert (await other.get("/api/account")).json()["username"] == "kim", "a word about somebody else is none"


async def test_that_a_provider_cannot_be_asked_again_is_told_once(
    house: House, idp: FakeIdp, caplog: pytest.LogCaptureFixture
) -> None:
    browser, federation = Browser(house.web), Federation(house.services)
    await arrives(browser, idp)
    sealed, db = Upstream("an ID token alone").sealed(house.services.sealer), house.services.db
    for _ in range(2):
        await db.write(lambda unit: unit.execute("UPDATE login SET checked_at = 0, upstream = :sealed", sealed=sealed))
        await federation.recheck(await load_keys(db, SEALER))
    assert [one.getMessage() for one in caplog.records].count("gave no refresh token") == 1
    assert await sees(browser) == 200


async def test_signing_out_works_in_both_directions(house: House, idp: FakeIdp) -> None:
    browser = Browser(house.web)
    await arrives(browser, idp)
    page = (await browser.post("/logout")).body.decode()
    address = page.split('id="there" href="')[1].split('"')[0].replace("&amp;", "&")
    query = dict(parse_qsl(urlsplit(address).query))
    assert address.startswith(f"{idp.issuer}/end_session?") and query["post_logout_redirect_uri"].endswith("/login")
    assert query["id_token_hint"].count(".") == 2

    now = int(time.time())
    said = {"iss": idp.issuer, "aud": "packhouse", "iat": now, "exp": now + 60, "jti": "1", "events": LOGOUT}
    for case, token in {
        "by the session": idp.signed({**said, "sid": "sid-1"}, typ="logout+jwt"),
        "by the person": idp.signed({**said, "sub": "s-1"}),
    }.items():
        again = Browser(house.web)
        await arrives(again, idp)
        wrong = {
            "of another session": idp.signed({**said, "sid": "sid-2"}),
            "forged": idp.signed({**said, "sid": "sid-1"}, "mallory"),
            "with a nonce": idp.signed({**said, "sid": "sid-1", "nonce": "n"}),
            "old": idp.signed({**said, "sid": "sid-1", "iat": now - 3600}),
            "an ID token": idp.signed({**idp.claims("n", "a")}),
            "of nobody": idp.signed(said),
            "of another client": idp.signed({**said, "sid": "sid-1", "aud": "x"}),
        }
        for why, bad in wrong.items():
            answer = await house.web.request("POST", "/login/idp/backchannel", KIND, [f"logout_token={bad}".encode()])
            assert answer.status == (200 if why == "of another session" else 400), why
        assert (await again.get("/api/account")).status == 200
        answer = await house.web.request("POST", "/login/idp/backchannel", KIND, [f"logout_token={token}".encode()])
        assert answer.status == 200, (case, answer.body)
        await house.caught_up()
        assert (await again.get("/api/account")).status == 401, case


KIND = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_sign_out_here_does_not_wait_for_the_provider(
    house: House, idp: FakeIdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, answers, ask = Browser(house.web), asyncio.Event(), OidcClient.endpoints
    await arrives(browser, idp)

    async def slowly(client: OidcClient) -> Endpoints:
        await answers.wait()
        return await ask(client)

    monkeypatch.setattr(OidcClient, "endpoints", slowly)
    leaving = asyncio.create_task(browser.post("/logout"))
    async with asyncio.timeout(90):
        while not await house.services.db.fetch_value("SELECT count(*) FROM login WHERE ended_at IS NOT NULL"):
            await asyncio.sleep(0.05)
    answers.set()
    assert b"/end_session?" in (await leaving).body


async def test_a_provider_that_is_away_is_asked_once_by_all_who_wait(
    house: House, idp: FakeIdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, asked = Federation(house.services).clients["idp"], []

    async def nobody(address: str, *_: object, **_named: object) -> None:
        asked.append(address)
        raise PackhouseError("upstream_failed", "Nobody answers there.", "Try again later.")

    with monkeypatch.context() as away:
        away.setattr(client_module, "ask_json", nobody)
        answers = await asyncio.gather(*(client.endpoints() for _ in range(10)), return_exceptions=True)
    assert {str(one) for one in answers} == {"Nobody answers there. Try again later."} and len(asked) == 1
    monkeypatch.setattr(client_module, "AWAY_SECONDS", 0.0)
    assert (await client.endpoints()).issuer == idp.issuer


async def test_whoever_signs_in_does_not_wait_for_keys_that_do_not_come(
    house: House, idp: FakeIdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may make us ask for them, with a word of nobody's."""
    client, asked, told = Federation(house.services).clients["idp"], asyncio.Event(), asyncio.Event()
    await client.endpoints()

    async def silent(*_: object, **_named: object) -> None:
        asked.set()
        await told.wait()
        raise PackhouseError("upstream_failed", "Nobody answers there.", "Try again later.")

    monkeypatch.setattr(client_module, "ask_json", silent)
    waiting = asyncio.create_task(client.with_keys(len))
    async with asyncio.timeout(60):
        await asked.wait()
        assert (await client.endpoints()).issuer == idp.issuer
    told.set()
    with pytest.raises(PackhouseError, match="Nobody answers there"):
        await waiting
    asked.clear()
    with pytest.raises(PackhouseError, match="Nobody answers there"):
        await client.with_keys(len)
    assert not asked.is_set()  # its silence is remembered


async def test_what_is_kept_of_the_providers_tokens_is_sealed(house: House, idp: FakeIdp) -> None:
    await arrives(Browser(house.web), idp)
    rows = await house.services.db.fetch_all("SELECT upstream FROM login WHERE upstream IS NOT NULL")
    assert rows and all(b"refresh-1" not in row[0] and b"eyJ" not in row[0] for row in rows)
    [verifier] = await house.services.db.fetch_all("SELECT verifier, nonce_hash, state_hash FROM attempt")
    assert all(len(part) >= 32 for part in verifier)


async def test_a_provider_that_is_away_is_told_on_a_page(backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "identity.toml"
    file.write_text(
        '[[provider]]\nkind = "oidc"\nname = "corp"\ntitle = "The <Corp>"\nclient_id = "us"\n'
        'issuer = "http://127.0.0.1:1/corp"\n'
    )
    async with open_house(backend, identity_file=str(file)) as house:
        said = await Browser(house.web).get("/login/corp")
    assert said.status == 502 and said.headers["content-type"].startswith("text/html")
    assert b"The &lt;Corp&gt; cannot be reached" in said.body


async def test_a_disabled_account_stays_out(house: House, idp: FakeIdp) -> None:
    browser = Browser(house.web)
    await arrives(browser, idp)
    assert (await call(house.admin, "PUT", "/api/users/kim", {"disabled": True})).status == 200
    await house.caught_up()
    assert (await browser.get("/api/account")).status == 401
    assert (await arrives(Browser(house.web), idp)).status in (401, 403)


async def test_the_word_of_a_silent_provider_ends(house: House, idp: FakeIdp) -> None:
    browser = Browser(house.web)
    await arrives(browser, idp)
    made = await browser.request(
        "POST", "/api/account/tokens", {"content-type": "application/json", "origin": ORIGIN}, b'{"name": "ci"}'
    )
    assert made.status == 200, made.body
    token = house.web.with_headers({"x-auth": made.json()["token"]})
    for days, status in ((29, 200), (31, 401)):
        await house.services.db.write(partial(grow_silent, micros=days * DAY))
        await house.caught_up()
        assert await sees(browser) == (await token.get("/api/channels/secret")).status == status
    assert "has not done so for 30 days" in (await token.get("/api/account")).json()["message"]
    await arrives(Browser(house.web), idp)
    assert (await token.get("/api/channels/secret")).status == await sees(browser) == 200


async def grow_silent(unit: Unit, micros: int) -> None:
    """Let time pass since the provider vouched for anybody."""
    await unit.execute("UPDATE account SET confirmed_at = :at WHERE confirmed_at > 0", at=unit.now - micros)
    await note(unit, "people")
