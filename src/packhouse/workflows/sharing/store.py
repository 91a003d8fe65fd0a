"""Queries of sharing: people by name."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, select

from packhouse.catalog.people_tables import account
from packhouse.core.db.base import Reader

_PERSON = select(account.c.id, account.c.username, account.c.disabled_at.is_not(None)).where(
    account.c.username == bindparam("username"), account.c.kind == "person"
)


class Person(NamedTuple):
    """Somebody with whom something can be shared."""

    id: int
    username: str
    disabled: bool


async def person(reader: Reader, username: str) -> Person | None:
    """Return the person of exactly that name; service accounts are none."""
    row = await reader.fetch_one(_PERSON, username=username)
    return Person(row[0], row[1], bool(row[2])) if row else None
