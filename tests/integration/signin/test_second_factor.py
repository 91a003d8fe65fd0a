"""A second factor: set up, asked for wherever a password is, each code once, and how somebody gets in without it."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from pyotp import TOTP

from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.asgi import Answer, Client
from tests.kit.calls import call, read
from tests.kit.house import House, basic, second_process
from tests.kit.jobs import HEARD
from tests.kit.pages import Browser

PASSWORD = "correct horse battery"
LOGIN = {"username": "ann", "password": PASSWORD}


def code(secret: str, later: int = 0) -> str:
    return TOTP(secret).at(int(time.time()) + 30 * later)


async def session(house: House, **members: str) -> Client:
    answer = await call(house.web, "POST", "/api/auth/login", {**LOGIN, **members})
    assert answer.status == 200, answer.body
    return house.web.with_headers({"authorization": f"Bearer {answer.json()['token']}"})


async def enrolled(house: House) -> tuple[str, list[str], Client]:
    """Let ann have a second factor; return its seed, the recovery codes and her session."""
    await house.person("ann", password=PASSWORD)
    ann = await session(house)
    made = (await call(ann, "POST", "/api/account/totp", {"password": PASSWORD})).json()
    confirmed = await call(ann, "POST", "/api/account/totp/confirm", {"code": code(made["secret"])})
    assert confirmed.status == 200, confirmed.body
    await unused(house)
    return made["secret"], confirmed.json()["recovery_codes"], ann


async def unused(house: House) -> None:
    """Let every code count as not used, as if time had passed."""
    await house.services.db.write(lambda unit: unit.execute("UPDATE account SET totp_step = 0"))


async def log_in(house: House, **members: str) -> Answer:
    return await call(house.web, "POST", "/api/auth/login", {**LOGIN, **members})


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, "" if answer.status < 400 else str(answer.json()["code"])


async def test_what_was_guessed_wrong_is_in_the_log_without_what_was_guessed(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await enrolled(house)
    await house.person("bob", password=PASSWORD)
    await call(house.admin, "PUT", "/api/users/bob", {"disabled": True})
    for username, password, more in (
        ("ann", "my secret", {}),
        ("bob", PASSWORD, {}),
        ("hunter2", "ann", {}),  # a password where the name belongs
        ("ann", PASSWORD, {"code": "000000"}),
    ):
        assert (await log_in(house, username=username, password=password, **more)).status == 401
    lines = [(one.getMessage(), vars(one)["values"]) for one in caplog.records if "refused" in one.getMessage()]
    assert [(event, told["account"], told.get("why")) for event, told in lines] == [
        ("password refused", "ann", "the password is wrong"),
        ("password refused", "bob", "the account is disabled"),
        ("password refused", None, "there is no such account"),
        ("code refused", "ann", None),
    ]
    assert {told["address"] for _, told in lines} == {"127.0.0.1"}
    assert not any(secret in str(lines) for secret in ("my secret", "hunter2", PASSWORD, "000000"))


async def told(house: House, type_: str) -> list[Any]:
    events = (await read(house.admin, f"/api/events?type={type_}"))["items"]
    return [(event["meta"]["actor"], event["meta"]["object"]) for event in events]


async def test_it_is_asked_for_once_a_code_was_confirmed(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    ann, elsewhere = await session(house), await session(house)
    wrong = await call(ann, "POST", "/api/account/totp", {"password": "wrong"})
    assert refusal(wrong) == (401, "unauthenticated")
    first = (await call(ann, "POST", "/api/account/totp", {"password": PASSWORD})).json()
    made = (await call(ann, "POST", "/api/account/totp", {"password": PASSWORD})).json()
    assert made["secret"] != first["secret"] and made["qr_svg"].startswith("<svg")
    assert (await log_in(house)).status == 200, "nobody has shown yet that they have the seed"
    for old in (code(first["secret"]), "000000", ""):
        answer = await call(ann, "POST", "/api/account/totp/confirm", {"code": old})
        assert refusal(answer) == (409, "conflict")
    confirmed = await call(ann, "POST", "/api/account/totp/confirm", {"code": code(made["secret"])})
    assert len(set(confirmed.json()["recovery_codes"])) == 10
    assert (await read(ann, "/api/account"))["profile"]["has_second_factor"] is True
    assert (await elsewhere.get("/api/account")).status == 401, "what was begun with one factor ends"
    again = await call(ann, "POST", "/api/account/totp", {"password": PASSWORD})
    assert refusal(again) == (409, "conflict")
    assert await told(house, "user_second_factor_added") == [("ann", "user ann")]
    for statement in ("SELECT totp_secret FROM account WHERE totp_since IS NOT NULL", "SELECT hash FROM recovery_code"):
        for (kept,) in await house.services.db.fetch_all(statement):
            assert made["secret"].encode() not in bytes(kept)


async def test_the_password_alone_works_nowhere(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    plain = house.web.with_headers({"authorization": basic("ann", PASSWORD)})
    assert (await plain.get("/api/account")).status == 200
    made = (await call(plain, "POST", "/api/account/totp", {"password": PASSWORD})).json()
    assert (await call(plain, "POST", "/api/account/totp/confirm", {"code": code(made["secret"])})).status == 200
    for target in ("/api/account", "/api/repo/none/noarch/repodata.json"):
        answer = await plain.get(target)
        assert refusal(answer) == (401, "second_factor_needed")
        assert "token" in answer.json()["detail"] and "www-authenticate" in answer.headers
    assert refusal(await log_in(house)) == (401, "second_factor_needed")
    assert refusal(await log_in(house, code="")) == (401, "second_factor_needed")
    assert refusal(await log_in(house, password="wrong", code=code(made["secret"], 1))) == (401, "unauthenticated")
    assert (await house.as_("ann").get("/api/account")).status == 200, "tokens go on working"


async def test_a_code_works_once(house: House) -> None:
    secret, _, _ = await enrolled(house)
    shown = code(secret)
    first = await asyncio.gather(*(log_in(house, code=shown) for _ in range(5)))
    assert sorted(answer.status for answer in first) == [200, 401, 401, 401, 401]
    assert refusal(await log_in(house, code=code(secret, -1))) == (401, "unauthenticated"), "nor an earlier one"
    later = code(secret, 1)
    assert (await log_in(house, code=f" {later[:3]} {later[3:]} ")).status == 200
    await unused(house)
    assert refusal(await log_in(house, code=code(secret, 3))) == (401, "unauthenticated")
    assert refusal(await log_in(house, code=code(secret, -3))) == (401, "unauthenticated")


async def test_each_recovery_code_works_once(house: House) -> None:
    _, codes, _ = await enrolled(house)
    first = await asyncio.gather(*(log_in(house, code=codes[0]) for _ in range(4)))
    assert sorted(answer.status for answer in first) == [200, 401, 401, 401]
    assert (await log_in(house, code=codes[1].upper().replace("-", " "))).status == 200
    assert refusal(await log_in(house, code="aaaaa-aaaaa")) == (401, "unauthenticated")
    events = (await read(house.admin, "/api/events?type=user_recovery_code_used"))["items"]
    assert len(events) == 2
    await house.person("bob", password=PASSWORD)
    theirs = await log_in(house, username="bob", code=codes[2])
    assert theirs.status == 200, "who has no second factor is asked for none"
    assert (await log_in(house, code=codes[2])).status == 200


async def test_a_second_page_asks_for_the_code(house: House) -> None:
    secret, codes, _ = await enrolled(house)
    browser = Browser(house.web)
    page = await browser.sign_in("ann", PASSWORD, "/api/account")
    assert page.status == 200 and b'name="code"' in page.body and browser.cookies == {}
    ticket = ticket_of(page)
    fields = {"ticket": ticket, "next": "/api/account"}
    wrong = await browser.post("/login", {**fields, "code": "000000"})
    assert (wrong.status, browser.cookies) == (401, {}) and ticket_of(wrong) == ticket
    used = code(secret)
    done = await browser.post("/login", {**fields, "code": used})
    assert (done.status, done.headers["location"]) == (303, "/api/account")
    assert (await browser.get("/api/account")).json()["username"] == "ann"
    assert (await browser.post("/login", {**fields, "code": used})).status == 401, "the code was used"
    [login] = [one for one in (await browser.get("/api/account/logins")).json()["items"] if one["current"]]
    assert (login["kind"], login["how"]) == ("browser", ["pwd", "otp"])
    other = Browser(house.web)
    await other.sign_in("ann", PASSWORD)
    assert (await other.post("/login", {**fields, "code": codes[0], "next": "//evil.example"})).status == 303


def ticket_of(page: Answer) -> str:
    found = re.search(rb'name="ticket" value="([^"]+)"', page.body)
    assert found is not None, page.body
    return found[1].decode()


async def test_a_ticket_is_of_this_server_for_five_minutes_and_one_password(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, codes, _ = await enrolled(house)
    browser, db = Browser(house.web), house.services.db
    ticket = ticket_of(await browser.sign_in("ann", PASSWORD))

    async def refused(shown: str) -> bool:
        answer = await browser.post("/login", {"ticket": shown, "code": codes[0]})
        return answer.status == 401 and b'name="password"' in answer.body and browser.cookies == {}

    for odd in ("", "x", "=", "é", ticket[:-8] + "AAAAAAAA", ticket[8:], ticket + ticket):
        assert await refused(odd), odd
    then = await db.now() + 301_000_000

    async def later() -> int:
        return then

    with monkeypatch.context() as patch:
        patch.setattr(db, "now", later)
        assert await refused(ticket)
    await staffing.set_password(db, "ann", PASSWORD, "admin")
    assert await refused(ticket)


async def test_guessing_is_slowed_down_wherever_the_password_was_right(house: House) -> None:
    secret, codes, _ = await enrolled(house)
    await house.services.db.write(lambda unit: unit.execute("DELETE FROM known_place"))
    guesses = [f"{number:06}" for number in range(12)]
    answers = [refusal(await log_in(house, code=guess)) for guess in guesses if guess != code(secret)]
    assert answers[:10] == [(401, "unauthenticated")] * 10
    assert answers[-1] == (429, "too_many_attempts")
    assert refusal(await log_in(house, code=codes[0])) == (429, "too_many_attempts"), "recovery codes, too"
    page = await Browser(house.web).sign_in("ann", PASSWORD)
    assert page.status == 200, "the password has attempts of its own"
    blocked = await Browser(house.web).post("/login", {"ticket": ticket_of(page), "code": codes[0]})
    assert blocked.status == 429 and b'name="ticket"' in blocked.body
    places = await house.services.db.fetch_all("SELECT account_id FROM known_place")
    assert places == [], "who knows the password only is at home nowhere"


async def test_it_is_turned_off_with_the_password_by_a_person(house: House) -> None:
    _, _, ann = await enrolled(house)
    token, path = house.as_("ann"), "/api/account/totp"
    for method, target, body in (
        ("POST", path, {"password": PASSWORD}),
        ("POST", f"{path}/confirm", {"code": "000000"}),
        ("DELETE", path, {"password": PASSWORD}),
    ):
        assert refusal(await call(token, method, target, body)) == (403, "forbidden"), (method, target)
    assert (await call(ann, "DELETE", path)).status == 400
    assert refusal(await call(ann, "DELETE", path, {"password": "wrong"})) == (401, "unauthenticated")
    assert (await log_in(house)).status == 401
    assert (await call(ann, "DELETE", path, {"password": PASSWORD})).status == 204
    assert (await log_in(house)).status == 200
    assert (await call(ann, "DELETE", path, {"password": PASSWORD})).status == 204
    assert await told(house, "user_second_factor_removed") == [("ann", "user ann")]
    assert await house.services.db.fetch_all("SELECT hash FROM recovery_code") == []


async def test_a_new_password_needs_the_old_one_and_no_code(house: House) -> None:
    secret, _, ann = await enrolled(house)
    sent = {"old_password": PASSWORD, "new_password": "new horse battery"}
    assert (await call(ann, "PUT", "/api/account/password", sent)).status == 204
    assert refusal(await log_in(house, password="new horse battery")) == (401, "second_factor_needed")
    assert (await log_in(house, password="new horse battery", code=code(secret))).status == 200


async def test_administrators_take_it_away_from_others_only(house: House) -> None:
    await enrolled(house)
    assert (await read(house.admin, "/api/users/ann"))["second_factor"] is True
    await house.person("bob")
    assert (await call(house.as_("bob"), "DELETE", "/api/users/ann/totp")).status == 403
    assert (await call(house.admin, "DELETE", "/api/users/nobody/totp")).status == 404
    assert refusal(await call(house.admin, "DELETE", "/api/users/admin/totp")) == (403, "forbidden")
    assert (await call(house.admin, "DELETE", "/api/users/ann/totp")).status == 204
    assert (await log_in(house)).status == 200
    assert await told(house, "user_second_factor_removed") == [("admin", "user ann")]


async def test_every_process_asks_for_it(house: House, backend: Backend, tmp_path: Path) -> None:
    await house.person("ann", password=PASSWORD)
    async with second_process(backend, house, tmp_path / "second") as other:
        there = other.web.with_headers({"authorization": basic("ann", PASSWORD)})
        assert (await there.get("/api/account")).status == 200
        ann = await session(house)
        made = (await call(ann, "POST", "/api/account/totp", {"password": PASSWORD})).json()
        await call(ann, "POST", "/api/account/totp/confirm", {"code": code(made["secret"])})
        deadline = time.monotonic() + HEARD
        while (await there.get("/api/account")).status != 401:
            assert time.monotonic() < deadline
            await other.caught_up()


async def test_people_see_and_end_their_logins(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    await house.person("bob", password=PASSWORD)
    one, two, theirs = await session(house), await session(house), await session(house, username="bob")
    path = "/api/account/logins"
    page = await read(one, path)
    assert page["total_count"] == 2 and [item["current"] for item in page["items"]].count(True) == 1
    assert {item["kind"] for item in page["items"]} == {"api"} and page["items"][0]["how"] == ["pwd"]
    assert (await read(one, f"{path}?limit=1&offset=1"))["items"] == page["items"][1:]
    [bobs] = (await read(theirs, path))["items"]
    for absent in (bobs["id"], "nothing"):
        assert refusal(await call(one, "DELETE", f"{path}/{absent}")) == (404, "not_found")
    [mine] = [item["id"] for item in page["items"] if not item["current"]]
    assert (await call(one, "DELETE", f"{path}/{mine}")).status == 204
    assert [(await who.get("/api/account")).status for who in (one, two, theirs)] == [200, 401, 200]
    three = await session(house)
    assert (await call(one, "DELETE", path)).status == 204
    assert [(await who.get("/api/account")).status for who in (one, three)] == [200, 401]
    assert (await call(house.as_("bob"), "DELETE", "/api/users/ann/logins")).status == 403
    assert (await call(house.admin, "DELETE", "/api/users/nobody/logins")).status == 404
    assert (await call(house.admin, "DELETE", "/api/users/ann/logins")).status == 204
    assert (await one.get("/api/account")).status == 401
    assert (await house.as_("ann").get("/api/account")).status == 200
    assert await told(house, "user_logins_ended") == [("admin", "user ann"), ("ann", "user ann")]


async def test_links_with_wrong_codes_of_command_lines_keep_nobody_out(house: House) -> None:
    """Any page may send a signed-in person to one."""
    secret, codes, _ = await enrolled(house)
    browser = Browser(house.web)
    fields = {"ticket": ticket_of(await browser.sign_in("ann", PASSWORD)), "code": codes[0]}
    assert (await browser.post("/login", fields)).status == 303
    answers = [(await browser.get(f"/device?user_code=BCDF-GHJ{last}")).status for last in "BCDFGHJKLMNP"]
    assert answers[-1] == 429
    assert (await log_in(house, code=code(secret))).status == 200
