"""The noun: what a token is, apart from its value, which exists only where somebody keeps it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["user", "scope", "resource"]


class Token(msgspec.Struct, frozen=True):
    """A token without its value; times in microseconds since the epoch."""

    number: int  #: of its row
    id: str
    account_id: int  #: who it acts for
    kind: Kind  #: what it may: all its account may, some scopes of that, or some channels up to levels
    name: str
    scopes: frozenset[str] | None  #: None: it has none to be limited to
    created_at: int  #: when the present value was made
    expires_at: int | None
    description: str = ""
    metadata: dict[str, Any] = {}  #: what its maker wants to know of it; never read by us
    last_used_at: int | None = None  #: no more exact than a minute
    last_used_from: str | None = None  #: an address


def decode_scopes(text: str) -> frozenset[str] | None:
    """Return the scopes from their column: a JSON list, or null."""
    names = msgspec.json.decode(text, type=list[str] | None)
    return None if names is None else frozenset(names)


def encode_scopes(scopes: frozenset[str] | None) -> str:
    """Return the text of the column."""
    return msgspec.json.encode(scopes and sorted(scopes)).decode()
