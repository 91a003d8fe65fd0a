"""How far a vulnerability reaches: the channels and files that have it, and who downloaded such a file since when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from packhouse.catalog.packages import downloads
from packhouse.catalog.packages.downloads import Downloaded
from packhouse.catalog.vulnerabilities import affected, findings
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.catalog.vulnerabilities.reading import VulnerabilityRow
from packhouse.core.db import Database
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.security.policies.rules.vulnerabilities import SETTLED
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.statements import File
from packhouse.workflows.vulnerabilities.statuses import body_of, judgements_about


class Place(msgspec.Struct, frozen=True):
    """A channel that has files with the vulnerability."""

    channel: str
    files: int
    hidden: int  #: of them, from readers


class Had(msgspec.Struct, frozen=True):
    """What somebody downloaded of a file that has the vulnerability, and what it is there."""

    what: Downloaded
    status: Status


class User(msgspec.Struct):
    """What one user downloaded in all, of files it is not settled in. Times are microseconds."""

    username: str | None  #: None: callers without a credential
    files: int
    downloads: int
    first_at: int
    last_at: int


async def places(db: Database, seen: Scope, row: VulnerabilityRow) -> list[Place]:
    """Return the channels of a scope that have files with a vulnerability, by path."""
    return [Place(*one) for one in await affected.channels(db, seen, row.id)]


async def downloaded(db: Database, row: VulnerabilityRow, since: int) -> list[Had]:
    """Return who downloaded files with a vulnerability at or after a time (µs), in any channel, the latest first.

    Of the versions it was found in, whatever has become of their files; days are not divided, as of `downloads.who`.
    """
    versions = await findings.of_vulnerability(db, row.id)
    told = await judgements_about(db, sorted({(one.family, one.name) for one in versions}))
    aliases = body_of(row).aliases
    found: list[Had] = []
    for one in versions:
        judgements = told.get((one.family, one.name))
        for what in await downloads.who_version(db, one.family, one.name, one.version, since):
            status = judgements.status_of(row.key, aliases, _file(what))[0] if judgements else "reported"
            found.append(Had(what, status))
    return sorted(found, key=lambda had: (-had.what.last_at, had.what.account_id, had.what.filename))


def users(had: Sequence[Had]) -> list[User]:
    """Return by user what they downloaded, those without a settled status only; who did so last comes first."""
    by_account: defaultdict[int, list[Downloaded]] = defaultdict(list)
    for one in had:
        if one.status not in SETTLED:
            by_account[one.what.account_id].append(one.what)
    found = [
        User(
            rows[0].username,
            len({row.sha256 for row in rows}),
            sum(row.count for row in rows),
            min(row.first_at for row in rows),
            max(row.last_at for row in rows),
        )
        for rows in by_account.values()
    ]
    return sorted(found, key=lambda user: (-user.last_at, user.username or ""))


def _file(what: Downloaded) -> File:
    """Return what statements ask of a file, as far as its name and bytes tell it."""
    try:
        at = registry.get(what.family).coordinate(what.partition, what.filename)
    except Malformed:
        return File(what.version, sha256=what.sha256.hex(), partition=what.partition)
    return File(what.version, at.build, at.build_number, what.sha256.hex(), what.partition)
