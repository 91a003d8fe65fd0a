"""Names of projects and of their files. Source: PEP 503 (normalised names), PEP 427 and PEP 440 (wheels), PEP 625."""

from __future__ import annotations

import re
from typing import NamedTuple

from packhouse.formats.archives.names import shown
from packhouse.formats.base import Malformed
from packhouse.formats.python.versions import parse

#: a name as people write it (PEP 508)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_RUN = re.compile(r"[-_.]+")
_BUILD = re.compile(r"([0-9]+)[A-Za-z0-9_.]*")
_TAG = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_MAX_FILENAME = 255
_MAX_PART = 128
_MAX_BUILD_NUMBER = 2**63 - 1
_SDIST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*-[0-9][A-Za-z0-9._+!-]*\.(tar\.gz|zip)")


class WheelFilename(NamedTuple):
    """The parts of `<name>-<version>[-<build>]-<python>-<abi>-<platform>.whl`; name and version are normalised."""

    name: str  #: as `normalise` gives it
    version: str  #: as PEP 440 spells it
    build: str  #: what tells files of one version apart: `[<build tag>-]<python>-<abi>-<platform>`
    build_number: int  #: of the build tag; 0 without one


def normalise(name: str) -> str:
    """Return a project's name as indexes compare it: lower case, runs of `-`, `_` and `.` as one `-` (PEP 503)."""
    return _RUN.sub("-", name).lower()


def is_name(name: str) -> bool:
    """Say whether a project may be called so (PEP 508)."""
    return len(name) <= _MAX_PART and _NAME.fullmatch(name) is not None


def is_wheel_filename(filename: str) -> bool:
    """Say whether a file is a wheel by its extension."""
    return filename.endswith(".whl")


def is_sdist_filename(filename: str) -> bool:
    """Say whether a file is called as a source distribution; R's have `_` between name and version."""
    return len(filename) <= _MAX_FILENAME and _SDIST.fullmatch(filename) is not None


def parse_wheel_filename(filename: str) -> WheelFilename:
    """Split the file name of a wheel. Malformed when its extension or a part of it is not one of a wheel."""
    if is_sdist_filename(filename):
        raise Malformed("Source distributions are not taken yet, only wheels: build one with `python -m build -w`.")
    if not is_wheel_filename(filename):
        raise Malformed("The file name of a Python package ends in .whl.")
    if len(filename) > _MAX_FILENAME:
        raise Malformed(f"The file name is longer than {_MAX_FILENAME} characters.")
    parts = filename[: -len(".whl")].split("-")
    if len(parts) not in (5, 6):
        raise Malformed(
            "The file name of a wheel is <name>-<version>[-<build>]-<python>-<abi>-<platform>.whl, "
            "with '_' for every '-' within a part."
        )
    name, version, *tags = parts
    if not is_name(name) or "__" in name:
        raise Malformed(f"{shown(name)} in the file name is no project name.")
    return WheelFilename(normalise(name), _version(version), "-".join(tags), _build_number(tags))


def _version(text: str) -> str:
    parsed = parse(text) if len(text) <= _MAX_PART and text.isascii() and "-" not in text else None
    if parsed is None or text != text.strip():
        raise Malformed(f"{shown(text)} in the file name is no version that Python's tools can read (PEP 440).")
    return str(parsed)


def _build_number(tags: list[str]) -> int:
    for tag in tags[-3:]:
        if not _TAG.fullmatch(tag):
            raise Malformed(f"{shown(tag)} in the file name is no tag of a wheel, such as py3, abi3 or any.")
    if len(tags) == 3:
        return 0
    match = _BUILD.fullmatch(tags[0])
    if match is None or len(match[1]) > 19 or int(match[1]) > _MAX_BUILD_NUMBER:
        raise Malformed(
            f"{shown(tags[0])} in the file name is no build tag: it begins with a number that fits 64 bits."
        )
    return int(match[1])
