"""Bad input of every kind, to every route: refused with a reason, and never a fault of the server."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from typing import Any, cast, get_type_hints
from urllib.parse import quote

import pytest

from packhouse.doors.api import Api, document
from packhouse.doors.api.application import NOUNS
from packhouse.doors.api.bodies import structures
from packhouse.doors.api.permissions import ROUTES
from tests.kit.asgi import Client
from tests.kit.house import House

#: what a parameter or a member may be given
VALUES = [
    "", "0", "-1", "1e9", "9" * 30, str(2**63), "null", "true", "a", "ä€😀", "%00", "a\u0000b", "..", "'", '"', "*",
    "%", "_", "\\", "a" * 600, "<script>", "{{7*7}}", "' OR 1=1 --", "\u202e", "2026-13-45", "-name", "--",
]  # fmt: skip
JSON_VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, "", "a", "a\u0000", "ä😀", "x" * 100_000, [], {}, [[]], {"a": {"b": []}},
    ["a"], [{"name": "a"}], [{"name": "a\u0000", "family": "\u0000", "ckey": "\u0000"}],
]  # fmt: skip
BODIES = [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b'{"name": "\\ud800"}', b"[" * 5000, b"{}" * 2]
PARAMETERS = [
    "limit", "offset", "sort", "q", "family", "artifact_family", "platform", "version", "signed", "indexing_status",
    "size_from", "size_to", "created_from", "created_to", "include_subchannels", "cause", "name", "privacy", "files",
    "type", "actor", "object", "since", "until", "cve", "status", "origin", "sha256", "author", "channel",
    "ecosystem", "upstream", "format", "dry_run",
]  # fmt: skip
#: each route that takes a body -> the names of its members
MEMBERS = {
    (method, path.replace(":str", "").replace(":int", "")): [field.name for field in next(structures(body)).fields]
    for noun in NOUNS
    for handler in noun.HANDLERS
    if (body := get_type_hints(handler.fn).get("data")) is not None
    for method in handler.http_methods
    for path in handler.paths
}


@cache
def documented() -> dict[tuple[str, str], set[str]]:
    """Return the codes that the OpenAPI document gives for each route; any address can lead nowhere by its path."""
    paths = document(Api(cast(Any, None), cast(Any, None)).litestar)["paths"]
    found: dict[tuple[str, str], set[str]] = {("GET", "/api/openapi.json"): set()}
    for path, methods in paths.items():
        for method, operation in methods.items():
            said = " / ".join(answer["description"] for answer in operation["responses"].values())
            found[method.upper(), path] = {"method_not_allowed", *re.findall(r"`(\w+)`: ", said)}
    return found


async def check(house: House, method: str, template: str, target: str, body: bytes = b"") -> None:
    answer = await house.admin.request(method, target, {"content-type": "application/json"}, [body])
    assert answer.status < 500, (method, target, body[:200], answer.body)
    assert b"Traceback" not in answer.body
    if answer.status >= 400 and (method, template) in documented():  # pages for people are not among them
        problem = answer.json()
        assert problem["status"] == answer.status
        assert problem["code"] and problem["message"] and problem["error"]["code"] == problem["code"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["code"] in documented()[method, template], (method, target, problem)


def filled(template: str, values: dict[str, str]) -> str:
    """Return a path with its parameters replaced."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", quote(value, safe=""))
    return template


GOOD = {
    "channel": "team", "subchannel": "dev", "family": "conda", "name": "a", "notice_id": "1", "username": "outsider",
    "token_id": "x", "group": "team_owners", "role": "author", "account_id": "1", "provider": "corp",
    "provider_name": "corp", "mirror_id": "x", "statement_id": "1", "cve_id": "CVE-2024-0001", "sha256": "ab" * 32,
}  # fmt: skip
ALL = sorted(ROUTES)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 10))])
async def test_no_parameter_breaks_the_server(house: House, seed: int) -> None:
    dice = random.Random(seed)
    await house.channel("team")
    await house.channel("team/dev")
    await house.upload("team", "a")
    for method, template in ALL:
        if (method, template) == ("DELETE", "/api/users/{username}"):
            continue
        for _ in range(6):
            path = filled(template, GOOD)
            query = "&".join(f"{dice.choice(PARAMETERS)}={quote(dice.choice(VALUES))}" for _ in range(3))
            if method == "GET":
                await check(house, method, template, f"{path}?{query}")
            known = MEMBERS.get((method, template), []) * 3 + ["unknown"]
            members = {dice.choice(known): dice.choice(JSON_VALUES) for _ in range(dice.randint(0, 5))}
            if method != "DELETE" or "notice" in template:
                await check(house, method, template, path, json.dumps(members).encode())
                await check(house, method, template, path, dice.choice(BODIES))
            odd = {name: dice.choice(VALUES) or "x" for name in GOOD}
            await check(house, method, template, filled(template, {**odd, **dict.fromkeys(("channel",), "team")}))
            await check(house, method, template, filled(template, odd))
    assert (await house.admin.get("/api/system")).status == 200


async def test_a_bad_page_names_the_parameter(house: House) -> None:
    await house.channel("team")
    queries = ("limit=-1", "limit=x", "limit=1.5", f"limit={2**64}", "offset=-5", "sort=bogus")
    for path in ("/api/channels", "/api/channels/team/artifacts", "/api/artifacts"):
        for query in queries:
            answer = await house.web.get(f"{path}?{query}")
            assert answer.status == 400, (path, query, answer.body)
            assert query.split("=")[0] in answer.json()["message"]


async def test_a_body_that_lacks_something_is_told_what(house: House) -> None:
    said = {"{}": "lacks the member `name`", "[]": "of type `array`", "3": "of type `int`", "": "needs a body"}
    for body, words in said.items():
        answer = await house.admin.request(
            "POST", "/api/channels", {"content-type": "application/json"}, [body.encode()]
        )
        assert answer.status == 400 and words in answer.json()["message"], (body, answer.body)


async def test_a_fault_of_our_own_tells_a_number_and_nothing_else(house: House) -> None:
    await house.channel("team")
    await house.services.db.write(lambda unit: unit.execute("DROP TABLE notice"))
    answer = await house.web.get("/api/channels/team/notices")
    problem = answer.json()
    assert (answer.status, problem["code"]) == (500, "internal")
    assert problem["details"]["request_id"] in problem["message"]
    assert "notice" not in answer.body.decode().replace("/notices", "")


async def test_strangers_cannot_make_the_server_read_much(house: House) -> None:
    body = json.dumps({"username": [[]] * 10_000}).encode()

    async def status(client: Client, body: bytes) -> int:
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        return (await client.request("POST", "/api/auth/login", headers, [body])).status

    assert await status(house.web, body) == 413
    assert await status(house.admin, body) == 400
    assert await status(house.admin, b" " * (2 * 1024 * 1024 + 1)) == 413
