"""The tables of people: accounts, what they may do, their tokens, and the installation's own secrets and settings.

How people sign in is in `sign_in_tables`. A `source_id` says who gave a role or membership: 0 is a person, by hand, any
other number the provider (`sign_in_tables.provider`) that said so when somebody signed in or was synchronised.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
)

from packhouse.core.db.types import METADATA, Bytes, Int, Json, Micros, serial

# ---------------------------------------------------------------- accounts

account = Table(
    "account",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),  # who it is for others, for ever
    Column("username", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False, server_default="person"),  # person | service
    Column("password_hash", Text),
    Column("email", Text, nullable=False, server_default=""),
    Column("email_verified", Boolean, nullable=False, server_default=false()),
    Column("first_name", Text, nullable=False, server_default=""),
    Column("last_name", Text, nullable=False, server_default=""),
    Column("provider_id", Int),  # who vouches for it; null: this installation
    Column("confirmed_at", Micros),  # when its provider last did
    Column("default_channel_id", Int),
    Column("service_channel_id", ForeignKey("channel.id"), unique=True),  # whose service account this is
    Column("sessions", Int, nullable=False, server_default="0"),  # see `Account.sessions`
    Column("totp_secret", Bytes),  # sealed; null: no second factor
    Column("totp_since", Micros),
    Column("totp_step", Int, nullable=False, server_default="0"),  # the last one used: none works twice
    Column("disabled_at", Micros),
    Column("disabled_by", Text, nullable=False, server_default=""),  # who did: an actor, or `directory`
    Column("last_login_at", Micros),
    Column("created_at", Micros, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused, so that nobody inherits what a deleted account owned
)

# The names of those who are gone, for what is said of them by number.
former_account = Table(
    "former_account",
    METADATA,
    Column("account_id", Int, primary_key=True, autoincrement=False),
    Column("username", Text, nullable=False),
)

# ---------------------------------------------------------------- roles, groups, grants

#: the `source_id` of what a person gave, not a provider
BY_HAND = 0

role = Table(
    "role",
    METADATA,
    serial(),  # 1 everyone, 2 author, 3 admin, 4 user-administrator
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False, server_default=""),
    Column("builtin", Boolean, nullable=False, server_default=false()),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    sqlite_autoincrement=True,
)

# A category that is not named has level 0. `admin` has no rows: it has the highest level in all.
role_level = Table(
    "role_level",
    METADATA,
    Column("role_id", ForeignKey("role.id"), nullable=False),
    Column("category", Text, nullable=False),
    Column("level", Integer, nullable=False),  # 0 none, 1 read, 2 write, 3 manage
    PrimaryKeyConstraint("role_id", "category"),
)

account_role = Table(
    "account_role",
    METADATA,
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("role_id", ForeignKey("role.id"), nullable=False, index=True),
    Column("source_id", Int, nullable=False, server_default="0"),
    PrimaryKeyConstraint("account_id", "role_id", "source_id"),
)

user_group = Table(
    "user_group",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False, server_default=""),
    Column("channel_id", ForeignKey("channel.id"), unique=True),  # whose owners these are
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    sqlite_autoincrement=True,
)

group_member = Table(
    "group_member",
    METADATA,
    Column("group_id", ForeignKey("user_group.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("source_id", Int, nullable=False, server_default="0"),
    Column("level", Integer, nullable=False, server_default="0"),  # over the group itself, not what it reaches
    Column("added_at", Micros, nullable=False),
    PrimaryKeyConstraint("group_id", "account_id", "source_id"),
)

group_role = Table(
    "group_role",
    METADATA,
    Column("group_id", ForeignKey("user_group.id"), nullable=False),
    Column("role_id", ForeignKey("role.id"), nullable=False, index=True),
    PrimaryKeyConstraint("group_id", "role_id"),
)

group_grant = Table(
    "group_grant",
    METADATA,
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("group_id", ForeignKey("user_group.id"), nullable=False),
    Column("level", Integer, nullable=False),  # 1 read, 2 write, 3 manage
    PrimaryKeyConstraint("channel_id", "group_id"),
    Index("ix_group_grant_of", "group_id", "channel_id", "level"),  # lists read all that somebody's groups reach
)

channel_grant = Table(
    "channel_grant",
    METADATA,
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("user_id", ForeignKey("account.id"), nullable=False),
    Column("level", Integer, nullable=False),  # 1 read, 2 write, 3 manage
    PrimaryKeyConstraint("channel_id", "user_id"),
    Index("ix_channel_grant_of", "user_id", "channel_id", "level"),
)

# ---------------------------------------------------------------- tokens

token = Table(
    "token",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False, server_default="scope"),  # user | scope | resource
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("hash", Bytes, nullable=False, unique=True),  # keyed; the value itself is shown once
    Column("scopes", Json, nullable=False),
    Column("metadata", Json, nullable=False, server_default="{}"),
    Column("created_by", ForeignKey("account.id"), index=True),  # null: its account, or somebody who is gone
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros),
    Column("revoked_at", Micros),
    Column("last_used_at", Micros),
    Column("last_used_from", Text),
)

# What a resource token reaches; on other channels it is whoever shows no credential.
token_grant = Table(
    "token_grant",
    METADATA,
    Column("token_id", ForeignKey("token.id"), nullable=False),
    Column("channel_id", ForeignKey("channel.id"), nullable=False, index=True),
    Column("level", Integer, nullable=False),  # 1 read, 2 write, 3 manage
    PrimaryKeyConstraint("token_id", "channel_id"),
)

# ---------------------------------------------------------------- the installation itself

secret = Table("secret", METADATA, Column("name", Text, primary_key=True), Column("value", Bytes, nullable=False))

# What administrators change while it runs; what a file or the environment sets is in core/settings.py.
setting = Table(
    "setting",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Json, nullable=False),
    Column("updated_at", Micros, nullable=False),
)

# How far the audit trail was written to files.
export_run = Table(
    "export_run",
    METADATA,
    serial(),
    Column("upto_seq", Int, nullable=False),  # of `event`
    Column("file", Text, nullable=False),
    Column("at", Micros, nullable=False),
)
