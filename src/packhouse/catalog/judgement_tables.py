"""The tables of judgement: what feeds say, what was found, who decided what, and which files that hides.

Read after `schema`. A *ruleset* is the immutable text of a policy's rules, shared by all policies that say the same;
its number is what verdicts and channels refer to. Ruleset 0 is what holds without any policy, and has no row. Scores
are integer tenths.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint

from packhouse.core.db.types import METADATA, Bytes, Int, Json, Micros, serial

# ---------------------------------------------------------------- what feeds say

feed = Table(
    "feed",
    METADATA,
    serial(),
    Column("name", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),  # http(s):// or file://, a file or a folder; as it may be shown
    Column("sealed", Bytes),  # the whole address; null: there is no more to it
    Column("kind", Text, nullable=False),  # osv | nvd | curated | kev; empty: by what it holds
    Column("enabled", Boolean, nullable=False),
    Column("every_seconds", Int, nullable=False),
    Column("state", Text, nullable=False),  # pending | running | completed | failed | stopped
    Column("progress", Json, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("digest", Bytes),  # SHA-256 of what was taken in last
    Column("run", Int, nullable=False),  # advisories of this run are what the feed says
    Column("settled_run", Int, nullable=False),  # the run whose changes went into `vulnerability` and `unjudged`
    Column("last_run_at", Micros),
    Column("last_success_at", Micros),  # null: no data yet, and then nothing is clean
    Column("next_run_at", Micros),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused: jobs and advisories refer to them
)

# One record of a feed. What a run under way brings is a row no reader sees: from_run is beyond `feed.run`.
advisory = Table(
    "advisory",
    METADATA,
    serial(),
    Column("feed_id", ForeignKey("feed.id"), nullable=False),
    Column("source_id", Text, nullable=False),
    Column("from_run", Int, nullable=False),
    Column("to_run", Int),  # exclusive; null: until further notice
    Column("digest", Bytes, nullable=False),  # of `body`
    Column("body", Bytes, nullable=False),  # msgpack of security.vulnerabilities.advisory.Advisory
    UniqueConstraint("feed_id", "source_id", "from_run"),
    sqlite_autoincrement=True,  # numbers are never reused, so that none seems to be what another one was
)

advisory_name = Table(
    "advisory_name",
    METADATA,
    Column("ecosystem", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("advisory_id", ForeignKey("advisory.id"), nullable=False, index=True),
    PrimaryKeyConstraint("ecosystem", "name", "advisory_id"),
    sqlite_with_rowid=False,
)

advisory_key = Table(
    "advisory_key",
    METADATA,
    Column("key", Text, nullable=False),  # of the vulnerability it is about
    Column("advisory_id", ForeignKey("advisory.id"), nullable=False, index=True),
    PrimaryKeyConstraint("key", "advisory_id"),
    sqlite_with_rowid=False,
)

# What all feeds together say of one vulnerability; derived.
vulnerability = Table(
    "vulnerability",
    METADATA,
    serial(),
    Column("key", Text, nullable=False, unique=True),  # CVE-…, or what the source calls it
    Column("kind", Text, nullable=False),  # vulnerability | malware
    Column("score", Integer),  # tenths; null: nobody gave one
    Column("exploited", Boolean, nullable=False),
    Column("published_at", Micros),
    Column("modified_at", Micros),
    Column("withdrawn_at", Micros),
    Column("curated_at", Micros),  # when somebody judged it in any file; null: nobody yet
    Column("summary", Text, nullable=False),
    Column("body", Bytes, nullable=False),  # msgpack: description, vectors, references, aliases, feeds
    sqlite_autoincrement=True,  # numbers are never reused: findings refer to them
)

# ---------------------------------------------------------------- what was found

# Which name in an advisory ecosystem a package stands for, as read from files or said by an administrator.
alias = Table(
    "alias",
    METADATA,
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("ecosystem", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("provenance", Text, nullable=False),  # correction | purl | contents | recipe
    Column("negative", Boolean, nullable=False),  # a correction that says it is not
    Column("by", Text, nullable=False),  # who said so, or the file it was read from
    Column("at", Micros, nullable=False),
    PrimaryKeyConstraint("family", "name", "ecosystem", "upstream", "provenance"),
)
Index("ix_alias_upstream", alias.c.ecosystem, alias.c.upstream)

# Ecosystems of which advisories were known when files were judged last by "unknown": what has a name in one is known.
covered = Table("covered", METADATA, Column("ecosystem", Text, primary_key=True), sqlite_with_rowid=False)

# A vulnerability affects a version of a package, whatever channels hold files of it; derived.
finding = Table(
    "finding",
    METADATA,
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("vulnerability_id", Int, nullable=False, index=True),
    Column("advisory_id", Int, nullable=False),
    Column("fixed_in", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # the range or version that holds it, for people
    PrimaryKeyConstraint("family", "name", "version", "vulnerability_id"),
    sqlite_with_rowid=False,
)

# Somebody's judgement of a vulnerability in the files of a package.
statement = Table(
    "statement",
    METADATA,
    serial(),
    Column("key", Text, nullable=False),  # of the vulnerability
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("spec", Text, nullable=False),  # version and build; empty: every file
    Column("sha256", Text, nullable=False),  # of the one file it is about; else empty
    Column("status", Text, nullable=False),  # active | mitigated | cleared | disputed
    Column("note", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("origin", Text, nullable=False),  # user | feed:<name> | builder
    Column("at", Micros, nullable=False),
    UniqueConstraint("family", "name", "key", "spec", "sha256", "origin"),
    sqlite_autoincrement=True,
)
Index("ix_statement_key", statement.c.key)

# Bytes that somebody holds back everywhere, by their SHA-256, whether we have them yet or not.
quarantine = Table(
    "quarantine",
    METADATA,
    Column("sha256", Bytes, primary_key=True),
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Micros, nullable=False),
)

# ---------------------------------------------------------------- who decided what

ruleset = Table(
    "ruleset",
    METADATA,
    serial(),
    Column("digest", Bytes, nullable=False, unique=True),
    Column("rules", Json, nullable=False),
    Column("created_at", Micros, nullable=False),
    sqlite_autoincrement=True,
)

policy = Table(
    "policy",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("ruleset_id", ForeignKey("ruleset.id"), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
)

waiver = Table(
    "waiver",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("channel_id", Int),  # null: everywhere
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("rules", Json, nullable=False),  # which rules, or vulnerabilities, it lets pass; empty: every one
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Micros, nullable=False),
    Column("until", Micros, nullable=False),
)
Index("ix_waiver_name", waiver.c.family, waiver.c.name)
Index("ix_waiver_until", waiver.c.until)

# Names that no mirror may bring: into one channel, or into any.
reservation = Table(
    "reservation",
    METADATA,
    serial(),
    Column("family", Text, nullable=False),  # empty: every family
    Column("pattern", Text, nullable=False),  # a name, or one with *
    Column("channel_id", Int),  # null: everywhere
    Column("by", Text, nullable=False),
    Column("at", Micros, nullable=False),
    UniqueConstraint("family", "pattern", "channel_id"),
    sqlite_autoincrement=True,  # numbers are never reused, so that nobody removes by an old list what came later
)

# How much of a ruleset is written that some channel waits for; ruleset 0, too. Only shown: nothing depends on it.
preparation = Table(
    "preparation",
    METADATA,
    Column("ruleset_id", Int, primary_key=True, autoincrement=False),
    Column("files", Int, nullable=False),
    Column("done", Int, nullable=False),
)

# ---------------------------------------------------------------- what that hides

# One row only where a ruleset hides a (record, content). Rulesets are shared, so is what they say. What the rule saw is
# not kept: whoever asks gets it from the same rule, asked again.
verdict = Table(
    "verdict",
    METADATA,
    Column("record_id", Int, nullable=False),
    Column("content_id", Int, nullable=False),  # 0: not fetched, judged on the record alone
    Column("ruleset_id", Int, nullable=False),
    Column("rule", Text, nullable=False),
    Column("since", Micros, nullable=False),
    PrimaryKeyConstraint("record_id", "content_id", "ruleset_id"),
    sqlite_with_rowid=False,
)
_HELD = verdict.c.content_id != 0
Index("ix_verdict_content", verdict.c.content_id, sqlite_where=_HELD, postgresql_where=_HELD)

# Where a channel has reasons of its own under a ruleset: it shows what that hides, or hides what that shows.
overlay = Table(
    "overlay",
    METADATA,
    Column("channel_id", Int, nullable=False),
    Column("ruleset_id", Int, nullable=False),
    Column("record_id", Int, nullable=False),
    Column("content_id", Int, nullable=False),
    Column("rule", Text, nullable=False),  # that hides; empty: it is shown
    Column("missing", Text, nullable=False),  # the dependency it lost, if it cannot be installed for that; else empty
    Column("since", Micros, nullable=False),
    Column("until", Micros),
    PrimaryKeyConstraint("record_id", "content_id", "channel_id", "ruleset_id"),
    sqlite_with_rowid=False,
)
Index("ix_overlay_channel", overlay.c.channel_id, overlay.c.ruleset_id)
_ENDS = overlay.c.until.is_not(None)
Index("ix_overlay_until", overlay.c.until, sqlite_where=_ENDS, postgresql_where=_ENDS)

# Names of which something changed that verdicts depend on; whoever did it leaves them here in the same unit.
unjudged = Table(
    "unjudged",
    METADATA,
    serial(),
    Column("family", Text, nullable=False),  # `@` and an ecosystem: a name of advisories; other signs: see unjudged.py
    Column("name", Text, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused, so that no judgement seems to answer a later change
)
Index("ix_unjudged", unjudged.c.family, unjudged.c.name)

# By which engine (`security.engine`) files were judged last, or wait to be; one row. While another one takes over, the
# names up to `reached` wait in `unjudged`.
engine = Table(
    "engine",
    METADATA,
    Column("number", Int, primary_key=True, autoincrement=False),  # 0: nobody knows
    Column("following", Int),
    Column("reached", Text, nullable=False),
)
