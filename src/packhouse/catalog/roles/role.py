"""The noun: a named set of levels, and which levels a role can have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

import msgspec

from packhouse.catalog.rights.permissions import CATEGORIES, NONE, READ, Level
from packhouse.catalog.rights.principal import Levels
from packhouse.core.errors import PackhouseError

#: lower case only, so that no two roles look alike
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: the words of the levels, lowest first
WORDS = tuple(level.name.lower() for level in Level)
#: what whoever shows no credential has nothing to do with
OWN_ACCOUNT = frozenset({"account", "channel.default-channel", "system"})
#: the numbers of builtin roles, see `people_tables.role`
EVERYONE, AUTHOR, ADMIN, USER_ADMINISTRATOR = 1, 2, 3, 4


class Role(msgspec.Struct, frozen=True):
    """A role; times in microseconds since the epoch. `admin` has the highest level in all, whatever `levels` says."""

    id: int
    name: str
    description: str
    builtin: bool
    created_at: int
    updated_at: int
    accounts: int  #: that hold it by themselves
    groups: int  #: whose members hold it
    levels: Mapping[str, int]  #: category -> Level, without those that are none
    default: bool  #: new accounts get it


def ordered(levels: Mapping[str, int]) -> Levels:
    """Return levels in the order of `CATEGORIES`."""
    return tuple(levels.get(category, 0) for category in CATEGORIES)


def check_name(name: str) -> str:
    """Return `name` if a role may bear it. Raises PackhouseError("bad_request")."""
    if not NAME.fullmatch(name):
        raise PackhouseError(
            "bad_request",
            f"{name[:80]!r} is not a name of a role.",
            "Use a-z, 0-9 and . _ -, beginning with a letter or digit, at most 64 characters.",
            field="name",
        )
    return name


def read_levels(words: Mapping[str, str]) -> dict[str, int]:
    """Return category -> Level of what a request says. Raises PackhouseError("bad_request") naming what is unknown."""
    for category, word in words.items():
        if category not in CATEGORIES:
            near = get_close_matches(category, CATEGORIES, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known are {', '.join(f'`{one}`' for one in CATEGORIES)}."
            raise PackhouseError("bad_request", f"`levels`: {category[:80]!r} is no category.", hint, field="levels")
        if word not in WORDS:
            raise PackhouseError(
                "bad_request",
                f"`levels`: {word[:80]!r} is no level.",
                f"Known are {', '.join(f'`{one}`' for one in WORDS)}.",
                field="levels",
            )
    return {category: WORDS.index(word) for category, word in words.items()}


def check_everyone(levels: Mapping[str, int]) -> None:
    """Refuse what whoever shows no credential cannot have: the audit trail could not say who did it.

    Raises PackhouseError("bad_request").
    """
    for category, level in levels.items():
        most = NONE if category in OWN_ACCOUNT else READ
        if level > most:
            raise PackhouseError(
                "bad_request",
                f"`levels`: the role everyone cannot have more than {most.name.lower()} in {category}, "
                "since it is also that of whoever shows no credential.",
                "Give it to the role author, which everybody with an account begins with, or to one of your own.",
                field="levels",
            )
