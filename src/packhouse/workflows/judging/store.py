"""Queries of judgement across nouns: files as rules see them, by record, by name and by channel."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, insert, literal, null, select, union

from packhouse.catalog.judgement_tables import covered as covered_table
from packhouse.catalog.judgement_tables import overlay, verdict
from packhouse.catalog.packages.hiding import SHOWN, judged
from packhouse.catalog.policies.store import EVERYTHING
from packhouse.catalog.schema import channel, content, downloaded, entry, record, record_body
from packhouse.core.db import Database, Unit, any_of
from packhouse.core.db.base import Reader


class FileRow(NamedTuple):
    """A (record, content), in one channel or in whatever channels show it. Times are microseconds."""

    record_id: int
    content_id: int  #: 0: not fetched
    partition: str
    filename: str
    name: str
    version: str
    build: str
    build_number: int
    license: str
    license_family: str
    timestamp: int | None  #: as the source claims
    sha256: bytes | None  #: of the content, else what the record claims
    install_code: bool
    judged_by_builder: bool
    first_seen_at: int | None  #: in the upstream's index; these two in one channel only
    uploaded: bool

    @property
    def pair(self) -> tuple[int, int]:
        """What verdicts are about."""
        return self.record_id, self.content_id


_CONTENT = func.coalesce(entry.c.content_id, 0)
# `|| ''` and `+ 0` keep a planner without statistics from an index over all that a channel has.
_OF_FAMILY = entry.c.family.concat("") == bindparam("family")
_IN_CHANNEL = entry.c.channel_id == bindparam("channel_id")
_OF_RECORD = (
    record.c.name, record.c.version, record.c.build, record.c.build_number, record.c.license, record.c.license_family,
    record.c.timestamp, func.coalesce(content.c.sha256, record.c.claimed_sha256),
    func.coalesce(content.c.install_code, False), func.coalesce(content.c.judged_by_builder, False),
)  # fmt: skip
_FROM = entry.join(record, record.c.id == entry.c.record_id).outerjoin(content, content.c.id == entry.c.content_id)
# One of the channels that show it stands for all: where a file lies is part of its coordinate, which is the record's.
_ANYWHERE = (
    select(
        record.c.id, _CONTENT, func.min(entry.c.partition), func.min(entry.c.filename), *_OF_RECORD, null(),
        literal(False),
    )
    .select_from(_FROM)
    .group_by(record.c.id, _CONTENT, content.c.id)
    .order_by(record.c.id, _CONTENT)
)  # fmt: skip
_OF_NAMES = _ANYWHERE.where(any_of(record.c.name, "names"), _OF_FAMILY)
_HERE = (
    select(
        record.c.id, _CONTENT, entry.c.partition, entry.c.filename, *_OF_RECORD, entry.c.first_seen_at,
        entry.c.uploaded,
    )
    .select_from(_FROM)
    .where(_OF_FAMILY)
)  # fmt: skip
_HERE_OF_RECORDS = _HERE.where(any_of(entry.c.record_id, "ids"), entry.c.channel_id + 0 == bindparam("channel_id"))
_HERE_OF_NAMES = _HERE.where(_IN_CHANNEL, any_of(entry.c.name, "names"))
_ALL_HERE = _HERE.where(_IN_CHANNEL)
_NAMES_HERE = (
    select(entry.c.name, func.count())
    .where(
        _IN_CHANNEL,
        _OF_FAMILY,
        entry.c.name > bindparam("after"),
    )
    .group_by(entry.c.name)
    .order_by(entry.c.name)
    .limit(bindparam("limit"))
)
_FAMILIES_HERE = select(entry.c.family).where(entry.c.channel_id == bindparam("channel_id")).distinct()
_SHOWING = (
    select(entry.c.channel_id, entry.c.partition, entry.c.name)
    .distinct()
    .join_from(entry, channel, channel.c.id == entry.c.channel_id)
    .where(any_of(entry.c.record_id, "ids"), channel.c.ruleset_id == bindparam("ruleset_id"))
)
# With those that somebody downloaded and no channel has any more: who has them must be found when an advisory comes.
_VERSIONS = union(
    select(record.c.name, record.c.version)
    .join_from(record, entry, entry.c.record_id == record.c.id)
    .where(any_of(record.c.name, "names"), _OF_FAMILY),
    select(downloaded.c.name, downloaded.c.version).where(
        any_of(downloaded.c.name, "names"), downloaded.c.family == bindparam("family"), downloaded.c.version != ""
    ),
)
_COUNTS = select(record.c.name, func.count()).where(any_of(record.c.name, "names")).group_by(record.c.name)
_CHANNELS_OF = (
    select(entry.c.channel_id)
    .distinct()
    .join_from(entry, channel, channel.c.id == entry.c.channel_id)
    .where(any_of(entry.c.name, "names"), _OF_FAMILY, channel.c.path.is_not(None))
    .order_by(entry.c.channel_id)
)
_OWN = select(entry.c.name).where(
    _IN_CHANNEL,
    _OF_FAMILY,
    any_of(entry.c.name, "names"),
    entry.c.uploaded,
)
_BROUGHT = select(entry.c.id).where(
    _IN_CHANNEL,
    _OF_FAMILY,
    any_of(entry.c.name, "names"),
    entry.c.uploaded.is_(False),
)
_OLD_VERDICT, _OLD_OVERLAY = verdict.alias("old_verdict"), overlay.alias("old_overlay")
#: what of the index differs between the ruleset that holds in a channel and the one before
_TURNED = (
    select(entry.c.partition, entry.c.name)
    .distinct()
    .select_from(
        judged(entry.join(channel, channel.c.id == entry.c.channel_id))
        .outerjoin(
            _OLD_VERDICT,
            and_(
                _OLD_VERDICT.c.record_id == entry.c.record_id,
                _OLD_VERDICT.c.content_id == _CONTENT,
                _OLD_VERDICT.c.ruleset_id == bindparam("before"),
            ),
        )
        .outerjoin(
            _OLD_OVERLAY,
            and_(
                _OLD_OVERLAY.c.record_id == entry.c.record_id,
                _OLD_OVERLAY.c.content_id == _CONTENT,
                _OLD_OVERLAY.c.channel_id == entry.c.channel_id,
                _OLD_OVERLAY.c.ruleset_id == bindparam("before"),
            ),
        )
    )
    .where(
        _IN_CHANNEL,
        _OF_FAMILY,
        any_of(entry.c.name, "names"),
    )
)
_DIFFERS = SHOWN.is_distinct_from(func.nullif(func.coalesce(_OLD_OVERLAY.c.rule, _OLD_VERDICT.c.rule), "").is_(None))
# Whoever adds files holds his channel for as long as his unit lasts.
_BARRIER = select(channel.c.id).order_by(channel.c.id).with_for_update()
_BODIES = select(record_body.c.record_id, record_body.c.json).where(any_of(record_body.c.record_id, "ids"))
_COVERED_BEFORE = select(covered_table.c.ecosystem)
_UNCOVER = delete(covered_table)
_COVER = insert(covered_table).values(ecosystem=bindparam("ecosystem"))
_ECOSYSTEMS = """WITH RECURSIVE step(ecosystem) AS (SELECT min(ecosystem) FROM advisory_name UNION ALL
 SELECT (SELECT min(ecosystem) FROM advisory_name WHERE advisory_name.ecosystem > step.ecosystem) FROM step
 WHERE step.ecosystem IS NOT NULL) SELECT ecosystem FROM step WHERE ecosystem IS NOT NULL"""


async def of_names(reader: Reader, family: str, names: Collection[str]) -> list[FileRow]:
    """Return every file of packages, once for whatever channels show it."""
    return _files(await reader.fetch_all(_OF_NAMES, family=family, names=list(names)))


async def here_of_records(reader: Reader, channel_id: int, family: str, ids: Collection[int]) -> list[FileRow]:
    """Return the files that a channel shows, or would show, with these records."""
    return _files(await reader.fetch_all(_HERE_OF_RECORDS, channel_id=channel_id, family=family, ids=list(ids)))


async def here_of_names(reader: Reader, channel_id: int, family: str, names: Collection[str]) -> list[FileRow]:
    """Return the files of packages that a channel shows, or would show."""
    return _files(await reader.fetch_all(_HERE_OF_NAMES, channel_id=channel_id, family=family, names=list(names)))


async def all_here(db: Database, channel_id: int, family: str) -> list[FileRow]:
    """Return all files of a family in a channel."""
    return _files(await db.fetch_large(_ALL_HERE, channel_id=channel_id, family=family))


async def names_here(reader: Reader, channel_id: int, family: str, after: str, limit: int) -> list[tuple[str, int]]:
    """Return the next names above `after` in a channel, each with how many files it has."""
    rows = await reader.fetch_all(_NAMES_HERE, channel_id=channel_id, family=family, after=after, limit=limit)
    return [(row[0], row[1]) for row in rows]


async def families_here(reader: Reader, channel_id: int) -> list[str]:
    """Return the families of which a channel has files."""
    return [row[0] for row in await reader.fetch_all(_FAMILIES_HERE, channel_id=channel_id)]


async def versions_of(reader: Reader, family: str, names: Collection[str]) -> dict[str, set[str]]:
    """Return name → versions of packages that any channel has, or that somebody downloaded."""
    found: dict[str, set[str]] = {}
    for name, version in await reader.fetch_all(_VERSIONS, family=family, names=list(names)):
        found.setdefault(name, set()).add(version)
    return found


async def counts(reader: Reader, names: Collection[str]) -> dict[str, int]:
    """Return name → how many records sources have of it, of whatever family; without those of which there is none."""
    return {row[0]: row[1] for row in await reader.fetch_all(_COUNTS, names=list(names))}


async def showing(reader: Reader, ruleset_id: int, record_ids: Collection[int]) -> list[tuple[int, str, str]]:
    """Return (channel, partition, name) of the index in which these records stand under a ruleset."""
    rows = await reader.fetch_all(_SHOWING, ruleset_id=ruleset_id, ids=list(record_ids)) if record_ids else []
    return [(row[0], row[1], row[2]) for row in rows]


async def channels_of(reader: Reader, family: str, names: Collection[str]) -> list[int]:
    """Return the channels that have files of these packages, in ascending id."""
    return [row[0] for row in await reader.fetch_all(_CHANNELS_OF, family=family, names=list(names))]


async def own_names(reader: Reader, channel_id: int, family: str, names: Collection[str]) -> set[str]:
    """Return the packages of which somebody uploaded a file to a channel."""
    some = {"channel_id": channel_id, "family": family, "names": list(names)}
    return {row[0] for row in await reader.fetch_all(_OWN, **some)}


async def has_brought(reader: Reader, channel_id: int, family: str, names: Collection[str]) -> bool:
    """Say whether a mirror brought files of these packages to a channel."""
    some = {"channel_id": channel_id, "family": family, "names": list(names)}
    return await reader.fetch_one(_BROUGHT.limit(1), **some) is not None


async def bodies(reader: Reader, ids: Collection[int]) -> dict[int, bytes]:
    """Return record id → its canonical JSON."""
    return {row[0]: row[1] for row in await reader.fetch_all(_BODIES, ids=list(ids))} if ids else {}


async def turned(
    reader: Reader, channel_id: int, family: str, names: Collection[str], before: int
) -> list[tuple[str, str]]:
    """Return (partition, name) of packages of which another ruleset shows other files than the one that holds.

    With `EVERYTHING` in its place, all of them.
    """
    statement = _TURNED if before == EVERYTHING else _TURNED.where(_DIFFERS)
    some = {"channel_id": channel_id, "family": family, "names": list(names)}
    return [(row[0], row[1]) for row in await reader.fetch_all(statement, before=before, **some)]


async def covered(reader: Reader) -> frozenset[str]:
    """Return the ecosystems that we have advisories of."""
    return frozenset(row[0] for row in await reader.fetch_all(_ECOSYSTEMS))


async def covered_before(reader: Reader) -> frozenset[str]:
    """Return the ecosystems that were covered when files were judged last by what is unknown."""
    return frozenset(row[0] for row in await reader.fetch_all(_COVERED_BEFORE))


async def set_covered(unit: Unit, ecosystems: Collection[str]) -> None:
    """Write down which ecosystems are covered now."""
    await unit.execute(_UNCOVER)
    await unit.execute_many(_COVER, [{"ecosystem": one} for one in sorted(ecosystems)])


async def barrier(unit: Unit) -> None:
    """Wait until every unit that was adding files has ended; those that begin later see all that is committed now."""
    await unit.fetch_all(_BARRIER)


def _files(rows: Iterable[Any]) -> list[FileRow]:
    return [FileRow(*row) for row in rows]
