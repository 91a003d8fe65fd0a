"""Vulnerabilities on the wire. `id` is the key: the CVE where there is one. Times are RFC 3339, scores decimals."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.core.clock import to_iso
from packhouse.doors.api.shapes.cvss import cvssv2, cvssv3, worst
from packhouse.doors.api.words import CveKind, CveSeverity, CveStatus
from packhouse.security.vulnerabilities.advisory import Vector, severity
from packhouse.security.vulnerabilities.scores import decimal
from packhouse.workflows.vulnerabilities.cves import Cve
from packhouse.workflows.vulnerabilities.statuses import Judged

#: characters of a description in a list
_SHORT = 500


class CveShape(msgspec.Struct, kw_only=True):
    """A vulnerability in a list. The counts are of files the caller may look at."""

    id: str
    kind: CveKind
    score: float | None  #: of the newest CVSS there is, the highest; null: nobody rated it
    severity: CveSeverity
    cvssv4_score: float | None
    cvssv3_score: float | None
    cvssv2_score: float | None
    exploited: bool  #: it is known to be used in attacks
    curated: bool  #: somebody judged it in some file
    curated_at: str | None
    published_at: str | None
    modified_at: str | None
    withdrawn_at: str | None
    summary: str
    description: str  #: in lists the beginning of it
    status: CveStatus | None  #: the worst in any file; null: no file has it
    statuses: dict[str, int]  #: how many files have it in which status
    packages_count: int
    files_count: int


class VectorShape(msgspec.Struct):
    """One CVSS rating."""

    version: str
    vector: str
    score: float
    severity: CveSeverity
    source: str


class CveDetail(CveShape, kw_only=True):
    """All that is known of a vulnerability."""

    cvssv2: dict[str, Any] | None  #: as NVD's first JSON feeds had it
    cvssv3: dict[str, Any] | None
    vectors: list[VectorShape]
    references: list[str]
    aliases: list[str]
    feeds: list[str]  #: that say something of it


class CveFile(msgspec.Struct, kw_only=True):
    """A file that has a vulnerability."""

    parent_channel_name: str  #: empty when it lies in a channel and not in a subchannel
    channel_name: str
    artifact_family: str
    common_name: str  #: of the package
    ckey: str
    version: str
    build: str
    subdir: str
    sha256: str | None
    cve_status: CveStatus
    cve_score: float | None
    fixed_in: str | None  #: the nearest later version that does not have it
    evidence: str  #: what in the advisory says that it has it
    hidden_by: str | None  #: the rule that hides it from readers
    note: str  #: of who judged it; what follows too
    author: str
    curated_at: str | None


def cve_shape(one: Cve) -> CveShape:
    """Fill the shape of a vulnerability in a list."""
    found = _members(one)
    found["description"] = found["description"][:_SHORT]
    return CveShape(**found)


def cve_detail(one: Cve) -> CveDetail:
    """Fill the shape of one vulnerability."""
    vectors = one.body.vectors
    return CveDetail(
        **_members(one),
        cvssv2=cvssv2(vectors),
        cvssv3=cvssv3(vectors),
        vectors=[
            VectorShape(found.version, found.vector, decimal(found.score) or 0.0, severity(found.score), found.source)
            for found in vectors
        ],
        references=list(one.body.references),
        aliases=list(one.body.aliases),
        feeds=list(one.body.feeds),
    )


def cve_file(one: Judged, score: int | None) -> CveFile:
    """Fill the shape of a file that has a vulnerability of that score (tenths)."""
    file, said = one.file, one.statement
    parent, _, name = file.channel.rpartition("/")
    return CveFile(
        parent_channel_name=parent,
        channel_name=name,
        artifact_family=file.family,
        common_name=file.name,
        ckey=file.ckey,
        version=file.version,
        build=file.build,
        subdir=file.partition,
        sha256=bytes(file.sha256).hex() if file.sha256 else None,
        cve_status=one.status,
        cve_score=decimal(score),
        fixed_in=file.fixed_in or None,
        evidence=file.evidence,
        hidden_by=file.hidden_by,
        note=said.note if said else "",
        author=said.author if said else "",
        curated_at=to_iso(said.at) if said else None,
    )


def _members(one: Cve) -> dict[str, Any]:
    row, vectors = one.row, one.body.vectors
    return {
        "id": row.key,
        "kind": row.kind,
        "score": decimal(row.score),
        "severity": severity(row.score),
        **{f"cvssv{edition}_score": _score(worst(vectors, edition)) for edition in "432"},
        "exploited": row.exploited,
        "curated": row.curated_at is not None,
        "curated_at": to_iso(row.curated_at),
        "published_at": to_iso(row.published_at),
        "modified_at": to_iso(row.modified_at),
        "withdrawn_at": to_iso(row.withdrawn_at),
        "summary": row.summary,
        "description": one.body.description or row.summary,
        "status": one.status,
        "statuses": dict(one.statuses),
        "packages_count": one.packages,
        "files_count": one.files,
    }


def _score(vector: Vector | None) -> float | None:
    return None if vector is None else decimal(vector.score)
