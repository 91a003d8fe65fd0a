"""What a resource token reaches: some channels, each up to a level. Elsewhere it is whoever shows no credential.

A token is given no more than its maker has at that moment, and never does more than its account may at any later one:
`permissions.permit` takes the lower of the two at each use.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import select

from packhouse.catalog.rights.permissions import (
    MANAGE,
    READ,
    WRITE,
    Action,
    Decision,
    Level,
    Target,
    permit,
)
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import NO_CHANNEL, levels_on, viewer
from packhouse.catalog.schema import channel
from packhouse.catalog.tokens import store as token_store
from packhouse.catalog.tokens.token import Token
from packhouse.core.db import any_of
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError

#: the word for a level -> the level
LEVELS: dict[str, Level] = {"read": READ, "write": WRITE, "manage": MANAGE}
WORDS = {level: word for word, level in LEVELS.items()}
TYPES = ("channel", "subchannel")
_WRITTEN = {"channel": "CHANNEL", "subchannel": "CHANNEL/SUBCHANNEL"}
#: what somebody must be able to do on a channel to give a token that level on it
PROOF: dict[Level, Action] = {READ: "channel:view-artifacts", WRITE: "artifact:create", MANAGE: "channel:edit"}

_BY_PATHS = select(channel.c.id, channel.c.path, channel.c.privacy, channel.c.owner_id, channel.c.parent_id).where(
    any_of(channel.c.path, "paths")
)


class Resource(msgspec.Struct, frozen=True):
    """A channel or subchannel, and the level a token has on it."""

    path: str
    level: Level


def resource(kind: str, path: str, permission: str) -> Resource:
    """Read one resource as clients write it. Raises PackhouseError("bad_request") saying what is wrong with it."""
    if permission not in LEVELS:
        raise PackhouseError(
            "bad_request", f"{permission[:40]!r} is no permission on a channel.", f"Known are {', '.join(LEVELS)}."
        )
    if kind not in TYPES:
        raise PackhouseError(
            "bad_request", f"{kind[:40]!r} is no kind of resource.", f"Known are {' and '.join(TYPES)}."
        )
    if ("/" in path) != (kind == "subchannel"):
        other = "channel" if kind == "subchannel" else "subchannel"
        raise PackhouseError(
            "bad_request",
            f"{path[:200]!r} is the name of a {other}, and `resource_type` says {kind}.",
            f"Send the `resource_type` {other}, or write {_WRITTEN[kind]}.",
        )
    return Resource(path, LEVELS[permission])


async def resolve(reader: Reader, principal: Principal, wanted: Sequence[Resource]) -> dict[int, Level]:
    """Return the levels by channel id of what a token shall reach.

    Raises PackhouseError: `bad_request` for none at all or one twice, `not_found` for a channel that the caller may not
    see or that is not there, `forbidden` for a level that they do not have on it themselves.
    """
    if not wanted or len({one.path for one in wanted}) < len(wanted):
        said = "A token for channels names each of them once, and at least one."
        raise PackhouseError("bad_request", said, "Correct `resources`.")
    there = await targets(reader, principal, [one.path for one in wanted])
    for one in wanted:
        _check(principal, one, there.get(one.path))
    return {there[one.path].channel_id or 0: one.level for one in wanted}


async def shown(reader: Reader, principal: Principal, tokens: Collection[Token]) -> dict[str, list[Resource]]:
    """Return what resource tokens reach, by their ids; of channels the caller may not see nothing is said."""
    limited = {token.number: token.id for token in tokens if token.kind == "resource"}
    found: dict[str, list[Resource]] = {uuid: [] for uuid in limited.values()}
    if limited:
        for number, path, level in await token_store.shown_grants(reader, limited, viewer(principal)):
            found[limited[number]].append(Resource(path, Level(level)))
    return found


async def targets(reader: Reader, principal: Principal, paths: list[str]) -> dict[str, Target]:
    """Return what permissions ask of the channels at `paths`, as far as there are any, with the caller's grants."""
    rows = await reader.fetch_all(_BY_PATHS, paths=[path for path in paths if "\0" not in path])
    held = await levels_on(reader, principal, [row[0] for row in rows] or [NO_CHANNEL])  # the same for none at all
    return {
        path: Target(privacy, owner_id, held.get(channel_id, 0), channel_id, subchannel=parent_id is not None)
        for channel_id, path, privacy, owner_id, parent_id in rows
    }


def _check(principal: Principal, one: Resource, target: Target | None) -> None:
    if target is None or permit(principal, "channel:view", target) is Decision.INVISIBLE:
        said = f"There is no channel {one.path[:200]!r}."
        raise PackhouseError("not_found", said, "Check its name, and that you may see it.")
    if permit(principal, PROOF[one.level], target) is not Decision.ALLOWED:
        raise PackhouseError(
            "forbidden",
            f"You may not {WORDS[one.level]} in {one.path}, so no token of yours may.",
            "Ask for a lower permission, or have a manager of the channel share it with you.",
        )
