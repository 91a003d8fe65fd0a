"""The user activity report: who downloaded which package, when, and with which vulnerabilities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Container, Sequence
from functools import partial

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.packages import download_rows
from packhouse.catalog.packages.download_rows import DownloadRow
from packhouse.catalog.vulnerabilities import findings
from packhouse.core.clock import DAY, to_iso
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError

#: a leap year, whole
MOST_DAYS = 366


class Wanted(msgspec.Struct, frozen=True):
    """What a report shall be about."""

    since: int  #: µs
    before: int  #: µs, excluded
    usernames: tuple[str, ...] = ()  #: none: everybody
    channels: tuple[str, ...] = ()  #: none: all
    form: str = "json"


class Activity(msgspec.Struct, frozen=True):
    """A row of the report."""

    what: DownloadRow
    cves: tuple[str, ...]


async def activity(db: Database, wanted: Wanted, actor: str) -> AsyncIterator[list[Activity]]:
    """Return the rows of a report in batches, in constant memory; that it was asked for is an event.

    Vulnerabilities are those known now of the version that was downloaded. Raises PackhouseError("bad_request") for
    times that are no year or less, and names that nobody and no channel ever had.
    """
    if not 0 < wanted.before - wanted.since <= MOST_DAYS * DAY:
        raise PackhouseError(
            "bad_request",
            "`from_date` and `to_date` are a year apart at most, the second one not before the first.",
            "Ask for one year after the other.",
        )
    accounts = await download_rows.accounts_named(db, wanted.usernames)
    _all_known("user", wanted.usernames, accounts)
    _all_known("channel", wanted.channels, await download_rows.channels_named(db, wanted.channels))
    await db.write(partial(_tell, wanted, actor))
    numbers = [number for name in dict.fromkeys(wanted.usernames) for number in accounts[name]]
    return _rows(db, wanted, numbers if wanted.usernames else [None])


async def _rows(db: Database, wanted: Wanted, accounts: Sequence[int | None]) -> AsyncIterator[list[Activity]]:
    for number in accounts:
        found = download_rows.rows(
            db, wanted.since, wanted.before, account_id=number, channels=frozenset(wanted.channels)
        )
        async for batch in found:
            yield await _with_cves(db, batch)


async def _with_cves(db: Database, batch: list[DownloadRow]) -> list[Activity]:
    packages: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in batch:
        packages[row.family].add((row.name, row.version))
    ids: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for family, some in packages.items():
        names, versions = {name for name, _ in some}, {version for _, version in some}
        for one in await findings.of_versions(db, family, names, versions):
            ids[one.family, one.name, one.version].append(one.vulnerability_id)
    known = await findings.vulnerabilities(db, {number for some in ids.values() for number in some}) if ids else {}

    def keys(row: DownloadRow) -> tuple[str, ...]:
        return tuple(sorted({known[number].key for number in ids.get((row.family, row.name, row.version), ())}))

    return [Activity(row, keys(row)) for row in batch]


def _all_known(kind: str, asked: Sequence[str], known: Container[str]) -> None:
    for name in asked:
        if name not in known:
            raise PackhouseError(
                "bad_request",
                f"There is no {kind} {name[:80]!r}, and downloads know none.",
                "Correct the name, or leave it out for all.",
            )


async def _tell(wanted: Wanted, actor: str, unit: Unit) -> None:
    data = {
        "from": to_iso(wanted.since),
        "until": to_iso(wanted.before),
        "users": list(wanted.usernames[:100]),
        "channels": list(wanted.channels[:100]),
        "form": wanted.form,
    }
    await record_event(unit, type="report_generated", actor=actor, object="artifact_downloads", data=data)
