"""A password becomes a cookie on the login page: who that is, how it ends, and what a browser is told."""

from __future__ import annotations

import time
from pathlib import Path

from packhouse.catalog.changes import note
from packhouse.catalog.logins.cookies import IDLE
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.calls import read
from tests.kit.house import House, open_house, second_process
from tests.kit.jobs import HEARD
from tests.kit.pages import Browser

PASSWORD = "correct horse battery"


async def signed_in(house: House, name: str = "ann") -> Browser:
    if name not in house.people:
        await house.person(name, password=PASSWORD)
    browser = Browser(house.web)
    answer = await browser.sign_in(name, PASSWORD, "/api/account")
    assert (answer.status, answer.headers["location"]) == (303, "/api/account"), answer.body
    return browser


async def who(browser: Browser) -> str:
    answer = await browser.get("/api/account")
    return str(answer.json()["username"]) if answer.status == 200 else str(answer.status)


async def test_a_cookie_says_who_asks_until_they_sign_out(house: House) -> None:
    browser = await signed_in(house)
    old = dict(browser.cookies)
    assert await who(browser) == "ann"
    assert b'<strong id="who">ann</strong>' in (await browser.get("/login")).body
    assert b"signed out" in (await browser.post("/logout")).body
    assert browser.cookies == {}
    assert await who(browser) == "401"
    browser.cookies = old  # somebody kept it
    assert await who(browser) == "401"
    assert b'name="password"' in (await browser.get("/login")).body, "a dead cookie keeps nobody from signing in"
    told = [
        (event["event_type"], event["meta"]["actor"]) for event in (await read(house.admin, "/api/events"))["items"]
    ]
    told = [one for one in told if one[0].startswith("user_signed_")]
    assert told[:2] == [("user_signed_out", "ann"), ("user_signed_in", "ann")]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(house: House, backend: Backend) -> None:
    await house.person("ann", password=PASSWORD)
    said = (await Browser(house.web).sign_in("ann", PASSWORD)).headers["set-cookie"].lower()
    assert said.startswith("packhouse=") and "httponly" in said and "samesite=lax" in said and "path=/" in said
    page = await house.web.get("/login")
    assert "default-src 'none'" in page.headers["content-security-policy"] and b"<script" not in page.body
    assert page.headers["cache-control"] == "no-store" and page.headers["x-frame-options"] == "DENY"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    style = await house.web.get("/app/page.css")
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


async def test_over_tls_only_the_cookie_no_other_host_can_set_counts(backend: Backend) -> None:
    async with open_house(backend, public_url="https://packages.example.org") as house:
        await house.person("ann", password=PASSWORD)
        browser = Browser(house.web)
        answer = await browser.post(
            "/login", {"username": "ann", "password": PASSWORD}, origin="https://packages.example.org"
        )
        said = answer.headers["set-cookie"].lower()
        assert said.startswith("__host-packhouse=") and "secure" in said and "domain" not in said
        assert await who(browser) == "ann"
        browser.cookies = {"packhouse": browser.cookies["__Host-packhouse"]}
        assert await who(browser) == "401"


async def test_each_login_has_a_new_value_and_ends_the_one_before(house: House) -> None:
    browser = await signed_in(house)
    first = dict(browser.cookies)
    await browser.sign_in("ann", PASSWORD)
    assert browser.cookies != first and await who(browser) == "ann"
    browser.cookies = first
    assert await who(browser) == "401"


async def test_what_is_wrong_with_a_password_is_said_in_the_same_words(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    browser = Browser(house.web)
    wrong, nobody = await browser.sign_in("ann", "wrong"), await browser.sign_in("nobody", "wrong")
    assert wrong.status == nobody.status == 401
    assert wrong.body.replace(b"ann", b"nobody") == nobody.body and b"is wrong" in wrong.body
    odd = await browser.sign_in('"><script>', "wrong")
    assert b"<script>" not in odd.body
    assert browser.cookies == {}
    for fields in (b"username=ann&username=bob", b"%ff=%ff", b"username", b"a=1&" * 30):
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": "http://127.0.0.1:80"}
        assert (await browser.request("POST", "/login", headers, fields)).status == 400, fields


async def test_no_login_leads_to_another_site(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    for onward in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/a\r\nb",
        "javascript:1",
    ):
        answer = await Browser(house.web).sign_in("ann", PASSWORD, onward)
        assert answer.headers["location"] == "/login", onward


async def test_a_cookie_ends_with_its_account_and_when_it_is_not_used(house: House) -> None:
    browser, db = await signed_in(house), house.services.db
    await staffing.set_disabled(db, "ann", True, "admin")
    await house.caught_up()
    assert await who(browser) == "401"
    await staffing.set_disabled(db, "ann", False, "admin")

    async def later(micros: int) -> None:
        await db.write(lambda unit: unit.execute("UPDATE login SET seen_at = seen_at - :micros", micros=micros))
        await db.write(lambda unit: note(unit, "people"))  # nothing that is remembered counts any more
        await house.caught_up()

    idle = await signed_in(house)
    await later(IDLE - 60_000_000)
    assert await who(idle) == "ann", "and is used again with this"
    await later(IDLE - 60_000_000)
    assert await who(idle) == "ann"
    await later(IDLE + 1)
    assert await who(idle) == "401"


async def test_a_signed_out_cookie_stops_in_every_process(house: House, backend: Backend, tmp_path: Path) -> None:
    browser = await signed_in(house)
    await house.channel("secret", "private", owner="ann")
    await house.upload("secret", "one")
    target = "/api/repo/secret/noarch/repodata.json"
    async with second_process(backend, house, tmp_path / "second") as other:
        there = Browser(other.web)
        there.cookies = dict(browser.cookies)
        answer = await there.get(target)
        assert answer.status == 200 and "Cookie" in answer.headers["vary"]
        assert (await Browser(other.web).get(target)).status == 401, "what was answered to a cookie is hers alone"
        await browser.post("/logout")
        deadline = time.monotonic() + HEARD
        while (await there.get(target)).status != 401:
            assert time.monotonic() < deadline
            await other.caught_up()


async def test_a_header_counts_before_the_cookie(house: House) -> None:
    browser = await signed_in(house)
    answer = await browser.get("/api/account", **house.people["admin"].auth)
    assert answer.json()["username"] == "admin"
    assert answer.headers.get("cache-control") is None
    mine = await browser.get("/api/account")
    assert mine.headers["cache-control"] == "private, no-store" and mine.headers["vary"] == "Cookie"
    assert (await browser.get("/api/account", x_auth="0" * 48)).status == 401
