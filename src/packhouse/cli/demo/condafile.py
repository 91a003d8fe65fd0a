"""Writes `.conda` files (CEP 26 names, package format version 2) from files held in memory.

House rule: only `formats/archives` opens archives. This module is the demo's *writer*, and never reads one.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: What installers replace by the environment's path; as long as conda-build's, so that any path fits in place.
PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3"
#: Above this many bytes two threads compress faster than one.
LARGE = 1 << 20
#: 1980-01-01, the earliest time a zip can hold, in seconds.
ZIP_EPOCH = 315_532_800


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a package: its path in the environment and its bytes, or the target of a relative symlink."""

    path: str
    data: bytes = b""
    executable: bool = False
    target: str = ""

    def describe(self) -> dict[str, Any]:
        """Return the entry of `info/paths.json` (conda package specification, `paths_version` 1)."""
        entry: dict[str, Any] = {"_path": self.path, "path_type": "softlink" if self.target else "hardlink"}
        if not self.target:
            entry |= {"sha256": hashlib.sha256(self.data).hexdigest(), "size_in_bytes": len(self.data)}
        if self.data.startswith(b"#!" + PLACEHOLDER.encode()):
            entry |= {"file_mode": "text", "prefix_placeholder": PLACEHOLDER}
        return entry


@dataclass(frozen=True, slots=True)
class CondaPackage:
    """A package ready to be written: `info/index.json`, `info/about.json`, its files and, if any, its licences.

    `link` is `info/link.json`, which a `noarch: python` package needs for its entry points.
    """

    index: dict[str, Any]
    about: dict[str, Any]
    members: list[Member] = field(default_factory=list)
    link: dict[str, Any] | None = None
    licenses: list[Member] = field(default_factory=list)

    @property
    def stem(self) -> str:
        """The file name without its extension: `name-version-build`."""
        return f"{self.index['name']}-{self.index['version']}-{self.index['build']}"

    def encode(self) -> bytes:
        """Return the bytes of the `.conda` file: a stored zip of metadata.json, pkg-*.tar.zst and info-*.tar.zst."""
        mtime = int(self.index["timestamp"]) // 1000
        parts = {
            "metadata.json": b'{"conda_pkg_format_version": 2}',
            f"pkg-{self.stem}.tar.zst": _tar_zst(self.members, mtime),
            f"info-{self.stem}.tar.zst": _tar_zst(self._info(), mtime),
        }
        buffer = io.BytesIO()
        stamp = time.gmtime(max(mtime, ZIP_EPOCH))[:6]
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, data in parts.items():
                archive.writestr(zipfile.ZipInfo(name, stamp), data)
        return buffer.getvalue()

    def _info(self) -> list[Member]:
        documents = {
            "index.json": self.index,
            "about.json": self.about,
            "paths.json": {"paths_version": 1, "paths": [member.describe() for member in self.members]},
        }
        if self.link is not None:
            documents["link.json"] = self.link
        info = [Member(f"info/{name}", _json(document)) for name, document in documents.items()]
        listing = "".join(f"{member.path}\n" for member in self.members)
        return [*info, Member("info/files", listing.encode()), *self.licenses]


def write_package(package: CondaPackage, channel: Path) -> tuple[str, dict[str, Any]]:
    """Write a package into its subdir of a channel folder.

    Returns the file name and its repodata record: `index.json` with `size` (bytes), `md5` and `sha256` (hex).
    """
    data = package.encode()
    filename = f"{package.stem}.conda"
    folder = channel / package.index["subdir"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / filename).write_bytes(data)
    digests = {
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return filename, {**package.index, **digests, "size": len(data)}


def compress(data: bytes | memoryview) -> bytes:
    """Return one zstd frame. Level 3, fast rather than small: the demo must be ready in seconds."""
    parameter = zstd.CompressionParameter
    workers = 2 if len(data) > LARGE else 0
    return zstd.compress(data, options={int(parameter.compression_level): 3, int(parameter.nb_workers): workers})


def _tar_zst(members: list[Member], mtime: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            entry = tarfile.TarInfo(member.path)
            entry.mtime, entry.mode = mtime, 0o755 if member.executable else 0o644
            if member.target:
                entry.type, entry.linkname = tarfile.SYMTYPE, member.target
            entry.size = len(member.data)
            archive.addfile(entry, io.BytesIO(member.data))
    return compress(buffer.getbuffer())


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True).encode()
