"""The authorization code flow: a command line opens a browser, a person approves, a code comes back, once."""

from __future__ import annotations

import asyncio
import itertools
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import jwt

from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from tests.kit.asgi import Answer
from tests.kit.calls import call, read
from tests.kit.code_flow import (
    ANACONDA,
    ANACONDA_BACK,
    AUTHORIZE,
    CONNECT,
    REPO_BACK,
    VERIFIER,
    anaconda_asks,
    carried,
    challenge_of,
    decide,
    error,
    exchange,
    exchange_repo,
    repo_asks,
)
from tests.kit.house import House
from tests.kit.pages import HOST, Browser

PASSWORD = "correct horse battery"


async def browser_of(house: House, name: str = "ann") -> Browser:
    if name not in house.people:
        await house.person(name, password=PASSWORD)
    browser = Browser(house.web)
    assert (await browser.sign_in(name, PASSWORD)).status == 303
    return browser


async def asks_as(house: House, token: str, path: str = "/api/account") -> Answer:
    return await house.web.with_headers({"authorization": f"Bearer {token}"}).get(path)


async def until_refused(house: House, token: str) -> None:
    """Wait until a credential is refused, of which processes hear in time."""
    for _ in range(300):
        if (await asks_as(house, token)).status == 401:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it still works")


async def events(house: House, type: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await read(house.admin, f"/api/events?type={type}"))["items"]
    return found


async def test_a_person_lets_the_anaconda_command_in(house: House) -> None:
    asked = anaconda_asks(nonce="n-0S6_WzA2Mj")
    link = f"{AUTHORIZE}?{urlencode(asked)}"
    first = await Browser(house.web).get(link)
    assert first.status == 303 and first.headers["location"].startswith("/login?next=")
    onward = unquote(first.headers["location"].removeprefix("/login?next="))
    await house.person("ann", password=PASSWORD)
    browser = Browser(house.web)
    signed_in = await browser.sign_in("ann", PASSWORD, onward)
    assert signed_in.status == 303 and dict(parse_qsl(signed_in.headers["location"].partition("?")[2])) == asked
    page = await browser.get(signed_in.headers["location"])
    assert page.status == 200 and b"The anaconda command line" in page.body and b"127.0.0.1:8000" in page.body
    # browsers hold what a form is answered with to this, redirects included
    assert "form-action 'self' http://127.0.0.1:8000;" in page.headers["content-security-policy"]
    shown = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.body.decode()))
    assert shown == asked

    back = await carried(browser, shown)
    assert (back["state"], back["iss"]) == ("the state", f"http://{HOST}")
    given = await exchange(house.web, back["code"])
    assert given.status == 200 and given.headers["cache-control"] == "no-store"
    tokens = given.json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, "openid profile email")
    assert "refresh_token" not in tokens

    published = jwt.PyJWKSet.from_dict(await read(house.web, f"{CONNECT}/certs"))
    key = published[jwt.get_unverified_header(tokens["id_token"])["kid"]].key
    claims = jwt.decode(tokens["id_token"], key, ["RS256"], audience=ANACONDA, issuer=f"http://{HOST}")
    half = sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == urlsafe_b64encode(half).rstrip(b"=").decode()
    assert claims["nonce"] == "n-0S6_WzA2Mj" and claims["auth_time"] <= claims["iat"] < claims["exp"]
    assert (await asks_as(house, tokens["id_token"])).status == 401, "an ID token opens nothing"

    who = (await asks_as(house, tokens["access_token"], f"{CONNECT}/userinfo")).json()
    assert (who["sub"], who["preferred_username"]) == (claims["sub"], "ann")
    assert who.get("email_verified", False) is False, "true or false, never a number"
    login = house.web.with_headers({"authorization": f"Bearer {tokens['access_token']}"})
    assert (await login.request("POST", f"{CONNECT}/userinfo")).json() == who
    assert await read(login, "/api/auth/oauth2/userinfo") == who
    assert (await read(login, "/api/auth/account/profile"))["username"] == "ann"
    assert await read(login, "/api/auth/organizations/my") == []
    assert (await call(login, "POST", "/api/auth/api-keys", {})).status == 201
    assert [one["data"]["by"] for one in await events(house, "user_signed_in")] == ["command_line", "page"]
    approved = (await events(house, "command_line_approved"))[0]
    assert approved["data"]["client"] == ANACONDA


async def test_discovery_says_what_there_is(house: House) -> None:
    here = await read(house.web.with_headers({"host": HOST}), "/.well-known/openid-configuration")
    assert here["authorization_endpoint"] == f"http://{HOST}{AUTHORIZE}"
    assert here["response_types_supported"] == ["code"] and "authorization_code" in here["grant_types_supported"]
    assert here["code_challenge_methods_supported"] == ["S256"]
    for name in ("userinfo_endpoint", "end_session_endpoint", "jwks_uri"):
        path = here[name].removeprefix(f"http://{HOST}")
        answer = await house.as_("owner").get(path, host=HOST)
        assert answer.status == 200, name


async def test_what_a_person_denies_gives_nothing(house: House) -> None:
    browser = await browser_of(house)
    answer = await decide(browser, anaconda_asks(), "deny")
    back = dict(parse_qsl(answer.headers["location"].partition("?")[2]))
    assert answer.headers["location"].startswith(ANACONDA_BACK + "?")
    assert (back["error"], back["state"]) == ("access_denied", "the state") and "code" not in back
    assert len(await events(house, "command_line_denied")) == 1
    assert await house.services.db.fetch_value("SELECT count(*) FROM auth_code") == 0


WITHOUT_PKCE: list[dict[str, str | None]] = [
    {"code_challenge": None, "code_challenge_method": None},
    {"code_challenge_method": None},
    {"code_challenge": None},
    {"code_challenge_method": "plain", "code_challenge": VERIFIER},
    {"code_challenge": "short"},
    {"code_challenge": "a" * 44},
]


async def test_nobody_is_asked_without_pkce(house: House) -> None:
    browser = await browser_of(house)
    for other in WITHOUT_PKCE:
        asked = anaconda_asks(**other)
        for answer in (await browser.get(f"{AUTHORIZE}?{urlencode(asked)}"), await decide(browser, asked)):
            back = dict(parse_qsl(answer.headers["location"].partition("?")[2]))
            assert (answer.status, back["error"], back["state"]) == (303, "invalid_request", "the state"), other
    assert await house.services.db.fetch_value("SELECT count(*) FROM auth_code") == 0


NOT_THERE: list[tuple[dict[str, str | None], str]] = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"nonce": "n" * 600}, "invalid_request"),
    ({"nonce": "\0"}, "invalid_request"),
    ({"state": "é\r\nSet-Cookie: a=b"}, "invalid_request"),
    ({"request": "eyJ"}, "request_not_supported"),
    ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
    ({"prompt": "none"}, "consent_required"),
]


async def test_what_there_is_not_is_told_to_the_command_line(house: House) -> None:
    browser = await browser_of(house)
    for other, expected in NOT_THERE:
        asked = anaconda_asks(**other)
        answer = await browser.get(f"{AUTHORIZE}?{urlencode(asked)}")
        address, _, query = answer.headers["location"].partition("?")
        back = dict(parse_qsl(query))
        assert (answer.status, address, back["error"]) == (303, ANACONDA_BACK, expected), other
        assert back["state"] == asked["state"]
    stranger = await Browser(house.web).get(f"{AUTHORIZE}?{urlencode(anaconda_asks(prompt='none'))}")
    assert "error=login_required" in stranger.headers["location"]


ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "http://evil.example:8000/auth/oidc",
    "http://127.0.0.1:8000@evil.example/auth/oidc",
    "http://localhost:80@evil.example/",
    "http://localhost.evil.example:80/",
    "http://127.0.0.1.evil.example:8000/auth/oidc",
    "http://127.0.0.1:8000/auth/oidc/../..",
    "http://127.0.0.1:8000/auth/oidc?next=x",
    "http://127.0.0.1:8000/auth/oidc#",
    "http://127.0.0.1:8000/auth/oidc\n",
    "http://127.0.0.1:0/auth/oidc",
    "http://127.0.0.1:65536/auth/oidc",
    "http://127.0.0.1:٨٠/auth/oidc",
    "http://localhost:65536/",
    "http://localhost/",
    "http://localhost:80",
    "http://localhost:80/?a=b",
    "http://localhost:80/%0d%0a",
    "https://localhost:80/",
    "http://LOCALHOST:80/",
    "http://[::1]:80/",
    "javascript:alert(1)",
    "",
    None,
]


async def test_a_browser_is_never_sent_anywhere_else(house: House) -> None:
    """Neither with a code nor with an error."""
    browser = await browser_of(house)
    for asks, address in itertools.product((anaconda_asks, repo_asks), ELSEWHERE):
        for fields in (asks(redirect_uri=address), asks(redirect_uri=address, response_type="nonsense")):
            for answer in (await browser.get(f"{AUTHORIZE}?{urlencode(fields)}"), await decide(browser, fields)):
                assert answer.status == 400 and "location" not in answer.headers, address
                assert b"evil" not in answer.body
    assert await house.services.db.fetch_value("SELECT count(*) FROM auth_code") == 0


async def test_each_client_has_its_own_address(house: House) -> None:
    browser = await browser_of(house)
    for fields in (
        anaconda_asks(redirect_uri=REPO_BACK),
        repo_asks(redirect_uri=ANACONDA_BACK),
        anaconda_asks(client_id="somebody"),
        anaconda_asks(client_id=None),
    ):
        assert (await decide(browser, fields)).status == 400
    twice = await browser.get(f"{AUTHORIZE}?{urlencode(anaconda_asks())}&redirect_uri={REPO_BACK}")
    assert twice.status == 400
    port = anaconda_asks(redirect_uri="http://127.0.0.1:65535/auth/oidc")  # a command line takes one that is free
    assert "code" in await carried(browser, port)


WRONG: list[dict[str, str | None]] = [
    {"code_verifier": None},
    {"code_verifier": ""},
    {"code_verifier": VERIFIER + "x"},
    {"code_verifier": challenge_of(VERIFIER)},
    {"code_verifier": "é" * 50},
    {"redirect_uri": "http://127.0.0.1:8001/auth/oidc"},
    {"redirect_uri": None},
    {"client_id": "repo-service-cli"},
]


async def test_a_code_is_for_whoever_asked_for_it(house: House) -> None:
    browser = await browser_of(house)
    for other in WRONG:
        back = await carried(browser, anaconda_asks())
        assert error(await exchange(house.web, back["code"], **other)) == (400, "invalid_grant"), other
        # it is in wrong hands, and so counts no more
        assert error(await exchange(house.web, back["code"])) == (400, "invalid_grant"), other
    assert await house.services.db.fetch_value("SELECT count(*) FROM login WHERE kind = 'api'") == 0


async def test_codes_that_are_none(house: House) -> None:
    browser = await browser_of(house)
    back = await carried(browser, anaconda_asks())
    assert error(await exchange(house.web, back["code"], client_id="somebody")) == (401, "invalid_client")
    for code in ("", "0" * 48, back["code"].upper() + " ", "\0", None):
        assert error(await exchange(house.web, code or "")) == (400, "invalid_grant")
    rows = str(await house.services.db.fetch_all("SELECT * FROM auth_code"))
    assert back["code"] not in rows and VERIFIER not in rows
    assert (await exchange(house.web, back["code"])).status == 200, "none of that was this code"


async def test_a_code_is_for_a_minute(house: House) -> None:
    browser = await browser_of(house)
    back = await carried(browser, anaconda_asks())

    async def work(unit: Unit) -> None:
        life = await unit.fetch_value("SELECT expires_at - created_at FROM auth_code")
        assert life == 60 * SECOND
        await unit.execute("UPDATE auth_code SET expires_at = :now", now=unit.now)

    await house.services.db.write(work)
    assert error(await exchange(house.web, back["code"])) == (400, "invalid_grant")


async def test_showing_a_code_again_ends_what_came_of_it(house: House) -> None:
    browser = await browser_of(house)
    back, other = await carried(browser, anaconda_asks()), await carried(browser, anaconda_asks())
    token = (await exchange(house.web, back["code"])).json()["access_token"]
    unharmed = (await exchange(house.web, other["code"])).json()["access_token"]
    login = house.web.with_headers({"authorization": f"Bearer {token}"})
    key = (await call(login, "POST", "/api/auth/api-keys", {})).json()["api_key"]
    assert (await asks_as(house, key)).status == 200
    by_key = house.web.with_headers({"authorization": f"Bearer {key}"})
    made = [
        (await call(who, "POST", "/api/account/tokens", {"name": name})).json()["token"]
        for name, who in (("by the login", login), ("by the key", by_key))
    ]
    # whoever it is, and whatever else they know
    assert error(await exchange(house.web, back["code"], code_verifier=None)) == (400, "invalid_grant")
    await until_refused(house, token)
    for value in (key, *made):
        await until_refused(house, value)
    assert (await asks_as(house, unharmed)).status == 200
    replayed = await events(house, "authorization_code_replayed")
    assert len(replayed) == 1 and len(replayed[0]["data"]["logins"]) == 2
    assert len(replayed[0]["data"]["tokens"]) == 2
    assert error(await exchange(house.web, back["code"])) == (400, "invalid_grant")
    assert len(await events(house, "authorization_code_replayed")) == 1, "nothing was left to end"


async def test_of_many_who_come_at_once_one_is_given_a_token(house: House) -> None:
    browser = await browser_of(house)
    back = await carried(browser, anaconda_asks())
    answers = await asyncio.gather(*(exchange(house.web, back["code"]) for _ in range(6)))
    given = [answer.json()["access_token"] for answer in answers if answer.status == 200]
    assert len(given) == 1
    await until_refused(house, given[0])  # all the others had the code, too


async def test_whoever_is_signed_out_or_disabled_gives_nothing_any_more(house: House) -> None:
    browser = await browser_of(house)
    back = await carried(browser, anaconda_asks())
    await browser.post("/logout")
    assert error(await exchange(house.web, back["code"])) == (400, "invalid_grant")
    browser = await browser_of(house)
    back = await carried(browser, anaconda_asks())
    assert (await call(house.admin, "PUT", "/api/users/ann", {"disabled": True})).status == 200
    assert error(await exchange(house.web, back["code"])) == (400, "invalid_grant")


async def test_states_and_people_are_not_mixed_up(house: House) -> None:
    """Two logins at a time, of two people: each code is whose browser approved, each state the one it came with."""
    ann, bob = await browser_of(house, "ann"), await browser_of(house, "bob")
    strange = "a b+c%26d&e=\"'<script>#?/"
    hers, his = await carried(ann, anaconda_asks(state=strange)), await carried(bob, anaconda_asks(state="2"))
    assert (hers["state"], his["state"]) == (strange, "2")
    page = await ann.get(f"{AUTHORIZE}?{urlencode(anaconda_asks(state=strange))}")
    assert b"<script>" not in page.body
    for back, name in ((his, "bob"), (hers, "ann")):
        token = (await exchange(house.web, back["code"])).json()["access_token"]
        assert (await asks_as(house, token)).json()["username"] == name


async def test_verifiers_of_two_logins_are_not_mixed_up(house: House) -> None:
    browser = await browser_of(house)
    other = "v" * 64
    first = await carried(browser, anaconda_asks())
    second = await carried(browser, anaconda_asks(code_challenge=challenge_of(other)))
    assert error(await exchange(house.web, second["code"])) == (400, "invalid_grant")
    assert error(await exchange(house.web, first["code"], code_verifier=other)) == (400, "invalid_grant")


async def test_no_other_site_approves(house: House) -> None:
    browser, asked = await browser_of(house), anaconda_asks()
    for said in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ):
        answer = await decide(browser, asked, **said)
        assert (answer.status, answer.json()["code"]) == (403, "cross_site"), said
    assert (await browser.get(f"{AUTHORIZE}?{urlencode({**asked, 'answer': 'approve'})}")).status == 200, "it asks"
    nobody = await decide(Browser(house.web), asked)
    assert nobody.status == 303 and nobody.headers["location"].startswith("/login?next=")
    by_token = await decide(Browser(house.as_("ann")), asked)  # a token is no browser
    assert by_token.status == 303 and by_token.headers["location"].startswith("/login?next=")
    undecided = await decide(browser, asked, "perhaps")
    assert undecided.status == 200 and b"Approve" in undecided.body
    assert await house.services.db.fetch_value("SELECT count(*) FROM auth_code") == 0
    framed = await browser.get(f"{AUTHORIZE}?{urlencode(asked)}")
    assert framed.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in framed.headers["content-security-policy"]


async def test_a_request_that_is_too_long_to_come_back_to_is_refused(house: House) -> None:
    answer = await Browser(house.web).get(f"{AUTHORIZE}?{urlencode(anaconda_asks(state='s' * 3000))}")
    assert dict(parse_qsl(answer.headers["location"].partition("?")[2]))["error"] == "invalid_request"


async def test_a_link_signs_nobody_out(house: House) -> None:
    browser = await browser_of(house)
    target = f"{CONNECT}/logout?post_logout_redirect_uri=https://evil.example/"
    page = await browser.get(target)
    assert page.status == 200 and b"Sign out" in page.body and b"evil" not in page.body
    assert (await browser.get("/api/account")).status == 200
    assert b"signed out" in (await Browser(house.web).get(target)).body


async def test_the_old_command_line_may_use_pkce_and_is_then_held_to_it(house: House) -> None:
    browser = await browser_of(house)
    proven = repo_asks(code_challenge=challenge_of(VERIFIER), code_challenge_method="S256")
    back = await carried(browser, proven)
    assert error(await exchange_repo(house.web, back["code"])) == (400, "invalid_grant")
    back = await carried(browser, proven)
    assert (await exchange_repo(house.web, back["code"], code_verifier=VERIFIER)).status == 200
    back = await carried(browser, repo_asks())  # somebody took the challenge out of the link
    assert error(await exchange_repo(house.web, back["code"], code_verifier=VERIFIER)) == (400, "invalid_grant")
    assert (
        (await decide(browser, repo_asks(code_challenge=VERIFIER, code_challenge_method="plain")))
        .headers["location"]
        .startswith(f"{REPO_BACK}?error=invalid_request")
    )
