"""From the raw text of an upstream record to what the catalogue keeps of it; pure, and nothing is trusted."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from packhouse.catalog.mirrors.holdings import Held, Incoming
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.formats.conda.record import canonical_json, check_size
from packhouse.formats.conda.upstream import source_hash
from packhouse.workflows.records import build_record

Raw = msgspec.Raw | bytes


def hash_of(raw: Raw, signature: Raw | None) -> int:
    """Return the number by which a changed record is noticed; its signature is part of it."""
    return source_hash(raw) if signature is None else source_hash(bytes(raw) + bytes(signature))


def prepare(
    partition: str,
    filename: str,
    raw: Raw,
    signature: Raw | None,
    entry_id: int | None = None,
    *,
    foreign: bool = False,
) -> Incoming:
    """Return what to keep of a record. Raises Malformed for one that no index can carry, or of another file."""
    format = registry.of_partition(partition)
    source, url = format.separate(raw, signed=signature is not None)
    record = build_record(filename, source, _signature(signature), family=format.family)
    format.check_listed(filename, record.name, record.version, record.build)
    return Incoming(filename, record, url, hash_of(raw, signature), entry_id, foreign)


def _signature(signature: Raw | None) -> str | None:
    if signature is None:
        return None
    check_size(signature, "Its signature")
    try:
        found = msgspec.json.decode(bytes(signature), type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"Its signatures cannot be read: {error}.") from None
    return canonical_json(found).decode()


def conflict(one: Incoming, held: Held | None, bound: Mapping[str, set[bytes]]) -> str | None:
    """Return why a record must not stand at its coordinate, or None: the bytes there are others (invariant I3)."""
    claimed = one.record.claimed_sha256
    if held is not None and one.foreign:
        return "held by an upload or another mirror" if _differs(one, held) else None
    if held is not None and held.active and _differs(one, held):
        return "other bytes upstream than here"
    promised = bound.get(one.filename)
    if promised and claimed and promised != {claimed}:
        return "was published here with other bytes before"
    return None


def _differs(one: Incoming, held: Held) -> bool:
    """Say whether the claims contradict the bytes there; the strongest claim both sides make decides."""
    record = one.record
    for claimed, found in (
        (record.claimed_sha256, held.sha256),
        (record.claimed_md5, held.md5),
        (record.size, held.size),
    ):
        if claimed is not None and found is not None:
            return claimed != found
    return False
