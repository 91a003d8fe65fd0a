"""The package rows of names: what lists, searches and channel-wide documents say of them; derived at publishing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from packhouse.catalog.packages import contents
from packhouse.core.clock import SECOND
from packhouse.core.db.base import Reader
from packhouse.formats import registry
from packhouse.formats.base import Facts
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.needing import add_needs
from packhouse.workflows.indexing.store import Key, VisibleFile


async def summaries_of(reader: Reader, channel_id: int, names: Sequence[str]) -> dict[Key, dict[str, Any]]:
    """Return (family, name) → derived columns of the package, for those of the names of which anything is visible."""
    visible = await store.visible_files(reader, channel_id, names)
    speaking = {key: newest_held(files) for key, files in visible.items()}
    facts = await contents.facts_of_many(reader, [one for one in speaking.values() if one is not None])
    versions = [one for files in visible.values() for one in held_versions(files).values()]
    exports = await contents.run_exports_of(reader, versions)
    said = {key: describe(key[1], files, facts.get(speaking[key] or 0), exports) for key, files in visible.items()}
    await add_needs(reader, [(said[key], files) for key, files in visible.items()])
    return said


def newest_held(files: Sequence[VisibleFile]) -> int | None:
    """Return the content that speaks for the package: the one shown last of those whose bytes we hold."""
    held = max((file for file in files if file.content_id), key=lambda file: file.visible_at, default=None)
    return held.content_id if held else None


def held_versions(files: Sequence[VisibleFile]) -> dict[str, int]:
    """Return the content that speaks for each version: as `newest_held`, of those of which we hold bytes."""
    held: dict[str, int] = {}
    for file in sorted(files, key=lambda file: file.visible_at, reverse=True):
        if file.content_id:
            held.setdefault(file.version, file.content_id)
    return held


def describe(
    name: str, files: Sequence[VisibleFile], facts: Facts | None, exports: Mapping[int, dict[str, Any]]
) -> dict[str, Any]:
    """Return the derived columns of a package, from its files (all of one family) and the facts of `newest_held`.

    `exports` are the run exports of `held_versions`, by content; contents without any need not be there.
    """
    family = files[0].family
    kind = registry.get(family)
    newest = max(files, key=lambda file: (kind.order(file.version), file.build_number, file.visible_at))
    partitions = sorted({file.partition for file in files})
    built_at = max(file.timestamp or 0 for file in files) // SECOND
    versions = {version: exports[key] for version, key in held_versions(files).items() if key in exports}
    return {
        "family": family,
        "name": name,
        "file_count": len(files),
        "latest_version": newest.version,
        "build_number": newest.build_number,
        "license": newest.license,
        "license_family": newest.license_family,
        "summary": facts.summary if facts else "",
        "platforms": " ".join(partitions),
        "overview": kind.overview(newest.version, newest.license, built_at, partitions, facts, versions),
    }
