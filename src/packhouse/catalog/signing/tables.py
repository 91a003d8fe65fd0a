"""The tables of signatures. A signature that is not true has no row anywhere; whether its key is trusted is asked last.

So trusting a key, or not any more, verifies nothing anew.
"""

from __future__ import annotations

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text

from packhouse.core.db.types import METADATA, Bytes, Int, Micros

# Public keys that an administrator trusts.
trusted_key = Table(
    "trusted_key",
    METADATA,
    Column("key", Bytes, primary_key=True),  # Ed25519, 32 bytes
    Column("name", Text, nullable=False, unique=True),
    Column("by", Text, nullable=False),
    Column("at", Micros, nullable=False),
)

# Which keys truly signed a record, trusted or not.
record_signature = Table(
    "record_signature",
    METADATA,
    Column("record_id", Int, nullable=False),
    Column("key", Bytes, nullable=False),
    PrimaryKeyConstraint("record_id", "key"),
    sqlite_with_rowid=False,
)

# Names of which a key ever signed a record: those to be judged again when it is trusted, or no more.
signed_name = Table(
    "signed_name",
    METADATA,
    Column("key", Bytes, nullable=False),
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("key", "family", "name"),
    sqlite_with_rowid=False,
)
