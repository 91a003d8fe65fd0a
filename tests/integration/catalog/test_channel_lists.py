"""A page of ten thousand channels for somebody in two hundred groups is read in order, not sorted out of all."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from packhouse.catalog.channels import listing
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import viewer
from packhouse.core.db import open_database
from packhouse.core.db.migrating import migrate
from packhouse.core.db.statements import compiled
from tests.kit.people import many_channels

CHANNELS, GROUPS = 10_000, 200


@pytest.fixture
async def crowded(tmp_path: Path) -> tuple[str, Principal]:
    url = f"sqlite:///{tmp_path / 'packhouse.db'}"
    migrate(url)
    db = open_database(url)
    try:
        return url, await many_channels(db, CHANNELS, GROUPS)
    finally:
        await db.close()


async def test_a_page_is_read_in_order_and_what_was_granted_is_looked_up_once(crowded: tuple[str, Principal]) -> None:
    url, principal = crowded
    rows, count = listing._statements(frozenset({"top"}), "name")
    plan = plan_of(url, rows, {**viewer(principal), "limit": 100, "offset": 0})
    assert [step for step in plan if step.startswith("SEARCH channel USING INDEX sqlite_autoindex_channel_1")], plan
    # the rows of the page, whose columns are looked up then
    assert plan[0].startswith("SEARCH channel USING INTEGER PRIMARY KEY"), plan
    assert len([step for step in plan if "TEMP B-TREE FOR ORDER BY" in step]) == 1, plan
    for steps in (plan, plan_of(url, count, viewer(principal))):
        assert [step for step in steps if step.startswith("SEARCH group_member USING INDEX")], steps
        assert [step for step in steps if step.startswith("SEARCH group_grant USING COVERING INDEX ix_group_grant_of")]
        correlated = [number for number, step in enumerate(steps) if step.startswith("CORRELATED")]
        assert all("mirror" in steps[number + 1] for number in correlated), steps


async def test_pages_hold_every_channel_once_and_the_count_is_theirs(crowded: tuple[str, Principal]) -> None:
    url, principal = crowded
    db = open_database(url)
    try:
        seen: list[str] = []
        while True:
            page, total = await listing.channels(db, principal, {"top": True}, limit=1000, offset=len(seen))
            if not page:
                break
            seen += [row.path for row in page]
        assert len(seen) == total == len(set(seen)) and seen == sorted(seen)
        expected = await db.fetch_value(
            "SELECT count(*) FROM channel WHERE privacy <> 'private' OR id IN (SELECT channel_id FROM group_grant"
            " JOIN group_member ON group_member.group_id = group_grant.group_id WHERE account_id = 1000)"
        )
        assert total == expected
    finally:
        await db.close()


def plan_of(url: str, statement: Any, values: dict[str, Any]) -> list[str]:
    """Return the steps by which SQLite answers a statement."""
    text, literals = compiled(statement, "sqlite")
    given = {
        name: msgspec.json.encode(value).decode() if isinstance(value, list) else value
        for name, value in values.items()
    }
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", given | literals)]
    finally:
        connection.close()
