"""Quarantine on the wire."""

from __future__ import annotations

import msgspec

from packhouse.catalog.packages.downloads import Downloaded
from packhouse.catalog.vulnerabilities.quarantine import Place
from packhouse.catalog.vulnerabilities.statements import Quarantined
from packhouse.core.clock import to_iso
from packhouse.workflows.curating.quarantine import Case


class QuarantinedShape(msgspec.Struct, kw_only=True):
    """Bytes that are held back everywhere."""

    sha256: str
    family: str  #: this and the name of the package are empty where nobody had the bytes then
    name: str
    filename: str
    reason: str
    by: str
    at: str  #: RFC 3339


class PlaceShape(msgspec.Struct, kw_only=True):
    """A file that is held back."""

    channel: str  #: `CH`, or `CH/SUB`
    family: str
    ckey: str  #: `<subdir>/<filename>`
    name: str
    version: str


class DownloadedShape(msgspec.Struct, kw_only=True):
    """What somebody downloaded of it."""

    username: str | None  #: null: callers without a credential
    channel: str
    family: str
    ckey: str
    count: int
    first_at: str  #: RFC 3339
    last_at: str


class CaseShape(QuarantinedShape, kw_only=True):
    """Bytes that are held back, where they are, and who downloaded them."""

    files: list[PlaceShape]
    downloads: list[DownloadedShape]  #: the latest first, at most 10,000
    downloads_count: int


def quarantined_shape(one: Quarantined) -> QuarantinedShape:
    """Fill the shape of bytes in quarantine."""
    return QuarantinedShape(**_values(one))


def case_shape(case: Case, most: int) -> CaseShape:
    """Fill the shape of a case, with at most so many downloads."""
    return CaseShape(
        **_values(case.what),
        files=[_place(one) for one in case.places],
        downloads=[_downloaded(one) for one in case.downloads[:most]],
        downloads_count=len(case.downloads),
    )


def _values(one: Quarantined) -> dict[str, str]:
    return one._asdict() | {"sha256": one.sha256.hex(), "at": to_iso(one.at) or ""}


def _place(one: Place) -> PlaceShape:
    ckey = f"{one.partition}/{one.filename}"
    return PlaceShape(channel=one.channel, family=one.family, ckey=ckey, name=one.name, version=one.version)


def _downloaded(one: Downloaded) -> DownloadedShape:
    return DownloadedShape(
        username=one.username,
        channel=one.channel,
        family=one.family,
        ckey=f"{one.partition}/{one.filename}",
        count=one.count,
        first_at=to_iso(one.first_at) or "",
        last_at=to_iso(one.last_at) or "",
    )
