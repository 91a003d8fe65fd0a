"""Upload: bytes that were streamed in become a file of a channel, installable when the answer says so."""

from __future__ import annotations

from dataclasses import dataclass

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import contents, entries
from packhouse.core.blobs.spool import Writer
from packhouse.core.clock import monotonic
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.formats.base import Coordinate, Facts, Hashes, Malformed
from packhouse.workflows.judging.arriving import judge_arrivals
from packhouse.workflows.publishing.channels import hold_writable, writable
from packhouse.workflows.records import record_of
from packhouse.workflows.services import Services


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What an upload led to. `created` is False when the very same file was there already."""

    coordinate: Coordinate
    hashes: Hashes
    created: bool


async def upload(
    services: Services, channel: Channel, actor: str, writer: Writer, filename: str, partition: str | None = None
) -> Uploaded:
    """Check the bytes in `writer`, store them, and publish the file; returns once clients can install it.

    `partition` is the subdir the client addressed, if its protocol has one; it must agree with the package.
    Raises PackhouseError: `unsupported_type`, `malformed_package`, `different_content`, `channel_frozen`,
    `storage_full`, `try_later`. A refused upload leaves no row; bytes of a lost race are swept.
    """
    registry.identify(filename)
    hashes = writer.hashes()
    try:
        facts = await services.sandbox.inspect(writer.path, filename)
        record = record_of(facts, hashes)  # before any byte is kept, as it may be one that no index can carry
    except Malformed as fault:
        raise PackhouseError(
            "malformed_package", f"{filename[:200]}: {fault}", "Build the package again, and keep the name it then has."
        ) from None
    if partition is not None and partition != facts.coordinate.partition:
        raise PackhouseError(
            "malformed_package",
            f"{filename} is a package for {facts.coordinate.partition}, not for {partition}.",
            f"Upload it below {facts.coordinate.partition}/.",
        )
    now = await writable(services.db, channel.id)
    await _held(services.db, now, facts.coordinate, bytes.fromhex(hashes.sha256))  # before any byte is kept
    since = monotonic()
    await contents.rescue(services.db, bytes.fromhex(hashes.sha256))
    await writer.commit()

    async def work(unit: Unit) -> bool:
        created = await _register(unit, channel.id, actor, facts, hashes, record)
        contents.refuse_late(since, services.settings.sweep_grace_seconds)
        return created

    created = await services.db.write(work)
    await services.publisher.publish(channel.id)
    return Uploaded(facts.coordinate, hashes, created)


async def _register(
    unit: Unit, channel_id: int, actor: str, facts: Facts, hashes: Hashes, record: contents.Record
) -> bool:
    """Write the rows of one upload; False when the same file is there already.

    A file that a mirror brought, or promised, becomes the uploader's: no later run takes it away.
    """
    at, sha256 = facts.coordinate, bytes.fromhex(hashes.sha256)
    channel = await hold_writable(unit, channel_id)
    await entries.bind(unit, channel_id, at, sha256)  # takes the coordinate; a rival waits here on PostgreSQL
    held = await _held(unit, channel, at, sha256)
    if held is not None and held.active and held.mirror_id is None:
        return False
    record_id = await contents.add_record(unit, record)
    content_id = await contents.add_content(unit, hashes, facts)
    event_id = await record_event(
        unit,
        type="artifact_registered",
        actor=actor,
        object=f"{channel.path}/{at.ckey}",
        channel_id=channel.id,
        data={"ckey": at.ckey, "name": at.name, "artifact_family": at.family, "sha256": hashes.sha256, "by": "upload"},
    )
    shown = held.record_id if held is not None and held.active else record_id
    if held is not None:
        await entries.adopt(unit, channel.id, at, shown, content_id, event_id, uploaded=True)
    else:
        await entries.add_one(unit, _row(channel.id, at, record_id, content_id, event_id, unit.now))
    await entries.forgive(unit, channel.id, at)
    await judge_arrivals(unit, channel, at.family, [shown])
    await entries.mark_dirty(unit, channel.id, [(at.partition, at.name)])
    await changes.note(unit, "entry", channel.id, at.name)
    return held is None or not held.active


async def _held(reader: Reader, channel: Channel, at: Coordinate, sha256: bytes) -> entries.Entry | None:
    """Return what stands at the coordinate. Raises `different_content` when it may not be these bytes."""
    bound = await entries.bound_to(reader, channel.id, channel.path, at)
    held = await entries.find(reader, channel.id, at.family, at.partition, at.filename)
    promised = {held.sha256} if held is not None and held.sha256 is not None else set()
    if (bound | promised) - {sha256}:
        raise other_content(channel.path, at)
    return held


def _row(
    channel_id: int, at: Coordinate, record_id: int, content_id: int, event_id: int, now: int
) -> dict[str, object]:
    return {
        **entries.key_of(channel_id, at),
        "name": at.name,
        "record_id": record_id,
        "content_id": content_id,
        "mirror_id": None,
        "uploaded": True,
        "source_url": None,
        "source_hash": None,
        "first_seen_at": now,
        "visible_at": now,
        "event_id": event_id,
    }


def other_content(path: str, at: Coordinate) -> PackhouseError:
    """Return the refusal of other bytes under a coordinate that is taken (invariant I3)."""
    return PackhouseError(
        "different_content",
        f"File already exists: {path}/{at.ckey} was published with other bytes, and a file never changes.",
        "Give the new build another build number or version.",
    )
