"""Tokens on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from packhouse.catalog.tokens.reach import WORDS, Resource
from packhouse.catalog.tokens.token import Token
from packhouse.core.clock import DAY, to_iso
from packhouse.doors.api.words import Permission, ResourceType, TokenType


class ResourceShape(msgspec.Struct, kw_only=True):
    """A channel that a token reaches."""

    resource_type: ResourceType
    resource_id: str  #: its name; of a subchannel CHANNEL/SUBCHANNEL
    permission: Permission


class TokenShape(msgspec.Struct, kw_only=True):
    """A token, without its value."""

    id: str
    name: str
    type: TokenType  #: scope (limited to `scopes`) | resource (to `resources`) | user (whatever its account may do)
    scopes: list[str] | None
    resources: list[ResourceShape] | None  #: of the channels the caller may see
    created_at: str  #: RFC 3339
    expires_at: str | None
    expires_in_days: int | None  #: whole days that are left; below 0: it has expired
    description: str
    metadata: dict[str, Any]
    last_used_at: str | None  #: no more exact than a minute
    last_used_from: str | None  #: the address it was used from


class NewToken(TokenShape, kw_only=True):
    """A token with its value, which is shown this once."""

    token: str


def token_shape(token: Token, resources: Sequence[Resource] | None, now: int) -> TokenShape:
    """Fill the shape of a token; `now` in microseconds."""
    return TokenShape(**_fields(token, resources, now))


def new_token(token: Token, resources: Sequence[Resource] | None, value: str) -> NewToken:
    """Fill the shape of a token that was made just now."""
    return NewToken(**_fields(token, resources, token.created_at), token=value)


def _fields(token: Token, resources: Sequence[Resource] | None, now: int) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "type": token.kind,
        "scopes": None if token.scopes is None else sorted(token.scopes),
        "resources": None if resources is None else [resource_shape(one) for one in resources],
        "created_at": to_iso(token.created_at) or "",
        "expires_at": to_iso(token.expires_at),
        "expires_in_days": None if token.expires_at is None else (token.expires_at - now) // DAY,
        "description": token.description,
        "metadata": token.metadata,
        "last_used_at": to_iso(token.last_used_at),
        "last_used_from": token.last_used_from,
    }


def resource_shape(one: Resource) -> ResourceShape:
    """Fill the shape of what a token reaches."""
    kind = "subchannel" if "/" in one.path else "channel"
    return ResourceShape(resource_type=kind, resource_id=one.path, permission=WORDS[one.level])
