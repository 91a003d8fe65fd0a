"""The tables of notifications: news of what was found, who wants to hear of it, and what is sent to whom."""

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
    UniqueConstraint,
)

from packhouse.core.db.types import METADATA, Bytes, Int, Json, Micros, serial

# ---------------------------------------------------------------- what is new

# What was newly found, until everybody concerned has a digest with it.
news = Table(
    "news",
    METADATA,
    serial(),
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("vulnerability_id", Int, nullable=False),
    Column("at", Micros, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused: digests say up to which they go
)

# The news that are being made into digests; one row at most.
news_round = Table(
    "news_round",
    METADATA,
    Column("upto", Int, primary_key=True, autoincrement=False),  # `news.id`, inclusive
    Column("digested", Boolean, nullable=False),  # every channel has its digest: the news can go
)

# ---------------------------------------------------------------- who wants to hear of it

# Channels of which nobody is told anything; those without a row tell.
silent_channel = Table(
    "silent_channel",
    METADATA,
    Column("channel_id", ForeignKey("channel.id"), primary_key=True, autoincrement=False),
)

# Who said whether they want to be told; without a row the owner of a channel is, and nobody else.
subscription = Table(
    "subscription",
    METADATA,
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("account_id", Int, nullable=False, index=True),
    Column("wanted", Boolean, nullable=False),
    PrimaryKeyConstraint("channel_id", "account_id"),
)

# Where an account gets mail, if not at its name.
mail_address = Table(
    "mail_address",
    METADATA,
    Column("account_id", Int, primary_key=True, autoincrement=False),
    Column("address", Text, nullable=False),
)

webhook = Table(
    "webhook",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("channel_id", ForeignKey("channel.id"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("secret", Bytes, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Micros, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused: deliveries refer to them
)

# ---------------------------------------------------------------- what is sent

digest = Table(
    "digest",
    METADATA,
    serial(),
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("upto", Int, nullable=False),  # `news.id`
    Column("at", Micros, nullable=False, index=True),
    Column("body", Json, nullable=False),
    UniqueConstraint("channel_id", "upto"),
    sqlite_autoincrement=True,
)

# One digest to one recipient. A delivery that is sent is never sent again.
delivery = Table(
    "delivery",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("digest_id", ForeignKey("digest.id"), nullable=False, index=True),
    Column("channel_id", ForeignKey("channel.id"), nullable=False, index=True),
    Column("account_id", Int, index=True),  # by mail to this account,
    Column("webhook_id", Int, index=True),  # or to this webhook
    Column("state", Text, nullable=False),  # pending | sent | failed | dropped
    Column("attempts", Integer, nullable=False),
    Column("next_at", Micros, nullable=False),  # of a pending one: not before; somebody tries it meanwhile
    Column("sent_at", Micros),
    Column("error", Text, nullable=False),  # of the last attempt
    sqlite_autoincrement=True,
)
_PENDING = delivery.c.state == "pending"
Index("ix_delivery_due", delivery.c.next_at, sqlite_where=_PENDING, postgresql_where=_PENDING)
