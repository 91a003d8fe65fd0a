"""The tables of the catalogue; those of judgement and people are beside it. It is the truth: what is published follows.

Three things are never merged: *content* is bytes we hold, *record* is what a source says, *entry* is
"this channel shows this file with this record". Times are microseconds since the epoch; hashes are raw bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from packhouse.core.db.types import METADATA, Bytes, Int, Json, Micros, serial

# ---------------------------------------------------------------- channels

channel = Table(
    "channel",
    METADATA,
    serial(),
    Column("path", Text, unique=True),  # `ch` or `ch/sub`; null once the channel is deleted
    Column("parent_id", ForeignKey("channel.id"), index=True),
    Column("description", Text, nullable=False, default=""),
    Column("privacy", Text, nullable=False),  # private | authenticated | public
    Column("owner_id", Int, nullable=False),
    Column("heir_of", Int),  # in whose place the owner is, who is disabled; null: in nobody's
    Column("frozen_at", Micros),  # set while the published index is pinned
    Column("frozen_revision", Int),  # the revision it is pinned to; what is hidden since is only taken out of it
    Column("policy_id", Int),  # null: none is assigned
    Column("ruleset_id", Int, nullable=False, server_default="0"),  # whose verdicts hold here
    Column("next_ruleset_id", Int),  # whose verdicts are being written, to hold here then
    Column("assignment", Int, nullable=False, server_default="0"),  # grows when `next_ruleset_id` is set or taken back
    Column("settle_from", Int),  # the ruleset before, while the index does not follow yet; -1: one of several
    Column("ruleset_since", Micros),  # since when `ruleset_id` holds; null: it was never another one
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("deleted_at", Micros),  # invisible at once; its rows are cleared in batches
    Column("notices_at", Micros),  # when its notices were changed last; null: never
)

# Which channels ever stood at a path, and how far: `binding`s up to `until_binding` hold at that path for ever.
channel_path = Table(
    "channel_path",
    METADATA,
    Column("path", Text, nullable=False),
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("until_binding", Int),  # null: the channel stands there now
    PrimaryKeyConstraint("path", "channel_id"),
)

notice = Table(
    "notice",
    METADATA,
    serial(),
    Column("channel_id", ForeignKey("channel.id"), nullable=False, index=True),
    Column("message", Text, nullable=False),
    Column("level", Text, nullable=False),  # info | warning | critical (CEP 6)
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros),
)

# ---------------------------------------------------------------- content, record, entry

content = Table(
    "content",
    METADATA,
    serial(),
    Column("sha256", Bytes, nullable=False, unique=True),
    Column("md5", Bytes, nullable=False),
    Column("size", Int, nullable=False),  # bytes
    Column("facts", Json, nullable=False),  # formats.base.Facts, read from the bytes; these two for rules:
    Column("install_code", Boolean, nullable=False, server_default=false()),  # it runs code at install or start
    Column("judged_by_builder", Boolean, nullable=False, server_default=false()),  # it has an info/security.json
    Column("created_at", Micros, nullable=False),
    Column("doomed_at", Micros),  # first phase of the sweep; an upload of the same bytes rescues it
    Column("deleting", Boolean, nullable=False, default=False, server_default=false()),  # second phase: no rescue
)
Index("ix_content_doomed", content.c.doomed_at)
_BUILT = content.c.judged_by_builder
Index("ix_content_built", content.c.id, sqlite_where=_BUILT, postgresql_where=_BUILT)

record = Table(
    "record",
    METADATA,
    serial(),
    Column("sha256", Bytes, nullable=False),  # of the canonical JSON
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("build", Text, nullable=False),
    Column("build_number", Int, nullable=False),
    Column("size", Int),  # bytes; these three are the source's claims
    Column("claimed_sha256", Bytes),
    Column("claimed_md5", Bytes),
    Column("license", Text, nullable=False),
    Column("license_family", Text, nullable=False),
    Column("timestamp", Micros),  # what the source claims as build time
    Column("signed", Boolean, nullable=False, default=False),
    # with the name in front, since a mirror's records come name by name: a million random keys touch a page each
    UniqueConstraint("name", "sha256"),
)

Index("ix_record_version", record.c.name, record.c.version)  # the versions of a package, and the files of one

# Apart from `record`, so that scans over its columns do not drag the texts along.
record_body = Table(
    "record_body",
    METADATA,
    Column("record_id", ForeignKey("record.id"), primary_key=True, autoincrement=False),
    Column("json", Bytes, nullable=False),  # canonical
    Column("packed", Bytes, nullable=False),  # as the own document of a name carries it; empty: that is made from JSON
    Column("signatures", Json),
)

entry = Table(
    "entry",
    METADATA,
    serial(),
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("family", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("record_id", ForeignKey("record.id"), nullable=False, index=True),
    Column("content_id", ForeignKey("content.id"), index=True),  # null: passive, not fetched yet
    Column("mirror_id", ForeignKey("mirror.id"), index=True),  # null: arrived by upload or copy
    Column(
        "uploaded", Boolean, nullable=False, server_default=false()
    ),  # by somebody, here or where it was copied from
    Column("origin_id", ForeignKey("origin.id")),  # where a passive entry's bytes can be had; null: from its mirror
    Column("source_url", Text),  # where exactly, when neither says it
    Column("source_hash", Int),  # xxh3 of the upstream's record text, to see changes without reading records
    Column("first_seen_at", Micros),  # in the upstream's index; null: it stood in the first one we saw
    Column("visible_at", Micros, nullable=False),  # set once: CEP 47 `indexed_timestamp`
    Column("event_id", Int, nullable=False),  # the cause of its arrival
    UniqueConstraint("channel_id", "family", "partition", "filename"),
    sqlite_autoincrement=True,  # numbers are never reused, so that no file inherits the downloads of a removed one
)
Index("ix_entry_name", entry.c.channel_id, entry.c.name, entry.c.partition)
Index("ix_entry_event", entry.c.channel_id, entry.c.event_id)
_ELSEWHERE = entry.c.origin_id.is_not(None)
_OWN = entry.c.uploaded
Index("ix_entry_uploaded", entry.c.channel_id, entry.c.name, sqlite_where=_OWN, postgresql_where=_OWN)
Index("ix_entry_origin", entry.c.origin_id, sqlite_where=_ELSEWHERE, postgresql_where=_ELSEWHERE)

# A coordinate of a channel has one content for ever (invariant I3): uploads, fetches and trusted claims all bind.
binding = Table(
    "binding",
    METADATA,
    serial(),
    Column("channel_id", Int, nullable=False),
    Column("family", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("sha256", Bytes, nullable=False),
    UniqueConstraint("channel_id", "family", "partition", "filename"),
)

# What left a channel, why, and how it had come. With `entry.event_id` this is the list of package changes.
removal = Table(
    "removal",
    METADATA,
    serial(),
    Column("channel_id", Int, nullable=False),
    Column("family", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("cause", Text, nullable=False),  # upload | mirror | copy | removal | policy
    Column("mirror_id", Int),  # the mirror it came from: it stays out of later runs until restored
    Column("by_person", Boolean, nullable=False),
    Column("event_id", Int, nullable=False),
    Column("at", Micros, nullable=False),
    Column("arrival_event_id", Int, nullable=False),  # these two as they stood in the entry
    Column("visible_at", Micros, nullable=False),
)
Index("ix_removal_channel", removal.c.channel_id, removal.c.event_id)
Index("ix_removal_arrival", removal.c.channel_id, removal.c.arrival_event_id)
Index("ix_removal_person", removal.c.channel_id, removal.c.family, removal.c.partition, removal.c.filename)

package = Table(
    "package",
    METADATA,
    serial(),
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("family", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("file_count", Int, nullable=False),
    Column("download_count", Int, nullable=False, default=0),
    Column("latest_version", Text, nullable=False, default=""),
    Column("build_number", Int, nullable=False, server_default="0"),  # of the latest version
    Column("license", Text, nullable=False, default=""),
    Column("license_family", Text, nullable=False, default=""),
    Column("summary", Text, nullable=False, default=""),
    Column("platforms", Text, nullable=False, default=""),  # space-separated partitions
    Column("overview", Bytes, nullable=False, default=b""),  # what the format's channel-wide document says of it
    Column("needs", Json, nullable=False, server_default="[]"),  # names that its latest version depends on
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    UniqueConstraint("channel_id", "name", "family"),  # in this order for lists by name, and for a name in any family
)
Index("ix_package_downloads", package.c.channel_id, package.c.download_count)

# `package.needs` the other way round, kept by triggers (migration 0002): who depends on `needed` is one range of a key.
need = Table(
    "need",
    METADATA,
    Column("channel_id", Int, nullable=False),
    Column("family", Text, nullable=False),
    Column("needed", Text, nullable=False),
    Column("name", Text, nullable=False),  # of the package that needs it
    PrimaryKeyConstraint("channel_id", "family", "needed", "name"),
    sqlite_with_rowid=False,
)

# Sums over `package`, kept by triggers (migration 0002), so that a list of channels costs nothing per package.
package_total = Table(
    "package_total",
    METADATA,
    Column("channel_id", Int, primary_key=True, autoincrement=False),
    Column("packages", Int, nullable=False),
    Column("files", Int, nullable=False),
    Column("downloads", Int, nullable=False),
    Column("changes", Int, nullable=False),  # grows with every change of a package's row
)

# ---------------------------------------------------------------- the published index

part = Table(
    "part",
    METADATA,
    serial(),
    Column("sha256", Bytes, nullable=False, unique=True),  # of the uncompressed canonical bytes
    Column("shard", Bytes, nullable=False),  # zstd of those bytes: the shard as served
    Column("shard_sha256", Bytes, nullable=False),
    Column("fragment", Bytes, nullable=False),  # zstd of the same records as JSON, for repodata.json
)
Index("ix_part_shard", part.c.shard_sha256)

shelf = Table(
    "shelf",
    METADATA,
    Column("channel_id", Int, nullable=False),
    Column("partition", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("from_rev", Int, nullable=False),
    Column("to_rev", Int),  # exclusive; null: until further notice
    Column("part_id", ForeignKey("part.id"), index=True),  # null: nothing to show from here on
    PrimaryKeyConstraint("channel_id", "partition", "name", "from_rev"),
)
Index("ix_shelf_from", shelf.c.channel_id, shelf.c.from_rev)

revision = Table(
    "revision",
    METADATA,
    Column("channel_id", Int, nullable=False),
    Column("number", Int, nullable=False),
    Column("committed_at", Micros, nullable=False),
    PrimaryKeyConstraint("channel_id", "number"),
)

# The latest revision; its row is the publish lock. Apart from `channel`, so that an edit never waits for a publish.
head = Table(
    "head",
    METADATA,
    Column("channel_id", ForeignKey("channel.id"), primary_key=True, autoincrement=False),
    Column("revision", Int, nullable=False),
)

dirty = Table(
    "dirty",
    METADATA,
    serial(),
    Column("channel_id", Int, nullable=False),
    Column("partition", Text, nullable=False),
    Column("name", Text, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused, so that no draft seems to answer a later change
)
Index("ix_dirty", dirty.c.channel_id, dirty.c.name, dirty.c.partition)

# ---------------------------------------------------------------- what happened

change = Table(
    "change",
    METADATA,
    Column("seq", Int, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("channel_id", Int),
    Column("name", Text, nullable=False, default=""),
    Column("at", Micros, nullable=False),
    sqlite_autoincrement=True,  # numbers are never reused, so that a poller cannot miss a row
)

event = Table(
    "event",
    METADATA,
    serial(),
    Column("at", Micros, nullable=False),
    Column("type", Text, nullable=False),
    Column("actor", Text, nullable=False),  # user name, `mirror:ID` or `system`
    Column("channel_id", Int),
    Column("source_id", Int),  # the channel that files left for the other, whose history it belongs to as well
    Column("object", Text, nullable=False),  # what it was done to, as a user would write it
    Column("data", Json, nullable=False),
    Column("seq", Int, unique=True),  # given by the sealer; null: not sealed yet
    Column("hash", Bytes),  # of the previous hash and this event
    Column("signature", Bytes),
    sqlite_autoincrement=True,
)
Index("ix_event_channel", event.c.channel_id, event.c.id)
_MOVED = event.c.source_id.is_not(None)
Index("ix_event_source", event.c.source_id, event.c.id, sqlite_where=_MOVED, postgresql_where=_MOVED)
Index("ix_event_at", event.c.at, event.c.id)
for _asked in (event.c.type, event.c.actor, event.c.object):
    Index(f"ix_event_{_asked.name}", _asked, event.c.at, event.c.id)
Index("ix_event_unsealed", event.c.id, sqlite_where=event.c.seq.is_(None), postgresql_where=event.c.seq.is_(None))

download = Table(
    "download",
    METADATA,
    Column("entry_id", Int, nullable=False),
    Column("channel_id", Int, nullable=False),
    Column("name", Text, nullable=False),
    Column("count", Int, nullable=False),
    PrimaryKeyConstraint("entry_id"),
)
Index("ix_download_channel", download.c.channel_id, download.c.name)

# What names a file that was downloaded, as it was then: it outlasts the entry, its record and its content, whose ids
# may be given again (SQLite), so that hashes name them.
downloaded = Table(
    "downloaded",
    METADATA,
    serial(),
    Column("entry_id", Int, nullable=False),
    Column("record_id", Int, nullable=False),
    Column("sha256", Bytes, nullable=False),  # of the content
    Column("record_sha256", Bytes),  # null: nobody knew the record any more
    Column("channel_id", Int, nullable=False),
    Column("channel", Text, nullable=False),  # its path at the first download
    Column("family", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("filename", Text, nullable=False),
    UniqueConstraint("entry_id", "record_id", "sha256"),
)
Index("ix_downloaded_content", downloaded.c.sha256)
Index("ix_downloaded_record", downloaded.c.record_sha256)
Index("ix_downloaded_name", downloaded.c.name, downloaded.c.version)

# Who downloaded such a file, day by day. "Who, since when" is one range of the key, "what did they" one of the index.
download_by = Table(
    "download_by",
    METADATA,
    Column("file_id", ForeignKey("downloaded.id"), nullable=False),
    Column("day", Int, nullable=False),  # since 1970, UTC
    Column("account_id", Int, nullable=False),  # 0: nobody in particular
    Column("count", Int, nullable=False),
    Column("first_at", Micros, nullable=False),
    Column("last_at", Micros, nullable=False),
    PrimaryKeyConstraint("file_id", "day", "account_id"),
    sqlite_with_rowid=False,
)
Index("ix_download_by_account", download_by.c.account_id, download_by.c.day)

# Chunks of counts that were added already, so that a crash neither loses nor doubles one.
download_chunk = Table(
    "download_chunk", METADATA, Column("name", Text, primary_key=True), Column("at", Micros, nullable=False)
)

# What single downloads have in common, once each: what the client called itself, and what was known of the file.
agent = Table(
    "agent",
    METADATA,
    serial(),
    Column("hash", Bytes, nullable=False, unique=True),
    Column("agent", Text, nullable=False),
    Column("tokens", Json, nullable=False),  # of anaconda-anon-usage and the like, by kind
    Column("last_day", Int, nullable=False, index=True),  # since 1970, UTC: when it was needed last
)
cve_set = Table(
    "cve_set",
    METADATA,
    serial(),
    Column("hash", Bytes, nullable=False, unique=True),
    Column("cves", Json, nullable=False),
    Column("last_day", Int, nullable=False, index=True),
)

# ---------------------------------------------------------------- mirrors

mirror = Table(
    "mirror",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),  # conda | python_simple | CRAN
    Column("mode", Text, nullable=False),  # active | passive
    Column("source", Text, nullable=False),
    Column("cron", Text, nullable=False, default=""),
    Column("filters", Json, nullable=False),
    Column("options", Json, nullable=False),  # proxy, TLS, dependency closure
    Column("credential", Json),  # secret: never shown, never logged
    Column("state", Text, nullable=False),  # pending | running | completed | failed | stopped; deleting | deleted
    Column("progress", Json, nullable=False),
    Column("needs_full_run", Boolean, nullable=False, default=True),
    Column("last_run_at", Micros),
    Column("next_run_at", Micros),
    Column("created_at", Micros, nullable=False),
    Column("updated_at", Micros, nullable=False),
    Column("deleted_at", Micros),
)
Index("ix_mirror_channel", mirror.c.channel_id)
_SHOWN = mirror.c.deleted_at.is_(None)
Index("uq_mirror_name", mirror.c.channel_id, mirror.c.name, unique=True, sqlite_where=_SHOWN, postgresql_where=_SHOWN)

# The source of a mirror as files refer to it that were copied elsewhere, or taken in before the mirror turned to
# another source. It is the mirror's own while `mirror_id` is set, and stands for itself from then on; it lasts while
# an entry refers to it.
origin = Table(
    "origin",
    METADATA,
    serial(),
    Column("mirror_id", ForeignKey("mirror.id"), unique=True),
    Column("source", Text, nullable=False, server_default=""),
    Column("options", Json),
    Column("credential", Json),  # secret: never shown, never logged
    Column("bases", Json),  # partition to where its files are, when not beside its index
)

# The upstream index of one partition as last taken in: what makes "nothing changed" cost one 304.
mirror_index = Table(
    "mirror_index",
    METADATA,
    Column("mirror_id", ForeignKey("mirror.id"), nullable=False),
    Column("partition", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("digest", Bytes, nullable=False),  # SHA-256 of the index as it was sent
    Column("base_url", Text, nullable=False, server_default=""),  # where the files are, when not beside the index
    Column("shards", Bytes),  # msgpack: name to SHA-256 of its shard, when the index is sharded
    Column("file_count", Int, nullable=False),
    PrimaryKeyConstraint("mirror_id", "partition"),
)

# Coordinates about which an upstream and this channel disagree, until an administrator decides.
mirror_conflict = Table(
    "mirror_conflict",
    METADATA,
    Column("mirror_id", ForeignKey("mirror.id"), nullable=False),
    Column("partition", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("held_sha256", Bytes),
    Column("upstream_sha256", Bytes),
    Column("reason", Text, nullable=False),
    Column("decision", Text),  # keep | remove; null: nobody decided about these upstream bytes yet
    Column("at", Micros, nullable=False),
    PrimaryKeyConstraint("mirror_id", "partition", "filename"),
)
