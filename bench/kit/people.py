"""Fills an installation with people, groups and channels that are shared, straight into the tables: in seconds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from packhouse.catalog.accounts.account import Account
from packhouse.core.db import Unit
from packhouse.workflows.services import Services
from tests.kit import staffing

VIEWER, PASSWORD = "vera", "a-password-for-benches"
BATCH = 2000
#: groups a channel is shared with, beside the group of its owners
SHARES = 3
_ACCOUNT = """INSERT INTO account (id, uuid, username, created_at) VALUES (:id, :uuid, :name, :now)"""
_ROLE = """INSERT INTO account_role (account_id, role_id) VALUES (:id, 2)"""
_CHANNEL = """INSERT INTO channel (id, path, description, privacy, owner_id, created_at, updated_at)
 VALUES (:id, :name, '', :privacy, :owner_id, :now, :now)"""
_GROUP = """INSERT INTO user_group (id, uuid, name, channel_id, created_at, updated_at)
 VALUES (:id, :uuid, :name, :channel_id, :now, :now)"""
_MEMBER = """INSERT INTO group_member (group_id, account_id, level, added_at) VALUES (:id, :account_id, :level, :now)"""
_GRANT = """INSERT INTO group_grant (channel_id, group_id, level) VALUES (:channel_id, :group_id, :level)"""
_FIRST = "SELECT coalesce(max(id), 0) + 1 FROM"
_CATCH_UP = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), (SELECT max(id) FROM {0}))"


class Size(NamedTuple):
    """How much there is."""

    channels: int
    groups: int  #: beside the groups of owners
    mine: int  #: groups that the viewer is in
    people: int
    members: int  #: other people in a group


class _Rows(NamedTuple):
    accounts: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    members: list[dict[str, Any]]
    grants: list[dict[str, Any]]


async def fill_people(services: Services, size: Size, seed: int = 0) -> Account:
    """Add people, groups and channels; return `VIEWER`, who is in `size.mine` of the groups.

    Of ten channels eight are private, one is for people who are known and one public; the viewer owns none.
    """
    db = services.db
    vera = await staffing.create_user(db, VIEWER, PASSWORD, "author", "bench")
    first = {table: int(await db.fetch_value(f"{_FIRST} {table}")) for table in ("account", "channel", "user_group")}
    rows = _rows(size, vera.id, first, random.Random(seed))
    await _insert(services, _ACCOUNT, rows.accounts)
    await _insert(services, _ROLE, [{"id": row["id"]} for row in rows.accounts])
    await _insert(services, _CHANNEL, rows.channels)
    await _insert(services, _GROUP, rows.groups)
    await _insert(services, _MEMBER, rows.members)
    await _insert(services, _GRANT, rows.grants)
    if db.dialect == "postgresql":  # its own duty does the latter within a minute
        for table in first:
            await db.write(lambda unit, table=table: unit.fetch_value(_CATCH_UP.format(table)))  # type: ignore[misc]  # its type is that of fetch_value
        with psycopg.connect(services.settings.database_url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    return vera


def _rows(size: Size, viewer: int, first: dict[str, int], chance: random.Random) -> _Rows:
    people = range(first["account"], first["account"] + size.people)
    channels = range(first["channel"], first["channel"] + size.channels)
    groups = range(first["user_group"], first["user_group"] + size.groups)
    owners = range(groups.stop, groups.stop + size.channels)
    made = _Rows([], [], [], [], [])
    made.accounts.extend({"id": id, "uuid": f"person-{id}", "name": f"person{id}"} for id in people)
    for number, id in enumerate(groups):
        made.groups.append({"id": id, "uuid": f"group-{id}", "name": f"group{id}", "channel_id": None})
        members = [*([viewer] if number < size.mine else []), *chance.sample(people, size.members)]
        made.members.extend({"id": id, "account_id": one, "level": 0} for one in members)
    for id, group in zip(channels, owners, strict=True):
        owner, privacy = chance.choice(people), chance.choice(["private"] * 8 + ["public", "authenticated"])
        made.channels.append({"id": id, "name": f"channel{id:06}", "privacy": privacy, "owner_id": owner})
        made.groups.append({"id": group, "uuid": f"group-{group}", "name": f"channel{id:06}_owners", "channel_id": id})
        made.members.append({"id": group, "account_id": owner, "level": 3})
        shared = [(group, 3), *((one, chance.randint(1, 3)) for one in chance.sample(groups, SHARES))]
        made.grants.extend({"channel_id": id, "group_id": one, "level": level} for one, level in shared)
    return made


async def _insert(services: Services, statement: str, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), BATCH):
        await services.db.write(
            lambda unit, start=start: _add(unit, statement, rows[start : start + BATCH])  # type: ignore[misc]  # its type is that of _add
        )


async def _add(unit: Unit, statement: str, rows: Sequence[dict[str, Any]]) -> None:
    stamped = ":now" in statement
    await unit.execute_many(statement, [{**row, "now": unit.now} if stamped else row for row in rows])
