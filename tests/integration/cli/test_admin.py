"""`packhouse admin`, as somebody on the host runs it beside a live server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from pyotp import TOTP

from tests.conftest import Backend
from tests.kit.calls import call, read
from tests.kit.commands import plain_environment
from tests.kit.house import open_house

OLD, NEW = "correct horse battery", "another horse battery"


def run(cwd: Path, env: dict[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "packhouse", "admin", *words],
        cwd=cwd, env=plain_environment() | env, input=stdin, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


async def test_a_password_is_reset_beside_a_live_server(backend: Backend, tmp_path: Path) -> None:
    async with open_house(backend) as house:
        await house.person("ann", password=OLD)
        login = {"username": "ann", "password": OLD}
        session = (await call(house.web, "POST", "/api/auth/login", login)).json()["token"]
        bearer = house.web.with_headers({"authorization": f"Bearer {session}"})
        assert (await bearer.get("/api/account")).status == 200

        for words, text, says in (
            (("ann", "--stdin"), "short\n", "characters"),
            (("nobody", "--stdin"), NEW + "\n", "no user"),
            (("ann",), "", "--stdin"),
        ):
            wrong = run(tmp_path, backend.env, "reset-password", *words, stdin=text)
            assert wrong.returncode == 2
            assert says in wrong.stderr
        assert (await bearer.get("/api/account")).status == 200

        done = run(tmp_path, backend.env, "reset-password", "ann", "--stdin", stdin=NEW + "\n")
        assert done.returncode == 0, done.stderr
        assert "1 of their logins ended" in done.stdout
        assert NEW not in done.stdout + done.stderr
        await house.caught_up()
        assert (await bearer.get("/api/account")).status == 401
        assert (await call(house.web, "POST", "/api/auth/login", login)).status == 401
        assert (await call(house.web, "POST", "/api/auth/login", {**login, "password": NEW})).status == 200
        assert (await house.as_("ann").get("/api/account")).status == 200
        told = (await read(house.admin, "/api/events?type=user_password_changed"))["items"]
        assert [(event["meta"]["actor"], event["meta"]["object"]) for event in told] == [("system", "user ann")]


async def test_who_guessed_too_often_logs_in_with_the_password_that_is_set_for_them(
    backend: Backend, tmp_path: Path
) -> None:
    async with open_house(backend) as house:
        await house.person("ann", password=OLD)
        wrong, new = ({"username": "ann", "password": one} for one in ("not her password", NEW))
        statuses = [(await call(house.web, "POST", "/api/auth/login", wrong)).status for _ in range(12)]
        assert set(statuses) == {401, 429}
        # what the host does needs nothing that only the server has: not the variables of the identity file either
        oidc = 'kind = "oidc"\nname = "corp"\nissuer = "https://id.example.org"\nclient_id = "us"\n'
        secret = 'client_secret = "${PACKHOUSE_NOT_SET_HERE}"\n'
        (backend.data_dir / "identity.toml").write_text(f"[[provider]]\n{oidc}{secret}")
        done = run(tmp_path, backend.env, "reset-password", "ann", "--stdin", stdin=NEW + "\n")
        assert done.returncode == 0, done.stderr
        (backend.data_dir / "identity.toml").write_text('[[provider]]\nkind = "x"\n')
        assert run(tmp_path, backend.env, "rotate-keys").returncode == 0

        deadline = time.monotonic() + 90
        while (status := (await call(house.web, "POST", "/api/auth/login", new)).status) == 429:
            assert time.monotonic() < deadline  # the refusal itself is remembered for a second
            await asyncio.sleep(0.2)
        assert status == 200


async def test_a_second_factor_goes_with_the_password_only_if_asked(backend: Backend, tmp_path: Path) -> None:
    async with open_house(backend) as house:
        await house.person("ann", password=OLD)
        login = {"username": "ann", "password": NEW}
        session = (await call(house.web, "POST", "/api/auth/login", {**login, "password": OLD})).json()["token"]
        bearer = house.web.with_headers({"authorization": f"Bearer {session}"})
        secret = (await call(bearer, "POST", "/api/account/totp", {"password": OLD})).json()["secret"]
        shown = {"code": TOTP(secret).at(int(time.time()))}
        assert (await call(bearer, "POST", "/api/account/totp/confirm", shown)).status == 200

        for words, status in (((), 401), (("--second-factor",), 200)):
            done = run(tmp_path, backend.env, "reset-password", "ann", "--stdin", *words, stdin=NEW + "\n")
            assert done.returncode == 0, done.stderr
            await house.caught_up()
            assert (await call(house.web, "POST", "/api/auth/login", login)).status == status, words
        told = (await read(house.admin, "/api/events?type=user_second_factor_removed"))["items"]
        assert [(event["meta"]["actor"], event["meta"]["object"]) for event in told] == [("system", "user ann")]
        assert await house.services.db.fetch_all("SELECT hash FROM recovery_code") == []


async def test_a_disabled_administrator_comes_back(backend: Backend, tmp_path: Path) -> None:
    async with open_house(backend) as house:
        await house.person("ann", password=OLD)
        await house.person("root", role="admin", password=OLD)
        login = {"username": "ann", "password": NEW}
        shut = await call(house.as_("root"), "PUT", "/api/users/ann", {"disabled": True})
        assert shut.status == 200, shut.body

        done = run(tmp_path, backend.env, "reset-password", "ann", "--stdin", stdin=NEW + "\n")
        assert "The account is disabled: `packhouse admin enable ann`" in done.stdout
        done = run(tmp_path, backend.env, "make-administrator", "ann")
        assert done.returncode == 0 and "ann is an administrator now. The account is disabled" in done.stdout, done
        assert (await call(house.web, "POST", "/api/auth/login", login)).status == 401
        for said in ("ann is enabled", "ann was not disabled"):
            done = run(tmp_path, backend.env, "enable", "ann")
            assert done.returncode == 0 and said in done.stdout, done
        await house.caught_up()
        session = (await call(house.web, "POST", "/api/auth/login", login)).json()["token"]
        bearer = house.web.with_headers({"authorization": f"Bearer {session}"})
        assert (await bearer.get("/api/users")).status == 200
        roles = (await read(house.admin, "/api/users/ann"))["roles"]
        assert sorted(roles) == ["admin", "author"], "those they had stay"
        for type_ in ("user_enabled", "user_roles_changed"):
            [told] = (await read(house.admin, f"/api/events?type={type_}"))["items"]
            assert (told["meta"]["actor"], told["meta"]["object"]) == ("system", "user ann")
        for command in ("enable", "make-administrator"):
            wrong = run(tmp_path, backend.env, command, "nobody")
            assert wrong.returncode == 2 and "no user" in wrong.stderr


async def test_keys_that_may_be_in_wrong_hands_are_retired(backend: Backend, tmp_path: Path) -> None:
    async with open_house(backend) as house:
        await house.person("ann", password=OLD)
        login = {"username": "ann", "password": OLD}
        session = (await call(house.web, "POST", "/api/auth/login", login)).json()["token"]
        bearer = house.web.with_headers({"authorization": f"Bearer {session}"})
        assert (await bearer.get("/api/account")).status == 200

        done = run(tmp_path, backend.env, "rotate-keys")
        assert done.returncode == 0, done.stderr
        assert "1 signing keys" in done.stdout
        await house.caught_up()
        assert (await bearer.get("/api/account")).status == 401
        assert (await house.as_("ann").get("/api/account")).status == 200  # a token is signed by nothing
        another = (await call(house.web, "POST", "/api/auth/login", login)).json()["token"]
        assert (await house.web.with_headers({"authorization": f"Bearer {another}"}).get("/api/account")).status == 200
        [told] = (await read(house.admin, "/api/events?type=signing_keys_retired"))["items"]
        assert told["meta"]["actor"] == "system"
