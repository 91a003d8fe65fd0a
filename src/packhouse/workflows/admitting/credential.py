"""What a caller shows to prove who they are, as taken from a request and not checked yet."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

#: what conda recognises and masks in a URL
TOKEN = re.compile(r"[A-Za-z0-9-]{1,512}")
JWT = re.compile(r"[A-Za-z0-9_-]{2,4096}\.[A-Za-z0-9_-]{2,8192}\.[A-Za-z0-9_-]{2,2048}")


class Credential(msgspec.Struct, frozen=True):
    """A token, a session (JWT), a browser's cookie, or a user name with its password. `malformed`: something was sent,
    nothing usable."""

    kind: Literal["token", "session", "cookie", "password", "malformed"]
    value: str = ""  #: secret
    username: str = ""

    def __repr__(self) -> str:
        return f"Credential({self.kind})"  # never the value: this ends up in logs and traces


MALFORMED = Credential("malformed")


def opaque(value: str) -> Credential:
    """Tell a session from a token by its shape."""
    if TOKEN.fullmatch(value):
        return Credential("token", value)
    return Credential("session", value) if JWT.fullmatch(value) else MALFORMED
