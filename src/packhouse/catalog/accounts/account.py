"""The noun: a person or a machine that can log in."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from packhouse.catalog.rights.principal import Role
from packhouse.core.errors import PackhouseError

#: lower case only, so that no two accounts look alike; never the colon that ends a user name in Basic authentication
USERNAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}")
#: the actor of what a provider says, who disables an account when it is gone there
DIRECTORY = "directory"
#: names that mean something else wherever an actor is named
RESERVED = frozenset({"anonymous", DIRECTORY, "everyone", "mirror", "system", "x-auth-token"})
#: what the names of service accounts begin with, and nobody else's
SERVICE_PREFIX = "service-account-channel-"
ROLES: tuple[Role, ...] = ("author", "admin")
NAME_LENGTH = 200
_EMAIL = re.compile(r"[^@\s\x00-\x1f<>]{1,64}@[^@\s\x00-\x1f<>]{1,190}")


class Account(msgspec.Struct, frozen=True):
    """An account as its administrators see it; times in microseconds since the epoch."""

    id: int
    username: str
    role: Role
    default_channel_id: int | None
    sessions: int  #: grows with each new password, disabling and second factor: what was shown before counts no more
    disabled_at: int | None
    created_at: int
    uuid: str = ""  #: who it is for others, for ever
    kind: Literal["person", "service"] = "person"
    email: str = ""
    email_verified: bool = False
    first_name: str = ""
    last_name: str = ""
    provider_id: int | None = None  #: who vouches for it; None: this installation
    totp_since: int | None = None  #: since when a second factor is asked for
    last_login_at: int | None = None
    disabled_by: str = ""  #: who did: an actor, or DIRECTORY
    confirmed_at: int | None = None  #: when its provider last vouched for it


def check_username(username: str) -> str:
    """Return `username` if an account may bear it. Raises PackhouseError("bad_request")."""
    if not USERNAME.fullmatch(username) or username in RESERVED or username.startswith(SERVICE_PREFIX):
        raise PackhouseError(
            "bad_request",
            f"{username[:80]!r} is not a user name.",
            "Use a-z, 0-9 and . _ @ + -, beginning with a letter or digit, at most 128 characters.",
        )
    return username


def check_name(name: str) -> str:
    """Return a first or last name without spaces around it. Raises PackhouseError("bad_request")."""
    name = name.strip()
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise PackhouseError(
            "bad_request",
            f"A name has at most {NAME_LENGTH} characters, all of which can be printed.",
            "Shorten it, or take out what cannot be seen.",
        )
    return name


def check_email(address: str) -> str:
    """Return `address` if mail could go there, or nothing. Raises PackhouseError("bad_request")."""
    if address and not _EMAIL.fullmatch(address):
        raise PackhouseError(
            "bad_request",
            f"{address[:80]!r} is no e-mail address.",
            "Write it like name@example.org, or leave it empty.",
        )
    return address
