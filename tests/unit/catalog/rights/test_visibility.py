"""The SQL condition for lists says what `permit` says, for every caller and every channel."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from packhouse.catalog.rights.permissions import ACTIONS, CATEGORIES, MANAGE, READ, Decision, Level, Target, permit
from packhouse.catalog.rights.principal import ANONYMOUS, Principal
from packhouse.catalog.rights.visibility import VISIBLE, held, viewer
from packhouse.catalog.schema import channel
from packhouse.core.db.statements import compiled

PEOPLE = (1, 2, 3)
#: of each group: its members
GROUPS = {1: (1, 2), 2: (3,), 3: (1,)}

levels = st.none() | st.lists(st.integers(0, 3), min_size=len(CATEGORIES), max_size=len(CATEGORIES)).map(tuple)
resources = st.none() | st.dictionaries(st.integers(1, 12), st.integers(1, 3)).map(lambda d: tuple(sorted(d.items())))
principals = st.builds(
    Principal,
    account_id=st.sampled_from(PEOPLE),
    username=st.just("x"),
    role=st.sampled_from(["everyone", "author", "admin"]),
    scopes=st.none() | st.frozensets(st.sampled_from(sorted(ACTIONS))),
    levels=levels,
    everyone=levels,
    resources=resources,
) | st.just(ANONYMOUS)


class Row(NamedTuple):
    """A channel, and who was granted what on it."""

    privacy: str
    owner: int
    subchannel: bool
    deleted: bool
    grants: dict[int, int]
    shares: dict[int, int]  #: by group

    def level(self, person: int) -> int:
        """Return the highest level somebody was granted."""
        through = [level for group, level in self.shares.items() if person in GROUPS[group]]
        return max([self.grants.get(person, 0), *through])


channels = st.lists(
    st.builds(
        Row,
        st.sampled_from(["private", "authenticated", "public"]),
        st.sampled_from(PEOPLE),
        st.booleans(),
        st.booleans(),
        st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 3)),
        st.dictionaries(st.sampled_from(sorted(GROUPS)), st.integers(1, 3)),
    ),
    max_size=12,
)


def database(rows: list[Row]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE channel (id, path, parent_id, privacy, owner_id)")
    connection.execute("CREATE TABLE channel_grant (channel_id, user_id, level)")
    connection.execute("CREATE TABLE group_grant (channel_id, group_id, level)")
    connection.execute("CREATE TABLE group_member (group_id, account_id)")
    for group, members in GROUPS.items():
        connection.executemany("INSERT INTO group_member VALUES (?,?)", [(group, member) for member in members])
    for number, row in enumerate(rows, 1):
        path, parent = None if row.deleted else f"c{number}", 1 if row.subchannel else None
        connection.execute("INSERT INTO channel VALUES (?,?,?,?,?)", (number, path, parent, row.privacy, row.owner))
        for table, given_to in (("channel_grant", row.grants), ("group_grant", row.shares)):
            connection.executemany(f"INSERT INTO {table} VALUES (?,?,?)", [(number, *one) for one in given_to.items()])
    return connection


def found(rows: list[Row], statement: object, principal: Principal) -> set[int]:
    text, literals = compiled(statement, "sqlite")  # type: ignore[arg-type]  # a select, whatever it selects
    values = {name: str(v).replace("'", '"') if isinstance(v, list) else v for name, v in viewer(principal).items()}
    return {row[0] for row in database(rows).execute(text, {**literals, **values})}


@settings(max_examples=300)
@given(principals, channels)
def test_lists_show_exactly_what_may_be_viewed(principal: Principal, rows: list[Row]) -> None:
    expected = set()
    for number, row in enumerate(rows, 1):
        level = row.level(principal.account_id or 0)
        target = Target(row.privacy, row.owner, level, number, subchannel=row.subchannel, exists=not row.deleted)
        if permit(principal, "channel:view", target) is Decision.ALLOWED:
            expected.add(number)
    assert found(rows, select(channel.c.id).where(VISIBLE), principal) == expected


HELD = {level: select(channel.c.id).where(held(level)) for level in (READ, MANAGE)}


@given(st.sampled_from(PEOPLE), channels, st.sampled_from(sorted(HELD)))
def test_what_is_held_is_owned_or_granted_to_a_person_or_a_group(person: int, rows: list[Row], level: Level) -> None:
    expected = {number for number, row in enumerate(rows, 1) if row.owner == person or row.level(person) >= level}
    assert found(rows, HELD[level], Principal(person, "x", "author")) == expected
