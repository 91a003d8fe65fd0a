"""channeldata.json: one overview for each name of a channel, over all its subdirs. Source: CEP 38.

An overview is encoded when its name is published, so that the document is a join. It tells of the newest file; what
only the bytes say (`about.json`, link scripts) is told of the newest file we hold, and run exports of the newest of
each version, since builds ask for those of the version that they were built with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from packhouse.formats.base import Facts

_json = msgspec.json.Encoder(order="deterministic")
_ABOUT = ("description", "dev_url", "doc_url", "home", "license", "source_url", "summary")
_SCRIPTS = {"post_link": "-post-link.", "pre_link": "-pre-link.", "pre_unlink": "-pre-unlink."}


def overview(
    version: str,
    license: str,
    timestamp: int,
    subdirs: list[str],
    held: Facts | None,
    exports: Mapping[str, dict[str, Any]],
) -> bytes:
    """Return the JSON object of one name. `timestamp` is seconds since 1970, of the newest build.

    `exports` maps versions to what their packages say in run_exports.json; those that say nothing are left out.
    """
    about = held.about if held else {}
    summary: dict[str, Any] = {key: about[key] for key in _ABOUT if isinstance(about.get(key), (str, list))}
    if license:
        summary["license"] = license
    scripts = held.install_code if held else []
    for key, mark in _SCRIPTS.items():
        summary[key] = any(mark in script for script in scripts)
    for key in ("activate.d", "binary_prefix", "deactivate.d", "text_prefix"):
        summary[key] = False  # only ever a hint for a status page, and not among the facts we read
    said = {of: {kind: specs for kind, specs in one.items() if kind != "schema_version"} for of, one in exports.items()}
    summary["run_exports"] = {of: kinds for of, kinds in said.items() if kinds}
    return _json.encode(summary | {"subdirs": subdirs, "timestamp": timestamp, "version": version})


def assemble(overviews: Iterable[tuple[str, bytes]], subdirs: Iterable[str]) -> bytes:
    """Return channeldata.json from the overviews of all names, by name, and the subdirs that show anything."""
    packages = b",".join(_json.encode(name) + b":" + text for name, text in overviews)
    shown = _json.encode(sorted({"noarch", *subdirs}))
    return b'{"channeldata_version":1,"packages":{' + packages + b'},"subdirs":' + shown + b"}"
