"""Packages and files on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.packages.listing import FileRow, PackageRow
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import CveAnswer, CveStatus, FileSource, IndexingStatus
from packhouse.security.vulnerabilities.scores import decimal
from packhouse.workflows.publishing.upload import Uploaded
from packhouse.workflows.vulnerabilities.packages import Standing

_record = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


class PackageMetadata(msgspec.Struct, gc=False):
    """What a package's newest file says."""

    version: str
    build_number: int
    license: str
    license_family: str
    description: str
    summary: str
    subdirs: list[str]


class PackageShape(msgspec.Struct, gc=False):
    """A package of one channel."""

    name: str
    family: str
    channel: str
    subchannel: str  #: empty in a channel itself
    file_count: int
    download_count: int
    latest_version: str
    license: str
    platforms: list[str]
    metadata: PackageMetadata
    created_at: str  #: RFC 3339
    updated_at: str
    cve_count: int | None = None  #: null: in a search or list of dependants, or who asks may not see CVEs
    available_versions: list[str] | None = None


class FileShape(msgspec.Struct, kw_only=True):
    """A file of a package."""

    name: str  #: of the package
    family: str
    ckey: str  #: `<subdir>/<filename>`: what bulk requests name it by
    channel: str
    subchannel: str  #: empty in a channel itself
    filename: str
    version: str
    build: str
    build_number: int
    platform: str
    size: int | None  #: bytes
    sha256: str | None
    md5: str | None
    license: str
    license_family: str
    signed: bool
    indexing_status: IndexingStatus  #: active (we hold the bytes) | passive (fetched when asked for)
    source: FileSource
    download_count: int
    created_at: str  #: RFC 3339: since when it is in this channel
    built_at: str | None  #: RFC 3339: what its builder claims
    metadata: dict[str, Any]  #: `repodata_record.json`, and `signatures` of a signed file
    cve_answer: CveAnswer | msgspec.UnsetType = msgspec.UNSET  #: this and what follows: for those who may see CVEs
    cve_score: float | msgspec.UnsetType | None = msgspec.UNSET  #: the highest; null: nothing was found, or rated
    cve_status: CveStatus | msgspec.UnsetType | None = msgspec.UNSET  #: the worst; null: nothing was found
    cve_count: int | msgspec.UnsetType = msgspec.UNSET


class UploadShape(msgspec.Struct, kw_only=True):
    """What an upload led to."""

    name: str
    family: str
    ckey: str
    channel: str
    subchannel: str
    filename: str
    version: str | None
    size: int  #: bytes
    sha256: str
    md5: str
    created: bool  #: False: the very same file was there already


def package_shape(row: PackageRow) -> PackageShape:
    """Fill the shape of a package: by position, since a page has hundreds."""
    channel, _, subchannel = row.channel.partition("/")
    version, summary, license_, platforms = row.latest_version, row.summary, row.license, row.platforms.split()
    return PackageShape(
        row.name,
        row.family,
        channel,
        subchannel,
        row.file_count,
        row.download_count,
        version,
        license_,
        platforms,
        PackageMetadata(version, row.build_number, license_, row.license_family, summary, summary, platforms),
        to_iso(row.created_at) or "",
        to_iso(row.updated_at) or "",
    )


def file_shape(row: FileRow, path: str, stands: Standing | None = None) -> FileShape:
    """Fill the shape of a file of the channel at `path`; `stands` for those who may know."""
    channel, _, subchannel = path.partition("/")
    known = {} if stands is None else _standing(stands)
    return FileShape(
        name=row.name,
        family=row.family,
        ckey=f"{row.partition}/{row.filename}",
        channel=channel,
        subchannel=subchannel,
        filename=row.filename,
        version=row.version,
        build=row.build,
        build_number=row.build_number,
        platform=row.partition,
        size=row.size,
        sha256=bytes(row.sha256).hex() if row.sha256 else None,
        md5=bytes(row.md5).hex() if row.md5 else None,
        license=row.license,
        license_family=row.license_family,
        signed=bool(row.signed),
        indexing_status="passive" if row.content_id is None else "active",
        source="upload" if row.mirror_id is None and row.content_id is not None else "mirror",
        download_count=row.download_count,
        created_at=to_iso(row.visible_at) or "",
        built_at=to_iso(row.timestamp),
        metadata=_metadata(row),
        **known,
    )


def _standing(stands: Standing) -> dict[str, Any]:
    return {
        "cve_answer": stands.answer,
        "cve_score": decimal(stands.score),
        "cve_status": stands.status,
        "cve_count": stands.count,
    }


def upload_shape(done: Uploaded, path: str) -> UploadShape:
    """Fill the answer to an upload into the channel at `path`."""
    channel, _, subchannel = path.partition("/")
    at = done.coordinate
    return UploadShape(
        name=at.name,
        family=at.family,
        ckey=at.ckey,
        channel=channel,
        subchannel=subchannel,
        filename=at.filename,
        version=at.version,
        size=done.hashes.size,
        sha256=done.hashes.sha256,
        md5=done.hashes.md5,
        created=done.created,
    )


def _metadata(row: FileRow) -> dict[str, Any]:
    """Return the record as its source wrote it, with the two keys clients need that an index says elsewhere.

    What a record of a mirror says of its own place may be wrong, and clients of an index pass it over.
    """
    metadata: dict[str, Any] = {"repodata_record.json": _with_place(row)}
    if row.signatures:
        metadata["signatures"] = msgspec.Raw(row.signatures.encode())
    return metadata


def _with_place(row: FileRow) -> Any:
    text, subdir = bytes(row.record), _encode(row.partition)
    once = text.count(b'"subdir":') == 1  # nearly all; an unescaped quote before a colon ends a key
    if once and b'"subdir":' + subdir in text and b'"fn":' not in text:
        return msgspec.Raw(b'{"fn":' + _encode(row.filename) + b"," + text[1:])
    record = _record.decode(text)
    record["fn"], record["subdir"] = msgspec.Raw(_encode(row.filename)), msgspec.Raw(subdir)
    return record
