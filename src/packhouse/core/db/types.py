"""Column types that mean the same on both databases, and the metadata all tables register with."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Text

METADATA = MetaData(naming_convention={"ix": "ix_%(column_0_N_label)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"})

#: a 64-bit integer; on SQLite `INTEGER`, so that a primary key of it is the row id
Int = BigInteger().with_variant(Integer, "sqlite")
#: microseconds since the epoch, UTC
Micros = BigInteger
Json = Text
Bytes = LargeBinary


def serial() -> Column[Any]:
    """Return the column `id`: a growing integer primary key."""
    return Column("id", Int, primary_key=True, autoincrement=True)
