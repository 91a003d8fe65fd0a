"""Queries of judgement across nouns: files as rules see them, by record, by name and by channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, insert, literal, null, or_, select, union

from packhouse.catalog import changes
from packhouse.catalog.judgement_tables import covered as covered_table
from packhouse.catalog.judgement_tables import overlay, verdict
from packhouse.catalog.packages.hiding import SHOWN, Said, judged
from packhouse.catalog.schema import channel, content, downloaded, entry, package, record, record_body
from packhouse.catalog.vulnerabilities import findings
from packhouse.core.db import Database, Unit, any_of, each_of
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


class Shown(NamedTuple):
    """A file that readers may see."""

    version: str
    partition: str
    filename: str


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
)  # fmt: skip
_OF_NAMES = _ANYWHERE.where(any_of(record.c.name, "names"), _OF_FAMILY)
_OF_RECORDS = _ANYWHERE.where(any_of(entry.c.record_id, "ids"), _OF_FAMILY)
_IN_CHANNELS = any_of(entry.c.channel_id.op("+")(0), "channels")
_OF_NAMES_IN = _ANYWHERE.where(any_of(entry.c.name, "names"), _OF_FAMILY, any_of(entry.c.channel_id, "channels"))
_OF_RECORDS_IN = _OF_RECORDS.where(_IN_CHANNELS)
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
_HERE_OF_ENTRIES = _HERE.add_columns(entry.c.id).where(any_of(entry.c.id, "ids"))
_ALL_HERE = _HERE.add_columns(entry.c.id).where(_IN_CHANNEL)
_FILES_BY_NAME = select(entry.c.name, func.count()).where(any_of(entry.c.channel_id, "channels")).group_by(entry.c.name)
_NAMES_HERE = (
    select(entry.c.name, func.count())
    .where(_IN_CHANNEL, _OF_FAMILY, entry.c.name > bindparam("after"))
    .group_by(entry.c.name)
    .order_by(entry.c.name)
    .limit(bindparam("limit"))
)
_FILES_OF_NAMES = _FILES_BY_NAME.where(any_of(entry.c.name, "names"))
_FILES_BY_NAME_OF, _FILES_OF_NAMES_OF = _FILES_BY_NAME.where(_OF_FAMILY), _FILES_OF_NAMES.where(_OF_FAMILY)
_KEYS_OF = (
    select(entry.c.channel_id, entry.c.partition, entry.c.name)
    .distinct()
    .where(_IN_CHANNEL, any_of(entry.c.name, "names"))
)
# One look for each family, where a plain DISTINCT looks at every file.
_FAMILIES_HERE = """WITH RECURSIVE step(family) AS (SELECT min(family) FROM entry WHERE channel_id = :channel_id
 UNION ALL SELECT (SELECT min(family) FROM entry WHERE channel_id = :channel_id AND entry.family > step.family)
 FROM step WHERE step.family IS NOT NULL) SELECT family FROM step WHERE family IS NOT NULL"""
_SHOWING = (
    select(entry.c.channel_id, entry.c.partition, entry.c.name)
    .distinct()
    .join_from(entry, channel, channel.c.id == entry.c.channel_id)
    .where(
        any_of(entry.c.record_id, "ids"),
        # an index that still shows what the ruleset before let be seen is compared with what that says now
        or_(channel.c.ruleset_id == bindparam("ruleset_id"), channel.c.settle_from == bindparam("ruleset_id")),
    )
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
_ELSEWHERE = (
    select(record.c.name, record.c.version)
    .distinct()
    .join_from(record, entry, entry.c.record_id == record.c.id)
    .where(any_of(record.c.name, "names"), _OF_FAMILY, entry.c.channel_id != bindparam("channel_id"))
)
_COUNTS = select(record.c.name, func.count()).where(any_of(record.c.name, "names")).group_by(record.c.name)
_FILES_ANYWHERE = (
    select(record.c.name, func.count())
    .join_from(record, entry, entry.c.record_id == record.c.id)
    .where(any_of(record.c.name, "names"), _OF_FAMILY)
    .group_by(record.c.name)
)
_DOWNLOADED = (
    select(downloaded.c.name)
    .distinct()
    .where(any_of(downloaded.c.name, "names"), downloaded.c.family == bindparam("family"))
)
_HAS_FILES = (
    select(channel.c.id)
    .where(exists().where(entry.c.channel_id == channel.c.id, entry.c.family == bindparam("family")))
    .limit(1)
)
# Channel by channel: a look-up for each name, where entries are indexed by channel first.
_CHANNELS_OF = (
    select(channel.c.id)
    .where(
        channel.c.path.is_not(None),
        exists().where(entry.c.channel_id == channel.c.id, any_of(entry.c.name, "names"), _OF_FAMILY),
    )
    .order_by(channel.c.id)
)
_EACH = each_of("names").table_valued("value")
_OWN_FILE = select(entry.c.id).where(_IN_CHANNEL, _OF_FAMILY, entry.c.name == _EACH.c.value, entry.c.uploaded).limit(1)
# Not EXISTS, of which PostgreSQL may make a join with all that the channel has.
_OWN = select(_EACH.c.value).where(_OWN_FILE.scalar_subquery().is_not(None))
_BEFORE = Said(verdict.alias("old_verdict"), overlay.alias("old_overlay"), bindparam("before"))
_DIFFERS = SHOWN.is_distinct_from(_BEFORE.hidden_by.is_(None))
#: what of the index differs between the ruleset that holds in a channel and the one before
_TURNED = (
    select(entry.c.channel_id, entry.c.partition, entry.c.name)
    .distinct()
    .select_from(judged(judged(entry.join(channel, channel.c.id == entry.c.channel_id)), _BEFORE))
    .where(any_of(entry.c.record_id, "ids"), _IN_CHANNELS, _DIFFERS)
)
_JUDGED = (
    union(
        select(verdict.c.record_id).where(
            any_of(verdict.c.ruleset_id, "rulesets"), verdict.c.record_id > bindparam("after")
        ),
        select(overlay.c.record_id).where(
            any_of(overlay.c.ruleset_id, "rulesets"),
            any_of(overlay.c.channel_id, "channels"),
            overlay.c.record_id > bindparam("after"),
        ),
    )
    .order_by("record_id")
    .limit(bindparam("limit"))
)
# What the index says of a package is of its newest version that may be seen.
_NEWEST_SHOWN = (
    select(record.c.version, entry.c.partition, entry.c.filename)
    .select_from(
        judged(
            package.join(
                entry,
                and_(
                    entry.c.channel_id == package.c.channel_id,
                    entry.c.name == package.c.name,
                    entry.c.family.concat("") == package.c.family,
                ),
            )
            .join(channel, channel.c.id == entry.c.channel_id)
            .join(record, and_(record.c.id == entry.c.record_id, record.c.version == package.c.latest_version))
        )
    )
    .where(
        package.c.channel_id == bindparam("channel_id"),
        package.c.name == bindparam("name"),
        package.c.family == bindparam("family"),
        SHOWN,
    )
    .limit(1)
)
_NEWEST_THERE = _NEWEST_SHOWN.where(entry.c.partition == bindparam("partition"))
_BODIES = select(record_body.c.record_id, record_body.c.json).where(any_of(record_body.c.record_id, "ids"))
_COVERED = select(covered_table.c.ecosystem)
_UNCOVER = delete(covered_table)
_COVER = insert(covered_table).values(ecosystem=bindparam("ecosystem"))
_ECOSYSTEMS = """WITH RECURSIVE step(ecosystem) AS (SELECT min(ecosystem) FROM advisory_name UNION ALL
 SELECT (SELECT min(ecosystem) FROM advisory_name WHERE advisory_name.ecosystem > step.ecosystem) FROM step
 WHERE step.ecosystem IS NOT NULL) SELECT ecosystem FROM step WHERE ecosystem IS NOT NULL"""


async def of_names(reader: Reader, family: str, names: Collection[str]) -> list[FileRow]:
    """Return every file of packages, once for whatever channels show it."""
    return _files(await reader.fetch_all(_OF_NAMES, family=family, names=list(names)))


async def of_records(reader: Reader, family: str, ids: Collection[int]) -> list[FileRow]:
    """Return every file with these records, once for whatever channels show it."""
    return _files(await reader.fetch_all(_OF_RECORDS, family=family, ids=list(ids)))


async def in_channels(
    reader: Reader, channel_ids: Collection[int], family: str, names: Collection[str], ids: Collection[int] | None
) -> list[FileRow]:
    """Return the files of packages that some channels show, or would show, each once; of some records if given."""
    some = {"channels": list(channel_ids), "family": family}
    if ids is None:
        return _files(await reader.fetch_all(_OF_NAMES_IN, names=list(names), **some))
    return _files(await reader.fetch_all(_OF_RECORDS_IN, ids=list(ids), **some)) if ids else []


async def here_of_records(reader: Reader, channel_id: int, family: str, ids: Collection[int]) -> list[FileRow]:
    """Return the files that a channel shows, or would show, with these records."""
    return _files(await reader.fetch_all(_HERE_OF_RECORDS, channel_id=channel_id, family=family, ids=list(ids)))


async def here_of_names(reader: Reader, channel_id: int, family: str, names: Collection[str]) -> list[FileRow]:
    """Return the files of packages that a channel shows, or would show."""
    return _files(await reader.fetch_all(_HERE_OF_NAMES, channel_id=channel_id, family=family, names=list(names)))


async def here_of_entries(reader: Reader, family: str, ids: Collection[int]) -> dict[int, FileRow]:
    """Return entry id → its file, of those that are still there."""
    rows = await reader.fetch_all(_HERE_OF_ENTRIES, family=family, ids=list(ids))
    return {row[-1]: FileRow._make(row[:-1]) for row in rows}


async def all_here(db: Database, channel_id: int, family: str) -> AsyncIterator[tuple[list[int], list[FileRow]]]:
    """Yield all files of a family in a channel, some at a time, and the numbers of their entries."""
    async for rows in db.stream(_ALL_HERE, channel_id=channel_id, family=family):
        yield [row[-1] for row in rows], [FileRow._make(row[:-1]) for row in rows]


async def names_here(reader: Reader, channel_id: int, family: str, after: str, limit: int) -> list[tuple[str, int]]:
    """Return the next names above `after` in a channel, each with how many files it has."""
    rows = await reader.fetch_all(_NAMES_HERE, channel_id=channel_id, family=family, after=after, limit=limit)
    return [(row[0], row[1]) for row in rows]


async def names_in(
    db: Database, channel_ids: Collection[int], names: Collection[str] | None = None, *, family: str | None = None
) -> list[tuple[str, int]]:
    """Return the names in channels (of some, if given), by name, each with how many files they have of it.

    Of any family, unless one is given: then every file is looked at, where otherwise an index answers.
    """
    if names is None:
        statement = _FILES_BY_NAME if family is None else _FILES_BY_NAME_OF
        rows = await db.fetch_large(statement, channels=list(channel_ids), family=family)
    elif names:
        statement = _FILES_OF_NAMES if family is None else _FILES_OF_NAMES_OF
        rows = await db.fetch_large(statement, channels=list(channel_ids), names=sorted(names), family=family)
    else:
        rows = []
    return sorted((row[0], row[1]) for row in rows)


async def keys_of(reader: Reader, channel_id: int, names: Collection[str]) -> list[tuple[int, str, str]]:
    """Return (channel, partition, name) of the index of packages."""
    rows = await reader.fetch_all(_KEYS_OF, channel_id=channel_id, names=list(names))
    return [(row[0], row[1], row[2]) for row in rows]


async def families_here(reader: Reader, channel_id: int) -> list[str]:
    """Return the families of which a channel has files."""
    return [row[0] for row in await reader.fetch_all(_FAMILIES_HERE, channel_id=channel_id)]


async def versions_of(reader: Reader, family: str, names: Collection[str]) -> dict[str, set[str]]:
    """Return name → versions of packages that any channel has, or that somebody downloaded."""
    found: dict[str, set[str]] = {}
    for name, version in await reader.fetch_all(_VERSIONS, family=family, names=list(names)):
        found.setdefault(name, set()).add(version)
    return found


async def versions_elsewhere(
    reader: Reader, channel_id: int, family: str, names: Collection[str]
) -> set[tuple[str, str]]:
    """Return (name, version) of packages that other channels have."""
    rows = await reader.fetch_all(_ELSEWHERE, channel_id=channel_id, family=family, names=list(names))
    return {(row[0], row[1]) for row in rows}


async def counts(reader: Reader, names: Collection[str]) -> dict[str, int]:
    """Return name → how many records sources have of it, of whatever family; without those of which there is none."""
    return {row[0]: row[1] for row in await reader.fetch_all(_COUNTS, names=list(names))}


async def files_of(db: Database, family: str, names: Collection[str]) -> dict[str, int]:
    """Return name → how many files of packages all channels have, each counted in every channel that has it."""
    return {row[0]: row[1] for row in await db.fetch_large(_FILES_ANYWHERE, family=family, names=list(names))}


async def downloaded_names(reader: Reader, family: str, names: Collection[str]) -> set[str]:
    """Return those of the names of which somebody downloaded a file, gone by now or not."""
    return {row[0] for row in await reader.fetch_all(_DOWNLOADED, family=family, names=list(names))}


async def has_files(reader: Reader, family: str) -> bool:
    """Say whether any channel has files of a family."""
    return await reader.fetch_one(_HAS_FILES, family=family) is not None


async def showing(reader: Reader, ruleset_id: int, record_ids: Collection[int]) -> list[tuple[int, str, str]]:
    """Return (channel, partition, name) of the index in which these records stand, or stood, under a ruleset."""
    rows = await reader.fetch_all(_SHOWING, ruleset_id=ruleset_id, ids=list(record_ids)) if record_ids else []
    return [(row[0], row[1], row[2]) for row in rows]


async def channels_of(reader: Reader, family: str, names: Collection[str]) -> list[int]:
    """Return the channels that have files of these packages, in ascending id."""
    return [row[0] for row in await reader.fetch_all(_CHANNELS_OF, family=family, names=list(names))]


async def own_names(reader: Reader, channel_id: int, family: str, names: Collection[str]) -> set[str]:
    """Return the packages of which somebody uploaded a file to a channel."""
    rows = await reader.fetch_all(_OWN, channel_id=channel_id, family=family, names=list(names))
    return {row[0] for row in rows}


async def bodies(reader: Reader, ids: Collection[int]) -> dict[int, bytes]:
    """Return record id → its canonical JSON."""
    return {row[0]: row[1] for row in await reader.fetch_all(_BODIES, ids=list(ids))} if ids else {}


async def judged_records(
    db: Database, channel_ids: Collection[int], rulesets: Collection[int], after: int, limit: int
) -> list[int]:
    """Return the next records, by id, that one of the rulesets, or of the channels' own reasons, says anything of."""
    some = {"channels": list(channel_ids), "rulesets": list(rulesets), "after": after, "limit": limit}
    return [row[0] for row in await db.fetch_large(_JUDGED, **some)]


async def turned(
    reader: Reader, channel_ids: Collection[int], record_ids: Collection[int], before: int
) -> list[tuple[int, str, str]]:
    """Return (channel, partition, name) where another ruleset shows other files of these than the one that holds."""
    some = {"channels": list(channel_ids), "ids": list(record_ids), "before": before}
    return [(row[0], row[1], row[2]) for row in await reader.fetch_all(_TURNED, **some)]


async def covered(reader: Reader) -> frozenset[str]:
    """Return the ecosystems that advisories cover, as files were judged by it."""
    return frozenset(row[0] for row in await reader.fetch_all(_COVERED))


async def newest_shown(reader: Reader, channel_id: int, family: str, name: str, partition: str) -> Shown | None:
    """Return a file of the newest version of a package that readers may see, in a partition if there is one."""
    asked = {"channel_id": channel_id, "family": family, "name": name}
    row = await reader.fetch_one(_NEWEST_THERE, partition=partition, **asked)
    row = row or await reader.fetch_one(_NEWEST_SHOWN, **asked)
    return Shown(*row) if row else None


async def ecosystems(reader: Reader) -> frozenset[str]:
    """Return the ecosystems that advisories name, those of a run under way and of the past, too."""
    return frozenset(row[0] for row in await reader.fetch_all(_ECOSYSTEMS))


async def covering_now(reader: Reader) -> frozenset[str]:
    """Return the ecosystems that feeds say anything of now; what a run only prepares does not count."""
    return frozenset([one for one in await ecosystems(reader) if await findings.says_anything(reader, one)])


async def set_covered(unit: Unit, ecosystems: Collection[str]) -> None:
    """Write down which ecosystems are covered now."""
    await unit.execute(_UNCOVER)
    await unit.execute_many(_COVER, [{"ecosystem": one} for one in sorted(ecosystems)])
    await changes.note(unit, "judgement")


def _files(rows: Iterable[Any]) -> list[FileRow]:
    return list(map(FileRow._make, rows))
