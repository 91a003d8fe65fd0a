"""Queries of content (bytes we hold) and records (what a source says): both shared by every channel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, or_, select, update

from packhouse.catalog.schema import content, record
from packhouse.catalog.signing import signatures
from packhouse.core.clock import monotonic
from packhouse.core.db import Database, Row, Unit, any_of
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.formats.base import Facts, Hashes


class Record(msgspec.Struct, frozen=True):
    """One distinct text a source says about a file, pre-encoded, with the columns lists and rules ask for."""

    sha256: bytes  #: of canonical JSON and signatures
    name: str
    version: str
    build: str
    build_number: int
    size: int | None
    claimed_sha256: bytes | None
    claimed_md5: bytes | None
    license: str
    license_family: str
    timestamp: int | None
    signed: bool
    json: bytes
    packed: bytes
    signatures: str | None = None
    signers: tuple[str, ...] = ()  #: public keys (hex) whose signature of it is true


_COLUMNS = tuple(name for name in Record.__struct_fields__ if name in record.c)
_ADD_RECORD = f"""INSERT INTO record ({", ".join(_COLUMNS)}) VALUES ({", ".join(":" + name for name in _COLUMNS)})
 ON CONFLICT (name, sha256) DO NOTHING"""  # noqa: S608  # the names are ours
# Plain VALUES: on SQLite an INSERT … SELECT keeps a journal of its own for each row, which is three times as slow.
_ADD_BODY = """INSERT INTO record_body (record_id, json, packed, signatures)
 VALUES (:record_id, :json, :packed, :signatures) ON CONFLICT (record_id) DO NOTHING"""
_RECORD_ID = select(record.c.id).where(record.c.name == bindparam("name"), record.c.sha256 == bindparam("sha256"))
#: the only one whose records are signed
_SIGNED_FAMILY = "conda"
#: records asked for at a time: bytes do not go into a JSON list, which is how SQLite takes list parameters
_GROUP = 250
_PAIRS = ", ".join(f"(:n{number}, :h{number})" for number in range(_GROUP))
_RECORD_IDS = f"""SELECT record.sha256, record.id FROM (VALUES {_PAIRS}) AS asked CROSS JOIN record
 WHERE record.name = asked.column1 AND record.sha256 = asked.column2"""  # noqa: S608  # the names are ours

_HASHES = ", ".join(f"(:h{number})" for number in range(_GROUP))
_DOOMED = f"""SELECT content.sha256 FROM (VALUES {_HASHES}) AS asked CROSS JOIN content
 WHERE content.sha256 = asked.column1 AND content.doomed_at IS NOT NULL"""  # noqa: S608  # the names are ours

_CONTENT = select(content.c.id, content.c.size, content.c.doomed_at).where(content.c.sha256 == bindparam("sha256"))
# A row that the sweep made for bytes nobody knew has no facts yet; one it is deleting is not to be had.
_ADD_CONTENT = """INSERT INTO content (sha256, md5, size, facts, install_code, judged_by_builder, created_at)
 VALUES (:sha256, :md5, :size, :facts, :install_code, :judged_by_builder, :created_at)
 ON CONFLICT (sha256) DO UPDATE SET doomed_at = NULL, md5 = excluded.md5, size = excluded.size,
 install_code = CASE WHEN content.facts = '' THEN excluded.install_code ELSE content.install_code END,
 judged_by_builder = CASE WHEN content.facts = '' THEN excluded.judged_by_builder ELSE content.judged_by_builder END,
 facts = CASE WHEN content.facts = '' THEN excluded.facts ELSE content.facts END
 WHERE content.deleting IS FALSE"""
_ADD_ONE_CONTENT = f"{_ADD_CONTENT} RETURNING id"
_ANY = select(content.c.id).limit(1)
_FACTS = select(content.c.facts).where(content.c.id == bindparam("content_id"))
# As if created now: between this and the new owner's row lies at most one upload, and grace is longer.
_RESCUE = (
    update(content)
    .where(content.c.sha256 == bindparam("sha256_"), content.c.deleting.is_(False))
    .values(doomed_at=None, created_at=bindparam("now"))
)
_FACTS_OF_MANY = select(content.c.id, content.c.facts).where(any_of(content.c.id, "ids"))
# Most packages have none, and then nothing is said of them: the database passes their facts over.
# Of bytes that say nothing of where they come from there is nothing to read.
_FACTS_WITH_ORIGIN = _FACTS_OF_MANY.where(
    or_(content.c.facts.like('%"sources":[%'), content.c.facts.like('%"distributions":[%'))
)
_FACTS_WITH_EXPORTS = _FACTS_OF_MANY.where(content.c.facts.like('%"run_exports":{%'))

facts_encoder = msgspec.json.Encoder(order="deterministic")
_facts_decoder = msgspec.json.Decoder(Facts)


class _Exporting(msgspec.Struct):
    run_exports: dict[str, Any]


_exports_decoder = msgspec.json.Decoder(_Exporting)


def _values(one: Record) -> dict[str, object]:
    return {name: getattr(one, name) for name in _COLUMNS}


def _body(one: Record, record_id: int) -> dict[str, object]:
    return {"record_id": record_id, "json": one.json, "packed": one.packed, "signatures": one.signatures}


async def add_record(unit: Unit, one: Record) -> int:
    """Keep the record unless it is there already; return its id."""
    known = await unit.fetch_value(_RECORD_ID, name=one.name, sha256=one.sha256)
    if known is not None:
        return int(known)
    await unit.execute(_ADD_RECORD, **_values(one))
    record_id = int(await unit.fetch_value(_RECORD_ID, name=one.name, sha256=one.sha256))
    await unit.execute(_ADD_BODY, **_body(one, record_id))
    await signatures.add(unit, _SIGNED_FAMILY, ((record_id, one.name, signer) for signer in one.signers))
    return record_id


async def add_records(unit: Unit, records: Iterable[Record]) -> dict[bytes, int]:
    """Keep many records, those already there as they are; return their ids by hash."""
    distinct = {one.sha256: one for one in records}
    await unit.execute_many(_ADD_RECORD, [_values(one) for one in distinct.values()])
    ids: dict[bytes, int] = {}
    every = list(distinct.values())
    for start in range(0, len(every), _GROUP):
        group = every[start : start + _GROUP]
        group += group[-1:] * (_GROUP - len(group))
        names = {f"n{number}": one.name for number, one in enumerate(group)}
        hashes = {f"h{number}": one.sha256 for number, one in enumerate(group)}
        ids.update({bytes(row[0]): row[1] for row in await unit.fetch_all(_RECORD_IDS, **names, **hashes)})
    await unit.execute_many(_ADD_BODY, [_body(one, ids[key]) for key, one in distinct.items()])
    signed = ((ids[key], one.name, signer) for key, one in distinct.items() for signer in one.signers)
    await signatures.add(unit, _SIGNED_FAMILY, signed)
    return ids


async def find_content(reader: Reader, sha256: bytes) -> Row | None:
    """Return (id, size, doomed_at) of the content with this hash."""
    return await reader.fetch_one(_CONTENT, sha256=sha256)


async def any_content(reader: Reader) -> bool:
    """Tell whether the catalogue knows any bytes at all."""
    return await reader.fetch_value(_ANY) is not None


async def add_content(unit: Unit, hashes: Hashes, facts: Facts) -> int:
    """Register bytes that lie in the blob store; content that was doomed is rescued. Return the id.

    Raises PackhouseError("try_later") in the moment when the sweep is deleting these very bytes.
    """
    content_id = await unit.fetch_value(_ADD_ONE_CONTENT, **_content(hashes, facts, unit.now))
    if content_id is None:
        raise _being_swept()
    return int(content_id)


async def add_contents(unit: Unit, files: Iterable[tuple[Hashes, Facts]]) -> None:
    """Register many; what the sweep is deleting at this moment stays as it is, so ask afterwards."""
    await unit.execute_many(_ADD_CONTENT, [_content(hashes, facts, unit.now) for hashes, facts in files])


def _content(hashes: Hashes, facts: Facts, now: int) -> dict[str, object]:
    return {
        "sha256": bytes.fromhex(hashes.sha256),
        "md5": bytes.fromhex(hashes.md5),
        "size": hashes.size,
        "facts": facts_encoder.encode(facts).decode(),
        "install_code": bool(facts.install_code),
        "judged_by_builder": bool(facts.security),
        "created_at": now,
    }


async def facts_of(reader: Reader, content_id: int) -> Facts | None:
    """Return what was read from the bytes; None when nobody has looked into them, as with bytes the sweep found."""
    text = await reader.fetch_value(_FACTS, content_id=content_id)
    return _facts_decoder.decode(text) if text else None


async def facts_of_many(reader: Reader, content_ids: Sequence[int]) -> dict[int, Facts]:
    """Return content id → what was read from the bytes; bytes that nobody has looked into are missing."""
    rows = await reader.fetch_all(_FACTS_OF_MANY, ids=list(content_ids)) if content_ids else []
    return {row[0]: _facts_decoder.decode(row[1]) for row in rows if row[1]}


async def origin_facts_of(reader: Reader, content_ids: Sequence[int]) -> dict[int, str]:
    """Return content id → facts (JSON) of bytes that say something of where they come from."""
    rows = await reader.fetch_all(_FACTS_WITH_ORIGIN, ids=list(content_ids)) if content_ids else []
    return {row[0]: row[1] for row in rows}


async def run_exports_of(reader: Reader, content_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return content id → run exports read from the bytes; bytes without any are missing."""
    rows = await reader.fetch_all(_FACTS_WITH_EXPORTS, ids=list(content_ids)) if content_ids else []
    return {row[0]: _exports_decoder.decode(row[1]).run_exports for row in rows}


async def rescue(db: Database, sha256: bytes) -> None:
    """Before bytes are stored: take them off the sweeper's list, should they be on it.

    Raises PackhouseError("try_later") in the moment when the sweeper is deleting these very bytes.
    """
    row = await find_content(db, sha256)
    if row is None or row[2] is None:
        return

    async def work(unit: Unit) -> None:
        if not await unit.execute(_RESCUE, sha256_=sha256, now=unit.now):
            raise _being_swept()

    await db.write(work)


def refuse_late(since: float, grace: int) -> None:
    """At the end of the unit that registers bytes: refuse them if they may have been swept before it.

    `since` is a moment of `monotonic` before they were rescued and stored, `grace` how long the sweep spares them from
    then on, in seconds; 0 promises nothing. The unit has their row by now, so from here on the sweep does not get it.
    Raises PackhouseError("try_later"): this process, or its machine, stood still meanwhile.
    """
    if 0 < grace < monotonic() - since:
        raise PackhouseError(
            "try_later", "This server stood still, and what it had stored may have been swept meanwhile.", "Try again."
        )


async def doomed(db: Database, hashes: Sequence[bytes]) -> set[bytes]:
    """Return those of many contents that are on the sweeper's list, for `rescue` to take them off."""
    found: set[bytes] = set()
    for start in range(0, len(hashes), _GROUP):
        group = [*hashes[start : start + _GROUP]]
        group += group[-1:] * (_GROUP - len(group))
        rows = await db.fetch_all(_DOOMED, **{f"h{number}": one for number, one in enumerate(group)})
        found |= {bytes(row[0]) for row in rows}
    return found


def _being_swept() -> PackhouseError:
    return PackhouseError(
        "try_later", "The same bytes are being swept away at this moment.", "Try again.", retry_after=1
    )
