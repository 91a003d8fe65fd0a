"""A thousand secrets are shown to a server in every way clients have: none is found in what it writes anywhere."""

from __future__ import annotations

import base64
import io
import json
import logging
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from packhouse.core import log
from packhouse.doors.api.permissions import ROUTES
from packhouse.doors.credentials import mask
from tests.conftest import Backend
from tests.kit.house import House, basic, open_house

NUMBER = 1000
#: what is sent that is neither a credential nor a body of a route
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def shown(kind: int, secret: str, target: str) -> tuple[str, dict[str, str], bytes]:
    """Return the target, headers and body of a request that has the secret in one of its places."""
    token = secret.encode().hex()[:48]
    body = {"username": "ann", "password": secret}
    carriers: list[tuple[str, dict[str, str], bytes]] = [
        (target, {"x-auth": token}, b""),
        (target, {"x-api-key": f"ph-{token}"}, b""),
        (target, {"authorization": f"Bearer {token}"}, b""),
        (target, {"authorization": f"token {token}"}, b""),
        (target, {"authorization": f"Bearer eyJhbGciOiJIUzI1NiJ9.{token}.{token}"}, b""),
        (target, {"authorization": basic("ann", secret)}, b""),
        (target, {"authorization": basic(token, "x-auth-token")}, b""),
        (target, {"authorization": basic("__token__", token)}, b""),
        (target, {"authorization": f"Digest {secret}"}, b""),
        (f"/t/{token}{target}", {}, b""),
        (f"/api/repo/t/{token}/team/noarch/repodata.json", {}, b""),
        (f"/api/repo/t/{secret}/team/noarch/repodata.json", {}, b""),
        (f"{target}?token={token}", {}, b""),
        (f"{target}?access_token={secret}&code={secret}", {}, b""),
        (target, {"cookie": f"packhouse={token}{token[:16]}; __Host-packhouse={secret}"}, b""),
        ("/api/auth/login", JSON, json.dumps(body).encode()),
        ("/api/auth/login", JSON, json.dumps({**body, "password": [secret]}).encode()),
        ("/api/auth/login", JSON, json.dumps({"password": secret})[:-1].encode()),
        ("/login", FORM, f"username=ann&password={secret}".encode()),
        ("/auth/realms/packhouse/protocol/openid-connect/token", FORM,
         f"client_secret={secret}&device_code={secret}&code={secret}&code_verifier={secret}".encode()),
    ]  # fmt: skip
    return carriers[kind % len(carriers)]


def forms(secret: str) -> list[bytes]:
    """Return how a secret could be written down: as it is, in hex, in base64, percent-encoded."""
    found = [secret.encode(), quote(secret, safe="").encode(), basic("ann", secret).removeprefix("Basic ").encode()]
    for text in (secret, secret.encode().hex()[:48]):
        found += [text.encode(), text.encode().hex().encode(), base64.b64encode(text.encode()).rstrip(b"=")[:-1]]
    return found


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged from now on, at the lowest level there is, by us and by every library."""
    root, lines = logging.getLogger(), io.StringIO()
    before = (root.level, root.handlers[:])
    log.configure("json", "debug", mask)
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(lines)
    yield lines
    root.setLevel(before[0])
    root.handlers[:] = before[1]


async def everything(house: House) -> bytes:
    """Return every row of every table, as text."""
    from packhouse.core.db.types import METADATA

    rows: list[Any] = []
    for table in METADATA.tables:
        rows += await house.services.db.fetch_all(f"SELECT * FROM {table}")
    return repr(rows).encode()


async def test_no_secret_is_found_in_what_is_written(
    backend: Backend, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    secrets = [f"s3cr3t+{chance.randbytes(18).hex()}" for _ in range(NUMBER)]
    addresses = [(method, path.replace("{", "").replace("}", "")) for method, path in ROUTES]
    said = []
    async with open_house(backend) as house:
        await house.person("ann", password=secrets[0])
        await house.channel("team", "private", "ann")
        used = house.people["ann"].token
        for number, secret in enumerate(secrets):
            method, path = addresses[number % len(addresses)]
            target, headers, body = shown(number, secret, path)
            if number == NUMBER * 3 // 4:  # from now on nothing works, and each request is a fault of ours
                monkeypatch.setattr(house.server._entrance, "_answers", None)
            answer = await house.web.request("POST" if body else method, target, headers, [body] if body else [])
            said.append(answer.body + repr(answer.headers).encode())
        monkeypatch.undo()
        assert (await house.as_("ann").get("/api/account")).status == 200
        for level in ("debug", "error"):
            logging.getLogger("library").log(getattr(logging, level.upper()), "sent Authorization: Bearer %s", used)
        rows = await everything(house)
    assert "request failed" in written.getvalue() and "library" in written.getvalue()
    files = b"".join(path.read_bytes() for path in backend.data_dir.rglob("*") if path.is_file())
    for place, text in {
        "the log": written.getvalue().encode(), "an answer": b"".join(said), "the database": rows, "a file": files,
    }.items():  # fmt: skip
        assert used.encode() not in text, place
        for number, secret in enumerate(secrets):
            for form in forms(secret):
                assert form not in text, (place, number, secret)
