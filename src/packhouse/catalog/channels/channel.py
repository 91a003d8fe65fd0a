"""The noun: what a channel is and which names it may bear."""

from __future__ import annotations

import re

import msgspec

from packhouse.core.errors import PackhouseError

PRIVACIES = ("private", "authenticated", "public")
NAME = re.compile(r"[a-z][a-z0-9_-]*")
NAME_LENGTH = 64

#: names that pages, formats and later parts need at the root of an address
RESERVED_FOR_LATER = frozenset(
    {"api", "auth", "badges", "channels", "cran", "feeds", "get", "gra", "groups", "jobs", "label", "pypi", "repo"}
    | {"search", "simple", "static", "t", "trust"}
)


class Channel(msgspec.Struct, frozen=True):
    """A channel or subchannel as every process remembers it."""

    id: int
    path: str  #: `ch` or `ch/sub`
    parent_id: int | None
    description: str
    privacy: str
    owner_id: int
    frozen_at: int | None
    frozen_revision: int | None  #: what the index is pinned to
    policy_id: int | None
    ruleset_id: int  #: whose verdicts hold here; 0: what holds without a policy
    next_ruleset_id: int | None  #: whose verdicts are being written, to hold here then
    settle_from: int | None  #: the ruleset before, while the index does not follow yet
    created_at: int
    updated_at: int

    @property
    def rulesets(self) -> set[int]:
        """The rulesets whose verdicts hold here, or are about to."""
        return {self.ruleset_id} | ({self.next_ruleset_id} if self.next_ruleset_id is not None else set())

    @property
    def name(self) -> str:
        """The last part of the path: a subchannel's own name."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str | None:
        """The parent's name, or None for a channel."""
        return self.path.rpartition("/")[0] or None


def check_name(name: str, reserved: frozenset[str]) -> str:
    """Return `name` if a channel may bear it.

    Raises PackhouseError: `bad_request` for an ill-formed name, `name_reserved` for one that addresses need: `reserved`
    holds the segments of the server's own routes and conda's subdirs.
    """
    if not NAME.fullmatch(name) or len(name) > NAME_LENGTH:
        raise PackhouseError(
            "bad_request",
            f"{name[:80]!r} is not a channel name.",
            f"Use a-z, 0-9, - and _, beginning with a letter, at most {NAME_LENGTH} characters.",
        )
    if name in reserved:
        raise PackhouseError(
            "name_reserved",
            f"The name {name!r} is reserved: addresses need it.",
            "Choose another name.",
        )
    return name


def check_privacy(privacy: str) -> str:
    """Return `privacy` if it is a level. Raises PackhouseError("bad_request")."""
    if privacy not in PRIVACIES:
        raise PackhouseError(
            "bad_request", f"{privacy[:40]!r} is not a privacy level.", f"Use one of {', '.join(PRIVACIES)}."
        )
    return privacy
