"""A thousand secrets are shown to a server in every way clients have: none is found in what it writes anywhere."""

from __future__ import annotations

import base64
import io
import json
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from pyotp import TOTP

from packhouse.catalog.mirrors.store import all_mirrors
from packhouse.catalog.notifications import hooks
from packhouse.core import log
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import FetchSettings
from packhouse.core.webhooks import deliver
from packhouse.doors.api.permissions import ROUTES
from packhouse.doors.credentials import mask
from packhouse.workflows.feeding.managing import ensure_feeds
from packhouse.workflows.signin.directory.syncing import synchronise
from packhouse.workflows.signin.identity import directories
from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.feeding import lines, osv, take
from tests.kit.house import House, basic, open_house
from tests.kit.mirroring import run_and_wait
from tests.kit.upstream import Basic, Upstream

NUMBER = 1000
ANN = {"username": "ann", "password": "correct horse battery"}
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


def found(secrets: Sequence[str], places: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Return (place, secret) of what can be read somewhere."""
    return [
        (place, secret) for place, text in places.items() for secret in secrets if any(f in text for f in forms(secret))
    ]


def files(backend: Backend) -> bytes:
    """Return what lies in the data folder: the database, too, where it is one file."""
    return b"".join(path.read_bytes() for path in backend.data_dir.rglob("*") if path.is_file())


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
    places = {"the log": written.getvalue().encode(), "an answer": b"".join(said), "a file": files(backend)}
    assert found([used, *secrets], {**places, "the database": rows}) == []


#: what is looked at once secrets that are read back have been used
LOOKED_AT = (
    "/api/account", "/api/users", "/api/mirrors", "/api/channels/team/mirrors", "/api/channels/team/history",
    "/api/channels/team/notifications", "/api/channels/team/notifications/deliveries", "/api/events?limit=1000",
    "/api/events/export", "/api/identity-providers", "/api/system", "/api/account/logins", "/api/feeds",
)  # fmt: skip


async def test_no_secret_is_found_that_is_read_back(
    backend: Backend, written: io.StringIO, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Seeds of second factors, what opens mirrors and webhooks, and what binds to a directory."""
    chance = random.Random(7)
    plain = [f"s3cr3t-{chance.randbytes(18).hex()}" for _ in range(9)]
    identity = tmp_path_factory.mktemp("elsewhere") / "identity.toml"
    directory = {"kind": "ldap", "name": "corp", "url": "ldaps://127.0.0.1:1", "user_base": "dc=x", "bind_dn": "cn=me"}
    lines = [f'{key} = "{value}"' for key, value in {**directory, "bind_password": plain[0]}.items()]
    identity.write_text("\n".join(["[[provider]]", "timeout_seconds = 1.0", *lines]))
    mirror = {
        "mirror_name": "m", "mirror_type": "conda", "mirror_mode": "passive", "run_now": False,
        "source_root": f"http://me:{plain[1]}@127.0.0.1:1/t/{plain[2]}/main", "proxy": f"http://p:{plain[3]}@127.0.0.1:1",
        "credential": {"username": "me", "password": plain[4], "token": plain[5], "headers": {"X-Auth": plain[6]}},
    }  # fmt: skip
    hook = {"url": f"http://127.0.0.1:1/{plain[7]}", "secret": plain[8]}
    async with open_house(backend, allowed_private_hosts="127.0.0.1:1", identity_file=str(identity)) as house:
        await house.person("ann", password="correct horse battery")
        await house.channel("team", "private")
        session = (await call(house.web, "POST", "/api/auth/login", ANN)).json()["token"]
        bearer = house.web.with_headers({"authorization": f"Bearer {session}"})
        seed = (await call(bearer, "POST", "/api/account/totp", {"password": ANN["password"]})).json()["secret"]
        code = TOTP(seed).at(int(time.time()))
        recovery = (await call(bearer, "POST", "/api/account/totp/confirm", {"code": code})).json()["recovery_codes"]
        for path, body in (("mirrors", mirror), ("notifications/webhooks", hook)):
            made = await call(house.admin, "POST", f"/api/channels/team/{path}", body)
            assert made.status == 201, made.body
        [one] = await all_mirrors(house.services.db)
        assert (await run_and_wait(house.services, one)).state == "failed"
        [provider] = directories(house.services.providers)
        assert (await synchronise(house.services, provider)).state == "failed"
        [kept] = await hooks.of_channel(house.services.db, one.channel_id)
        with pytest.raises(PackhouseError):
            await deliver(hooks.unseal(house.services.sealer, kept), "x", "d1", b"{}", FetchSettings(attempts=1))
        for wrong in ({**ANN, "code": "000000"}, {**ANN, "username": "bob"}, {**ANN, "code": recovery[0]}):
            await call(house.web, "POST", "/api/auth/login", wrong)
        answers = [await house.admin.get(path) for path in LOOKED_AT]
        assert {answer.status for answer in answers} == {200}
        said = b"".join(answer.body + repr(answer.headers).encode() for answer in answers)
        rows = await everything(house)
    places = {"the log": written.getvalue().encode(), "an answer": said, "the database": rows, "a file": files(backend)}
    assert found([session, seed, seed.lower(), *recovery, *plain], places) == []


async def test_no_secret_is_found_in_what_is_written_of_feeds(backend: Backend, written: io.StringIO) -> None:
    """Passwords, tokens and signed queries in addresses: of people, and of the settings; read, moved and refused."""
    chance = random.Random(9)
    plain = [f"s3cr3t-{chance.randbytes(18).hex()}" for _ in range(9)]
    records = lines([osv(1)])
    async with Upstream({"all": records, f"t/{plain[2]}/all": records}, require=Basic("me", plain[0])) as up:
        own = up.url.replace("http://", f"http://me:{plain[0]}@")
        signed, token = f"{own}/all?X-Signature={plain[1]}", f"{own}/t/{plain[2]}/all"
        gone = f"http://{plain[3]}:{plain[4]}@127.0.0.1:1/t/{plain[5]}/all.zip?k={plain[6]}#{plain[7]}"
        async with open_house(backend, feeds=f"{token},{gone}") as house:
            await ensure_feeds(house.services)
            body = {"name": "signed", "source": signed, "enabled": False}
            made = await call(house.admin, "POST", "/api/feeds", body)
            assert (made.status, made.json()["source"]) == (201, f"{up.url.replace('//', '//***@')}/all?***")
            shown = [made.body]
            for source in (gone.replace("http", "ftp"), f"http://me:{plain[8]}/x@y"):
                refused = await call(house.admin, "POST", "/api/feeds", {**body, "name": "other", "source": source})
                assert refused.status == 400
                shown.append(refused.body)
            for name, state in (
                ("signed", "completed"),
                ("127.0.0.1-t-all", "completed"),
                ("127.0.0.1-t-all.zip", "failed"),
            ):
                edited = await call(house.admin, "PUT", f"/api/feeds/{name}", {"every_seconds": 7200})
                again = await call(house.admin, "PUT", f"/api/feeds/{name}", edited.json())
                assert (edited.status, again.status) == (200, 200), again.body
                assert (await take(house.services, name)).state == state
            asked = {request.path for request in up.requests}
            answers = [await house.admin.get(path) for path in LOOKED_AT if "team" not in path]
            shown += [answer.body + repr(answer.headers).encode() for answer in answers]
            rows = await everything(house)
            await ensure_feeds(house.services)
            assert len((await call(house.admin, "GET", "/api/feeds")).json()["items"]) == 3
    assert asked == {"all", f"t/{plain[2]}/all"}, "each by its own credential"
    said = b"".join(shown)
    places = {"the log": written.getvalue().encode(), "an answer": said, "the database": rows, "a file": files(backend)}
    assert found(plain, places) == []
