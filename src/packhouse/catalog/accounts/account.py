"""The noun: a person or a machine that can log in."""

from __future__ import annotations

import re

import msgspec

from packhouse.catalog.accounts.principal import Role
from packhouse.core.errors import PackhouseError

#: lower case only, so that no two accounts look alike; never the colon that ends a user name in Basic authentication
USERNAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}")
#: names that mean something else wherever an actor is named
RESERVED = frozenset({"anonymous", "everyone", "mirror", "system", "x-auth-token"})
ROLES: tuple[Role, ...] = ("author", "admin")


class Account(msgspec.Struct, frozen=True):
    """An account as its administrators see it; times in microseconds since the epoch."""

    id: int
    username: str
    role: Role
    default_channel_id: int | None
    sessions: int  #: grows to end every login at once
    disabled_at: int | None
    created_at: int


def check_username(username: str) -> str:
    """Return `username` if an account may bear it. Raises PackhouseError("bad_request")."""
    if not USERNAME.fullmatch(username) or username in RESERVED:
        raise PackhouseError(
            "bad_request",
            f"{username[:80]!r} is not a user name.",
            "Use a-z, 0-9 and . _ @ + -, beginning with a letter or digit, at most 128 characters.",
        )
    return username


def check_role(role: str) -> Role:
    """Return `role` if an account can have it. Raises PackhouseError("bad_request")."""
    for known in ROLES:
        if role == known:
            return known
    raise PackhouseError("bad_request", f"{role[:40]!r} is not a role.", f"Use one of {', '.join(ROLES)}.")
