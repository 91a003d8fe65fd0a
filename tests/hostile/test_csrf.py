"""No page of another site changes anything, whatever the browser adds to the requests it is made to send.

Each writing row of the permission table is tried with each credential that browsers add by themselves.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from packhouse.doors.api.permissions import ROUTES
from tests.conftest import Backend
from tests.kit.house import House, basic, open_house
from tests.kit.pages import HOST, ORIGIN, Browser

PASSWORD = "correct horse battery"
#: what a browser says of a request that was none of our pages'
FOREIGN = {
    "cross-site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "without an origin": {"sec-fetch-site": "cross-site"},
    "same-site": {"sec-fetch-site": "same-site", "origin": "http://other.127.0.0.1"},
    "says ours": {"sec-fetch-site": "cross-site", "origin": ORIGIN},
    "no TLS": {"origin": "http://evil.example"},
    "null": {"origin": "null"},
    "another port": {"origin": "http://127.0.0.1:81"},
    "another scheme": {"origin": "https://127.0.0.1:80"},
    "longer name": {"origin": "http://127.0.0.1:80.evil.example"},
    "nonsense": {"sec-fetch-site": "SAME-ORIGIN "},
}
WRITES = sorted(route for route in ROUTES if route[0] not in ("GET", "HEAD", "OPTIONS"))
#: on PostgreSQL one combination in so many is tried: they are refused before anything is asked of a database
FEW = 11
#: where nothing counts that a browser adds by itself: programs show in the body who they are
MACHINES = ("/login/{provider}/backchannel", "/openid-connect/token", "/openid-connect/auth/device")


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        await opened.person("boss", "admin", PASSWORD)
        await opened.channel("pub")
        yield opened


def address(template: str) -> str:
    return template.replace("{channel}", "pub").replace("{subchannel}", "sub").replace("{", "").replace("}", "")


async def test_no_writing_route_answers_another_sites_page(house: House, backend: Backend) -> None:
    browser = Browser(house.web)
    assert (await browser.sign_in("boss", PASSWORD)).status == 303
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    carriers = {"cookie": {"cookie": cookie}, "basic": {"authorization": basic("boss", PASSWORD)}, "none": {}}
    before = await changes(house)
    tried = 0
    combined = [*itertools.product(WRITES, FOREIGN.items(), carriers.items())]
    few = combined if backend.name.startswith("sqlite") else combined[::FEW]
    for (method, template), (case, said), (carrier, shown) in few:
        if template.endswith(MACHINES):
            continue
        answer = await house.web.request(method, address(template), {"host": HOST, **said, **shown}, [b"{}"])
        assert (answer.status, answer.json()["code"]) == (403, "cross_site"), (method, template, case, carrier)
        tried += 1
    assert tried >= (1_000 if few is combined else 100)
    for method, template in WRITES:
        if not template.endswith(MACHINES):
            answer = await house.web.request(method, address(template), {"host": HOST, "cookie": cookie}, [b"{}"])
            assert answer.json()["code"] == "cross_site", (method, template, "a cookie, and nothing says from where")
    assert await changes(house) == before


async def test_where_programs_ask_nothing_counts_that_a_browser_adds(house: House) -> None:
    browser = Browser(house.web)
    assert (await browser.sign_in("boss", PASSWORD)).status == 303
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    said = {"host": HOST, "content-type": "application/x-www-form-urlencoded", **FOREIGN["cross-site"]}
    before = await changes(house)
    machines = [template for _, template in WRITES if template.endswith(MACHINES)]
    assert len(machines) == len(MACHINES)
    for template in machines:
        for fields in (b"", b"client_id=x&grant_type=authorization_code&code=x&logout_token=x"):
            told = set()
            for shown in ({}, {"cookie": cookie}, {"authorization": basic("boss", PASSWORD)}):
                answer = await house.web.request("POST", address(template), {**said, **shown}, [fields])
                told.add((answer.status, answer.body, answer.headers.get("set-cookie")))
            assert len(told) == 1, (template, "who is signed in is told from who is not")
            assert next(iter(told))[0] >= 400 and next(iter(told))[2] is None, template
    assert await changes(house) == before
    assert (await browser.get("/api/account")).status == 200


async def test_no_link_of_another_site_changes_anything(house: House) -> None:
    browser = Browser(house.web)
    assert (await browser.sign_in("boss", PASSWORD)).status == 303
    before = await changes(house)
    tables = ("account", "login", "token", "device_grant", "auth_code", "channel", "role", "user_group", "setting")
    counted = [await house.services.db.fetch_value(f"SELECT count(*) FROM {table}") for table in tables]
    for method, template in ROUTES:
        if method == "GET":
            answer = await browser.get(address(template), sec_fetch_site="cross-site", origin="https://evil.example")
            assert answer.status != 500, template
    assert await changes(house) == before
    assert counted == [await house.services.db.fetch_value(f"SELECT count(*) FROM {table}") for table in tables]
    assert (await browser.get("/api/account")).status == 200, "nor does a link sign anybody out"


async def test_the_data_plane_refuses_them_too(house: House) -> None:
    token = house.people["boss"].token
    for said, target in itertools.product(
        FOREIGN.values(),
        ("/api/repo/pub/noarch/one-1.0-0.conda", f"/t/{token}/api/repo/pub/noarch/one-1.0-0.conda", "/api/repo/pub/"),
    ):
        for method in ("PUT", "POST", "DELETE", "PATCH", "TRACE", "get"):
            answer = await house.web.request(method, target, {"host": HOST, **said, "authorization": basic("a", "b")})
            assert answer.status == 403 and answer.json()["code"] == "cross_site", (method, target)


async def test_signing_in_needs_our_own_page(house: House) -> None:
    """Else a page could sign its visitor in as somebody it knows, and see what they do there."""
    fields = b"username=boss&password=correct+horse+battery"
    kind = {"content-type": "application/x-www-form-urlencoded", "host": HOST}
    for case, said in {**FOREIGN, "nothing": {}}.items():
        answer = await house.web.request("POST", "/login", {**kind, **said}, [fields])
        assert answer.json()["code"] == "cross_site" and "set-cookie" not in answer.headers, case
    for said in ({"origin": ORIGIN}, {"sec-fetch-site": "same-origin", "origin": ORIGIN}):
        assert (await house.web.request("POST", "/login", {**kind, **said}, [fields])).status == 303


async def test_programs_and_our_own_pages_are_not_kept_out(house: House) -> None:
    body, kind = [b'{"name": "made"}'], {"content-type": "application/json", "host": HOST}
    token = house.people["boss"].auth
    assert (await house.web.request("POST", "/api/channels", {**kind, **token}, body)).status == 201
    browser = Browser(house.web)
    await browser.sign_in("boss", PASSWORD)
    for name, said in {"fetched": {"sec-fetch-site": "same-origin"}, "origin": {"origin": ORIGIN}}.items():
        made = await browser.request("POST", "/api/channels", {**kind, **said}, b'{"name": "%s"}' % name.encode())
        assert made.status == 201, made.body
    linked = await browser.get("/api/account", sec_fetch_site="cross-site")
    assert linked.status == 200, "a link from elsewhere may be followed"


async def changes(house: House) -> list[int]:
    return [int(await house.services.db.fetch_value(f"SELECT count(*) FROM {table}")) for table in ("event", "change")]
