"""Lists of the channels a caller may see, with their numbers; and the packages that came to and left a channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, func, select

from packhouse.catalog.judgement_tables import policy
from packhouse.catalog.people_tables import account, group_member, user_group
from packhouse.catalog.rights.permissions import MANAGE, READ
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import VISIBLE, held, levels_on, viewer
from packhouse.catalog.schema import channel, mirror, package_total
from packhouse.core.db import any_of
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


class ChannelRow(msgspec.Struct, frozen=True):
    """A channel as lists show it; times in microseconds since the epoch."""

    id: int
    path: str
    description: str
    privacy: str
    owner_id: int
    frozen_at: int | None
    created_at: int
    updated_at: int
    owner: str | None  #: user name
    artifact_count: int  #: packages with a visible file
    file_count: int
    download_count: int
    mirror_count: int
    policy_id: str | None  #: public id of the policy that is assigned
    policy: str | None  #: its name
    grant: int = 0  #: the Level the viewer was granted, beside owning it
    subchannel_count: int = 0  #: those the viewer may see
    managers: tuple[str, ...] = ()  #: who manages the group of its owners, the owner apart


_MIRRORS: ColumnElement[int] = (
    select(func.count())
    .where(mirror.c.channel_id == channel.c.id, mirror.c.deleted_at.is_(None))
    .correlate(channel)
    .scalar_subquery()
)
_COLUMNS = (
    *(channel.c[name] for name in ChannelRow.__struct_fields__[:8]),
    account.c.username,
    func.coalesce(package_total.c.packages, 0),
    func.coalesce(package_total.c.files, 0),
    func.coalesce(package_total.c.downloads, 0),
    _MIRRORS,
    policy.c.uuid,
    policy.c.name,
)
_FROM = (
    channel.outerjoin(account, account.c.id == channel.c.owner_id)
    .outerjoin(package_total, package_total.c.channel_id == channel.c.id)
    .outerjoin(policy, policy.c.id == channel.c.policy_id)
)
_FILTERS: dict[str, ColumnElement[bool]] = {
    # not by the index of parents: nearly all channels have none, and a page is read in the order of paths
    "top": func.coalesce(channel.c.parent_id, 0) == 0,
    "mine": held(READ),
    "parent_id": channel.c.parent_id == bindparam("parent_id"),
    "privacy": channel.c.privacy == bindparam("privacy"),
    "part": channel.c.path.like(bindparam("part"), escape="\\"),
}
_SORTS: dict[str, ColumnElement[Any]] = {
    "name": channel.c.path,
    "created": channel.c.created_at,
    "updated": channel.c.updated_at,
    "artifact_count": func.coalesce(package_total.c.packages, 0),
    "download_count": func.coalesce(package_total.c.downloads, 0),
}
_BY_ID = (
    select(*_COLUMNS).select_from(_FROM).where(channel.c.id == bindparam("channel_id"), channel.c.path.is_not(None))
)
_CHILD_COUNTS = (
    select(channel.c.parent_id, func.count())
    .where(any_of(channel.c.parent_id, "ids"), VISIBLE)
    .group_by(channel.c.parent_id)
)
_MANAGERS = (
    select(user_group.c.channel_id, account.c.username)
    .select_from(user_group)
    .join(group_member, group_member.c.group_id == user_group.c.id)
    .join(account, account.c.id == group_member.c.account_id)
    .where(any_of(user_group.c.channel_id, "ids"), group_member.c.level >= int(MANAGE))
    .distinct()
    .order_by(account.c.username)
)
_VISIBLE_PATHS = select(channel.c.path).where(any_of(channel.c.path, "paths"), VISIBLE)
_VISIBLE_IDS = select(channel.c.id).where(any_of(channel.c.id, "ids"), VISIBLE)


async def channels(
    reader: Reader, principal: Principal, given: Mapping[str, Any], *, sort: str = "name", limit: int, offset: int
) -> tuple[list[ChannelRow], int]:
    """Return a page of the channels the caller may see and how many there are in all.

    `given` narrows: `top` (no subchannels), `mine` (owned or granted), `parent_id`, `privacy`, `part` (of the path).
    Raises PackhouseError("bad_request") for an unknown `sort`.
    """
    if sort.removeprefix("-") not in _SORTS:
        raise PackhouseError(
            "bad_request", f"`sort`: {sort[:40]!r} is no order.", f"Use one of {', '.join(sorted(_SORTS))}, or -name."
        )
    rows, count = _statements(frozenset(given), sort)
    values = {name: value for name, value in given.items() if name in ("parent_id", "privacy")}
    if "part" in given:
        part = str(given["part"]).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values["part"] = f"%{part}%"
    values |= viewer(principal)
    page = await reader.fetch_all(rows, limit=limit, offset=offset, **values) if limit else []
    found = [ChannelRow(*row) for row in page]
    return await _completed(reader, principal, found), int(await reader.fetch_value(count, **values))


async def channel_row(reader: Reader, principal: Principal, channel_id: int) -> ChannelRow:
    """Return one channel whose visibility was checked. Raises PackhouseError("not_found") when it is gone."""
    row = await reader.fetch_one(_BY_ID, channel_id=channel_id)
    if row is None:
        raise PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
    return (await _completed(reader, principal, [ChannelRow(*row)]))[0]


async def visible_paths(reader: Reader, principal: Principal, paths: Iterable[str]) -> set[str]:
    """Return those of `paths` where the caller sees a channel: for texts that may name others' channels."""
    wanted = sorted(set(paths))
    if not wanted:
        return set()
    return {row[0] for row in await reader.fetch_all(_VISIBLE_PATHS, paths=wanted, **viewer(principal))}


async def visible_ids(reader: Reader, principal: Principal, channel_ids: Iterable[int]) -> set[int]:
    """Return those of `channel_ids` that the caller sees: for numbers that may count others' channels."""
    wanted = sorted(set(channel_ids))
    return (
        {row[0] for row in await reader.fetch_all(_VISIBLE_IDS, ids=wanted, **viewer(principal))} if wanted else set()
    )


async def _completed(reader: Reader, principal: Principal, rows: list[ChannelRow]) -> list[ChannelRow]:
    """Return the channels of a page with what is looked up for the page alone."""
    granted = await levels_on(reader, principal, [row.id for row in rows])
    managers: dict[int, list[str]] = {}
    for channel_id, username in await reader.fetch_all(_MANAGERS, ids=[row.id for row in rows]) if rows else ():
        managers.setdefault(channel_id, []).append(username)
    counts: dict[int, int] = {}
    if parents := [row.id for row in rows if "/" not in row.path]:
        counts = dict(await reader.fetch_all(_CHILD_COUNTS, ids=parents, **viewer(principal)))
    return [
        msgspec.structs.replace(
            row,
            grant=granted.get(row.id, 0),
            subchannel_count=counts.get(row.id, 0),
            managers=tuple(name for name in managers.get(row.id, ()) if name != row.owner),
        )
        for row in rows
    ]


@cache
def _statements(names: frozenset[str], sort: str) -> tuple[Select[Any], Select[Any]]:
    where = [VISIBLE, *(_FILTERS[name] for name in names)]
    chosen = _SORTS[sort.removeprefix("-")]
    order = [chosen.desc(), channel.c.id.desc()] if sort.startswith("-") else [chosen, channel.c.id]
    # first which channels, then their columns: those of the pages before are not looked up
    sorted_by = channel.outerjoin(package_total, package_total.c.channel_id == channel.c.id)
    chosen_from = sorted_by if chosen is not channel.c.path else channel
    page = select(channel.c.id).select_from(chosen_from).where(*where).order_by(*order)
    page = page.limit(bindparam("limit")).offset(bindparam("offset"))
    rows = select(*_COLUMNS).select_from(_FROM).where(channel.c.id.in_(page)).order_by(*order)
    return rows, select(func.count()).select_from(channel).where(*where)
