"""How far a vulnerability reaches, on the wire."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from packhouse.core.clock import to_iso
from packhouse.doors.api.words import CveSeverity, CveStatus
from packhouse.security.vulnerabilities.advisory import severity
from packhouse.security.vulnerabilities.scores import decimal
from packhouse.workflows.vulnerabilities.cves import Cve
from packhouse.workflows.vulnerabilities.reach import Had, Place, User


class PlaceShape(msgspec.Struct):
    """A channel that has files with the vulnerability."""

    channel: str
    files_count: int
    hidden_count: int  #: of them, from readers


class UserShape(msgspec.Struct):
    """What one user downloaded in all, of files in which it is neither mitigated nor cleared."""

    username: str | None  #: null: callers without a credential
    files_count: int
    download_count: int
    first_at: str
    last_at: str


class BlastRadius(msgspec.Struct, kw_only=True):
    """Where a vulnerability is, and who has it."""

    id: str
    score: float | None
    severity: CveSeverity
    packages_count: int
    files_count: int
    statuses: dict[str, int]  #: how many files have it in which status
    channels: list[PlaceShape]  #: that the caller may see
    since: str | None  #: downloads from then on
    users: list[UserShape] | None  #: null: the caller may not read the audit log


class DownloadShape(msgspec.Struct, kw_only=True):
    """What a user downloaded of one file that has the vulnerability."""

    username: str | None  #: null: callers without a credential
    channel: str  #: where it stands now, or stood before it was deleted
    family: str
    name: str
    ckey: str
    version: str
    sha256: str
    cve_status: CveStatus
    count: int
    first_at: str
    last_at: str


def blast_radius(cve: Cve, places: Sequence[Place], users: Sequence[User] | None, since: str | None) -> BlastRadius:
    """Fill the shape; `users` None: the caller may not know."""
    return BlastRadius(
        id=cve.row.key,
        score=decimal(cve.row.score),
        severity=severity(cve.row.score),
        packages_count=cve.packages,
        files_count=cve.files,
        statuses=dict(cve.statuses.items()),
        channels=[PlaceShape(one.channel, one.files, one.hidden) for one in places],
        since=since,
        users=None if users is None else [_user(one) for one in users],
    )


def download_shape(one: Had) -> DownloadShape:
    """Fill the shape of what a user downloaded."""
    what = one.what
    return DownloadShape(
        username=what.username,
        channel=what.channel,
        family=what.family,
        name=what.name,
        ckey=f"{what.partition}/{what.filename}",
        version=what.version,
        sha256=bytes(what.sha256).hex(),
        cve_status=one.status,
        count=what.count,
        first_at=to_iso(what.first_at) or "",
        last_at=to_iso(what.last_at) or "",
    )


def _user(one: User) -> UserShape:
    return UserShape(one.username, one.files, one.downloads, to_iso(one.first_at) or "", to_iso(one.last_at) or "")
