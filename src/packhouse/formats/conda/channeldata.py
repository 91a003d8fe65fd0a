"""channeldata.json: one summary for each name of a channel, over all its subdirs. Source: CEP 38."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from packhouse.formats.conda.record import RecordColumns
from packhouse.formats.conda.solver_types import newest_key, version_key

_json = msgspec.json.Encoder(order="deterministic")


class ChannelFile(msgspec.Struct, frozen=True):
    """What channeldata.json needs to know of one file; `about` and the rest are empty when we do not hold it."""

    subdir: str
    columns: RecordColumns
    about: dict[str, Any] = {}
    run_exports: dict[str, Any] = {}
    install_code: list[str] = []


_ABOUT = ("description", "dev_url", "doc_url", "home", "license", "source_url", "summary")
_SCRIPTS = {"post_link": "-post-link.", "pre_link": "-pre-link.", "pre_unlink": "-pre-unlink."}


def channeldata_json(files: Iterable[ChannelFile]) -> bytes:
    """Return channeldata.json (CEP 38): one summary for each name, taken from its newest files."""
    by_name: dict[str, list[ChannelFile]] = defaultdict(list)
    subdirs = {"noarch"}
    for file in files:
        by_name[file.columns.name].append(file)
        subdirs.add(file.subdir)
    packages = {name: _summary(group) for name, group in by_name.items()}
    return _json.encode({"channeldata_version": 1, "packages": packages, "subdirs": sorted(subdirs)})


def _summary(files: list[ChannelFile]) -> dict[str, Any]:
    files = sorted(
        files, key=lambda f: (newest_key(f.columns.version, f.columns.build_number), f.subdir, f.columns.build)
    )
    newest = files[-1]
    about = next((file.about for file in reversed(files) if file.about), {})
    summary: dict[str, Any] = {key: about[key] for key in _ABOUT if isinstance(about.get(key), (str, list))}
    if newest.columns.license:
        summary["license"] = newest.columns.license
    timestamps = [file.columns.timestamp_ms or 0 for file in files]
    exports = {f.columns.version: f.run_exports for f in files if f.run_exports}
    for key, mark in _SCRIPTS.items():
        summary[key] = any(mark in script for file in files for script in file.install_code)
    for key in ("activate.d", "binary_prefix", "deactivate.d", "text_prefix"):
        summary[key] = False
    return summary | {
        "run_exports": dict(sorted(exports.items(), key=lambda item: version_key(item[0]))),
        "subdirs": sorted({file.subdir for file in files}),
        "timestamp": max(timestamps) // 1000,
        "version": newest.columns.version,
    }
