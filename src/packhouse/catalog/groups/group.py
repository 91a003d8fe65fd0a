"""The noun: a group of people, which has roles and reaches channels for its members."""

from __future__ import annotations

import re

import msgspec

from packhouse.core.errors import PackhouseError

#: lower case only, so that no two groups look alike
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+ -]{0,126}[a-z0-9._@+-])?")
#: how the names of the groups of owners end, which come and go with their channels
OWNERS = "_owners"


class Group(msgspec.Struct, frozen=True):
    """A group; times in microseconds since the epoch."""

    id: int
    uuid: str
    name: str
    description: str
    channel_id: int | None  #: whose owners these are
    created_at: int
    updated_at: int


def check_group_name(name: str) -> str:
    """Return `name` if a group that somebody makes may bear it. Raises PackhouseError("bad_request")."""
    if not NAME.fullmatch(name):
        raise PackhouseError(
            "bad_request",
            f"{name[:80]!r} is no name of a group.",
            "Use a-z, 0-9, spaces and . _ @ + -, beginning with a letter or digit, at most 128 characters.",
        )
    if name.endswith(OWNERS):
        raise PackhouseError(
            "bad_request", f"Names that end with {OWNERS} are those of channels' owners.", "Choose another name."
        )
    return name
