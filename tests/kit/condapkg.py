"""Tiny conda packages in memory, well-formed and hostile, the same bytes on every run."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

Files = Mapping[str, bytes]
_METADATA = b'{"conda_pkg_format_version": 2}'
_DATE = (2024, 1, 1, 0, 0, 0)
OMIT = object()  #: as an override of index.json: leave the key out


def tar_header(
    name: bytes,
    size: int = 0,
    kind: bytes = b"0",
    target: bytes = b"",
    *,
    prefix: bytes = b"",
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """One 512-byte ustar header with a right checksum; nothing in it is checked."""
    octal = b"%011o\0" % size
    head = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + octal + b"14545012400\0" + b" " * 8 + kind
    head = (head + target.ljust(100, b"\0") + magic).ljust(345, b"\0") + prefix
    head = head.ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def tar_member(name: str | bytes, data: bytes = b"", kind: bytes = b"0", target: bytes = b"") -> bytes:
    """A header, the content and its padding; names over 100 bytes get a pax header."""
    raw = name.encode() if isinstance(name, str) else name
    if len(raw) > 100 or len(target) > 100:
        return pax({b"path": raw, b"linkpath": target} if target else {b"path": raw}) + tar_member(
            raw[:100], data, kind, target[:100]
        )
    return tar_header(raw, len(data), kind, target) + data + bytes(-len(data) % 512)


def pax(fields: Mapping[bytes, bytes], kind: bytes = b"x") -> bytes:
    """A pax extended header."""
    data = b""
    for key, value in fields.items():
        body = b" " + key + b"=" + value + b"\n"
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        data += b"%d" % length + body
    return tar_header(b"PaxHeader", len(data), kind) + data + bytes(-len(data) % 512)


def tar(members: Iterable[bytes]) -> bytes:
    """Join members and close the archive."""
    return b"".join(members) + bytes(1024)


def tar_files(files: Files) -> bytes:
    """A tar of regular files."""
    return tar(tar_member(name, data) for name, data in files.items())


def index_json(name: str, version: str, build: str, subdir: str, depends: Iterable[str], /, **overrides: Any) -> bytes:
    """info/index.json as build tools write it; an override of `OMIT` leaves the key out."""
    index: dict[str, Any] = {
        "build": build,
        "build_number": int(build.rsplit("_", 1)[-1]) if build.rsplit("_", 1)[-1].isdigit() else 0,
        "depends": list(depends),
        "license": "BSD-3-Clause",
        "name": name,
        "subdir": subdir,
        "timestamp": 1_704_067_200_000,
        "version": version,
    }
    if subdir == "noarch":
        index["noarch"] = "generic"
    index |= overrides
    return json.dumps({key: value for key, value in index.items() if value is not OMIT}).encode()


def info_files(
    name: str, version: str, build: str, subdir: str, depends: Iterable[str], files: Files, /, **overrides: Any
) -> dict[str, bytes]:
    """The info/ part: index.json, about.json and paths.json for the given payload."""
    paths = [
        {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        for path, data in files.items()
    ]
    return {
        "info/index.json": index_json(name, version, build, subdir, depends, **overrides),
        "info/about.json": json.dumps({"summary": f"The {name} package", "home": "https://example.org"}).encode(),
        "info/paths.json": json.dumps({"paths_version": 1, "paths": paths}).encode(),
    }


def zip_of(members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip with fixed dates."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, method)
    return out.getvalue()


def conda_of(stem: str, info_tar: bytes, pkg_tar: bytes) -> bytes:
    """A `.conda` around two tars."""
    return zip_of(
        [
            ("metadata.json", _METADATA),
            (f"pkg-{stem}.tar.zst", zstd.compress(pkg_tar, 3)),
            (f"info-{stem}.tar.zst", zstd.compress(info_tar, 3)),
        ]
    )


def make_conda(
    name: str,
    version: str,
    build: str = "0",
    subdir: str = "noarch",
    depends: Iterable[str] = (),
    files: Files | None = None,
    info: Files | None = None,
    **index_overrides: Any,
) -> bytes:
    """A valid `.conda`; `files` is the payload, `info` adds to or replaces the files under info/."""
    payload = files if files is not None else {f"share/{name}/version": version.encode()}
    parts = info_files(name, version, build, subdir, depends, payload, **index_overrides) | dict(info or {})
    return conda_of(f"{name}-{version}-{build}", tar_files(parts), tar_files(payload))


def make_tarbz2(
    name: str,
    version: str,
    build: str = "0",
    subdir: str = "noarch",
    depends: Iterable[str] = (),
    files: Files | None = None,
    info: Files | None = None,
    **index_overrides: Any,
) -> bytes:
    """A valid `.tar.bz2` of the same content as `make_conda`."""
    payload = files if files is not None else {f"share/{name}/version": version.encode()}
    parts = info_files(name, version, build, subdir, depends, payload, **index_overrides) | dict(info or {})
    return bz2.compress(tar_files(parts | dict(payload)), 1)
