"""File names and identifiers of the conda world. Source: CEP 26."""

from __future__ import annotations

import re
from typing import NamedTuple

from packhouse.formats.base import Malformed

_ARCHITECTURES = {
    "linux": "32 64 aarch64 armv6l armv7l loongarch64 ppc64 ppc64le riscv32 riscv64 s390x",
    "osx": "32 64 arm64",
    "win": "32 64 arm64",
    "freebsd": "64 arm64",
    "emscripten": "wasm32",
    "wasi": "wasm32",
    "zos": "z",
}
KNOWN_SUBDIRS = frozenset(
    {"noarch"} | {f"{os}-{arch}" for os, archs in _ARCHITECTURES.items() for arch in archs.split()}
)

_NAME = re.compile(r"(([a-z0-9])|([a-z0-9_](?!_)))[._-]?([a-z0-9]+(\.|-|_|\Z))*")
_VERSION = re.compile(r"[A-Za-z0-9._+!]+")  # CEP 26 says lower-case; published packages have capitals, too
_BUILD = re.compile(r"[A-Za-z0-9_.+]+")
_SUBDIR = re.compile(r"[a-z0-9]+-[a-z0-9]+")
_MAX_PART = 64
_MAX_FILENAME = 211
_MAX_SUBDIR = 32

#: what the file names of the two archive forms end in
OLDER, NEWER = ".tar.bz2", ".conda"


class CondaFilename(NamedTuple):
    """The parts of `<name>-<version>-<build>.<extension>`; the extension is "conda" or "tar.bz2"."""

    name: str
    version: str
    build: str
    extension: str

    @property
    def stem(self) -> str:
        """`<name>-<version>-<build>`, the distribution string."""
        return f"{self.name}-{self.version}-{self.build}"


def is_subdir(text: str) -> bool:
    """Say whether `text` may name a subdir: `noarch` or `<os>-<arch>` (CEP 26), known to us or not."""
    return text == "noarch" or (len(text) <= _MAX_SUBDIR and _SUBDIR.fullmatch(text) is not None)


def is_conda_filename(filename: str) -> bool:
    """Say whether the extension is one of a conda package."""
    return filename.endswith((".conda", ".tar.bz2"))


def parse_filename(filename: str) -> CondaFilename:
    """Split a file name. Malformed when an extension, a part or a character is not one of a conda package."""
    if len(filename) > _MAX_FILENAME:
        raise Malformed(f"The file name is longer than {_MAX_FILENAME} characters.")
    for extension in ("conda", "tar.bz2"):
        if filename.endswith("." + extension):
            parts = filename[: -len(extension) - 1].rsplit("-", 2)
            break
    else:
        raise Malformed("The file name of a conda package ends in .conda or .tar.bz2.")
    if len(parts) != 3:
        raise Malformed("The file name of a conda package is <name>-<version>-<build> and its extension.")
    check_name(parts[0])
    check_version(parts[1])
    check_build(parts[2])
    return CondaFilename(parts[0], parts[1], parts[2], extension)


def check_name(name: str) -> None:
    """Malformed unless `name` is a distributable package name of CEP 26."""
    if len(name) > _MAX_PART:
        raise Malformed(f"The package name is longer than {_MAX_PART} characters.")
    if not _NAME.fullmatch(name):
        raise Malformed(
            f"The package name {name!r} is not allowed: lower-case letters, digits and single '-', '_', '.' "
            "between them, with at most one '_' in front."
        )


def check_version(version: str) -> None:
    """Malformed unless `version` has only the characters of a version; whether it parses is asked elsewhere."""
    if len(version) > _MAX_PART or not _VERSION.fullmatch(version):
        raise Malformed(
            f"The version {version[:80]!r} is not allowed: at most {_MAX_PART} letters, digits and any of '._+!'."
        )


def check_build(build: str) -> None:
    """Malformed unless `build` is a build string of CEP 26."""
    if len(build) > _MAX_PART or not _BUILD.fullmatch(build):
        raise Malformed(
            f"The build string {build[:80]!r} is not allowed: at most {_MAX_PART} letters, digits and any of '._+'."
        )
