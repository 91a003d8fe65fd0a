"""info/index.json to the record we would publish. Source: CEP 34 (index.json), CEP 36 (records)."""

from __future__ import annotations

from typing import Any

from packhouse.formats.base import Malformed
from packhouse.formats.conda.filename import KNOWN_SUBDIRS, CondaFilename
from packhouse.formats.conda.record import ADDRESSES, MAX_TEXT, check_values
from packhouse.formats.conda.solver_types import check_parses, check_spec

#: what only a channel may say of a file; an index.json that says it would speak for the server
SERVER_KEYS = frozenset((*ADDRESSES, "fn", "indexed_timestamp", "md5", "sha256", "signatures", "size"))

_LISTS = ("depends", "constrains")
_MAX_SPECS = 10_000
_OS = {"linux": "linux", "osx": "osx", "win": "win"}
_ARCH = {"x86_64": "64", "x86": "32", "amd64": "64", "i386": "32", "i686": "32"}


def index_record(index: dict[str, Any], filename: CondaFilename) -> dict[str, Any]:
    """Return the record of a package: its index.json without `SERVER_KEYS`, with `subdir` and `depends` present.

    Malformed when the name, version or build differ from the file name, or a value has the wrong type or size.
    """
    record = {key: value for key, value in index.items() if key not in SERVER_KEYS}
    for key, told in zip(("name", "version", "build"), filename, strict=False):
        if record.get(key) != told:
            said = f"has the {key} {_short(record[key])}" if key in record else f"has no {key}"
            raise Malformed(
                f"The file is named as the package {filename.stem}, but the package inside {said} (info/index.json)."
            )
    check_parses(filename.version)
    record.setdefault("build_number", 0)
    record.setdefault("depends", [])
    if "subdir" not in record:
        record["subdir"] = _derived_subdir(record)
    _check(record)
    return record


def publishing_fault(record: dict[str, Any]) -> str:
    """Return why clients could not use a package if its own record were published, or "".

    A mirror shows the record of its upstream, which may have been put right there, so it need not mind.
    """
    try:
        check_values(record, "info/index.json")
        for key in _LISTS:
            for spec in record.get(key, ()):
                check_spec(spec)
    except Malformed as fault:
        return str(fault)
    return ""


def _check(record: dict[str, Any]) -> None:
    if record["subdir"] not in KNOWN_SUBDIRS:
        raise Malformed(f"info/index.json names the subdir {_short(record['subdir'])}, which is not a known one.")
    for key in ("build_number", "timestamp"):
        value = record.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Malformed(f"info/index.json must give {key} as a whole number, not {_short(value)}.")
    noarch = record.get("noarch")
    if noarch is not None and noarch not in ("python", "generic", True, False):
        raise Malformed(f"info/index.json names the noarch type {_short(noarch)}; it is 'python' or 'generic'.")
    for key in _LISTS:
        specs = record.get(key, [])
        if not isinstance(specs, list) or not all(isinstance(spec, str) and spec.strip() for spec in specs):
            raise Malformed(f"info/index.json must give {key} as a list of match specs.")
        if len(specs) > _MAX_SPECS:
            raise Malformed(f"info/index.json has more than {_MAX_SPECS:,} {key}.")
    for key in ("license", "license_family"):
        if not isinstance(record.get(key), (str, type(None))):
            raise Malformed(f"info/index.json must give {key} as text.")
    _check_lengths(record)


def _check_lengths(record: dict[str, Any]) -> None:
    waiting: list[Any] = [record]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and len(value) > MAX_TEXT:
            raise Malformed(f"info/index.json has a text of {len(value):,} characters; at most {MAX_TEXT:,} are taken.")


def _derived_subdir(record: dict[str, Any]) -> str:
    """Return the subdir of a package from before index.json named one, by its platform and arch."""
    platform, arch = record.get("platform"), record.get("arch")
    if platform is None and arch is None and record.get("noarch"):
        return "noarch"
    if not isinstance(platform, str) or not isinstance(arch, str):
        raise Malformed("info/index.json names no subdir, and no platform and arch to derive it from.")
    return f"{_OS.get(platform, platform)}-{_ARCH.get(arch, arch)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
