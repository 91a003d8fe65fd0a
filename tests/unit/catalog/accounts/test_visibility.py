"""The SQL condition for lists says what `permit` says, for every caller and every channel."""

from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from packhouse.catalog.accounts.permissions import ACTIONS, Decision, Target, permit
from packhouse.catalog.accounts.principal import ANONYMOUS, Principal
from packhouse.catalog.accounts.visibility import GRANT, VISIBLE, viewer
from packhouse.catalog.schema import channel
from packhouse.core.db.statements import compiled

LIST = select(channel.c.id, GRANT).where(VISIBLE)
PEOPLE = (1, 2, 3)

principals = st.builds(
    Principal,
    account_id=st.sampled_from(PEOPLE),
    username=st.just("x"),
    role=st.sampled_from(["author", "admin"]),
    scopes=st.none() | st.frozensets(st.sampled_from(sorted(ACTIONS))),
) | st.just(ANONYMOUS)
channels = st.lists(
    st.tuples(
        st.sampled_from(["private", "authenticated", "public"]),
        st.sampled_from(PEOPLE),  # owner
        st.booleans(),  # a subchannel
        st.booleans(),  # deleted
        st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 3)),  # grants
    ),
    max_size=12,
)


def database(rows: list[tuple[str, int, bool, bool, dict[int, int]]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE channel (id, path, parent_id, privacy, owner_id)")
    connection.execute("CREATE TABLE channel_grant (channel_id, user_id, level)")
    for number, (privacy, owner, sub, deleted, grants) in enumerate(rows, 1):
        path, parent = None if deleted else f"c{number}", 1 if sub else None
        connection.execute("INSERT INTO channel VALUES (?,?,?,?,?)", (number, path, parent, privacy, owner))
        for user, level in grants.items():
            connection.execute("INSERT INTO channel_grant VALUES (?,?,?)", (number, user, level))
    return connection


@settings(max_examples=300)
@given(principals, channels)
def test_lists_show_exactly_what_may_be_viewed(
    principal: Principal, rows: list[tuple[str, int, bool, bool, dict[int, int]]]
) -> None:
    expected = {}
    for number, (privacy, owner, sub, deleted, grants) in enumerate(rows, 1):
        grant = grants.get(principal.account_id or 0, 0)
        target = Target(privacy, owner_id=owner, grant=grant, subchannel=sub, exists=not deleted)
        if permit(principal, "channel:view", target) is Decision.ALLOWED:
            expected[number] = grant
    text, literals = compiled(LIST, "sqlite")
    values = {name: str(v).replace("'", '"') if isinstance(v, list) else v for name, v in viewer(principal).items()}
    assert dict(database(rows).execute(text, {**literals, **values}).fetchall()) == expected
