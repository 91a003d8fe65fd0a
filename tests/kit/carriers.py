"""Every way a client shows a credential."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from packhouse.doors.origins import PLAIN_COOKIE
from tests.kit.house import basic


class Credentials(NamedTuple):
    """What one person can show."""

    username: str
    password: str
    token: str
    key: str  #: a JWT
    cookie: str  #: the value of a browser's


class Shown(NamedTuple):
    """A request's target and headers with a credential in them."""

    target: str
    headers: dict[str, str]


Carrier = Callable[[Credentials, str], Shown]


def _authorization(value: Callable[[Credentials], str]) -> Carrier:
    return lambda who, target: Shown(target, {"authorization": value(who)})


def _after_repo(who: Credentials, target: str) -> Shown:
    """The token after `/api/repo`, where what is below `/api/` for management is found, too."""
    if not target.startswith("/api/"):
        return Shown(f"/t/{who.token}{target}", {})
    return Shown(f"/api/repo/t/{who.token}/{target.removeprefix('/api/').removeprefix('repo/')}", {})


CARRIERS: dict[str, Carrier] = {
    "X-Auth": lambda who, target: Shown(target, {"x-auth": who.token}),
    "X-API-Key": lambda who, target: Shown(target, {"x-api-key": who.token}),
    "Bearer": _authorization(lambda who: f"Bearer {who.token}"),
    "token": _authorization(lambda who: f"token {who.token}"),
    "Basic TOKEN:x-auth-token": _authorization(lambda who: basic(who.token, "x-auth-token")),
    "Basic __token__:TOKEN": _authorization(lambda who: basic("__token__", who.token)),
    "Basic USER:PASSWORD": _authorization(lambda who: basic(who.username, who.password)),
    "/t/TOKEN": lambda who, target: Shown(f"/t/{who.token}{target}", {}),
    "/api/repo/t/TOKEN": _after_repo,
    "JWT": _authorization(lambda who: f"Bearer {who.key}"),
    "cookie": lambda who, target: Shown(
        target, {"cookie": f"{PLAIN_COOKIE}={who.cookie}", "sec-fetch-site": "same-origin"}
    ),
}
