"""Fills a channel with records as if they had been uploaded, a million in minutes: rows in batches, then published.

The bytes of the files are not there, which lists and indexes never ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from bench.make_channel import claim, plan, records_of
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import contents, entries
from packhouse.core.db import Unit
from packhouse.formats.base import Coordinate, Facts
from packhouse.workflows.records import build_record
from packhouse.workflows.services import Services

BATCH = 2000

# Ids of our own choice: to look each up would take most of the time.
_CONTENT = """INSERT INTO content (id, sha256, md5, size, facts, created_at)
 VALUES (:content_id, :sha256, :md5, :size, :facts, :now)"""
_LAST_CONTENT = "SELECT coalesce(max(id), 0) FROM content"
_CATCH_UP = "SELECT setval(pg_get_serial_sequence('content', 'id'), (SELECT max(id) FROM content))"
_BINDING = """INSERT INTO binding (channel_id, family, partition, filename, sha256)
 VALUES (:channel_id, 'conda', :partition, :filename, :sha256)"""
_ENTRY = (
    "channel_id", "family", "partition", "name", "filename", "record_id", "content_id", "mirror_id", "source_url",
    "source_hash", "first_seen_at", "visible_at", "event_id", "uploaded",
)  # fmt: skip


class _File(NamedTuple):
    record: contents.Record
    row: dict[str, Any]


async def fill(services: Services, channel: Channel, records: int, seed: int = 0) -> None:
    """Let `channel` show exactly `records` files (at least 36), published."""
    files = _files(records, seed)

    async def announce(unit: Unit) -> int:
        return await record_event(
            unit,
            type="artifact_registered",
            actor="bench",
            object=channel.path,
            channel_id=channel.id,
            data={"files": records},
        )

    event_id = await services.db.write(announce)
    while batch := list(islice(files, BATCH)):
        await services.db.write(lambda unit, batch=batch: _add(unit, channel.id, event_id, batch))  # type: ignore[misc]  # its type is that of _add
    await services.publisher.publish(channel.id)
    if services.db.dialect == "postgresql":
        await services.db.write(lambda unit: unit.fetch_value(_CATCH_UP))


async def _add(unit: Unit, channel_id: int, event_id: int, batch: list[_File]) -> None:
    ids = await contents.add_records(unit, [one.record for one in batch])
    first = int(await unit.fetch_value(_LAST_CONTENT)) + 1
    common: dict[str, Any] = dict.fromkeys(("mirror_id", "source_url", "source_hash"))
    common |= {"family": "conda", "first_seen_at": unit.now, "visible_at": unit.now, "uploaded": True}
    common |= {"channel_id": channel_id, "event_id": event_id, "now": unit.now}
    rows = [
        {**one.row, **common, "record_id": ids[one.record.sha256], "content_id": number}
        for number, one in enumerate(batch, first)
    ]
    await unit.execute_many(_CONTENT, _only(rows, "content_id", "sha256", "md5", "size", "facts", "now"))
    await entries.add(unit, _only(rows, *_ENTRY))
    await unit.execute_many(_BINDING, _only(rows, "channel_id", "partition", "filename", "sha256"))
    names = {(one.row["partition"], one.row["name"]) for one in batch}
    await entries.mark_dirty(unit, channel_id, sorted(names))


def _only(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: row[name] for name in names} for row in rows]


def _files(records: int, seed: int) -> Iterator[_File]:
    names = plan(records, seed)
    for name in sorted(names, key=lambda each: each.name):
        for made in records_of(name, names, seed):
            yield _file(*claim(made))


def _file(filename: str, source: dict[str, Any]) -> _File:
    record = build_record(filename, source, family="conda")
    at = Coordinate("conda", source["subdir"], filename, record.name, record.version, record.build)
    facts = Facts(at, source, record.license, record.license_family, f"Synthetic package {record.name}")
    row = {
        "sha256": record.claimed_sha256,
        "md5": record.claimed_md5,
        "size": record.size,
        "facts": contents.facts_encoder.encode(facts).decode(),
        "partition": at.partition,
        "filename": filename,
        "name": record.name,
    }
    return _File(record, row)
