"""The package rows of a name: what lists, searches and channel-wide documents say of it; derived at publishing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from packhouse.catalog.packages import contents, summaries
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.formats import registry
from packhouse.formats.base import Facts
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.needing import add_needs
from packhouse.workflows.indexing.store import VisibleFile


async def summarise(unit: Unit, channel_id: int, name: str) -> None:
    """Write the package rows of one name anew, and remove those of families of which nothing is visible."""
    families = by_family(await store.visible_files(unit, channel_id, name))
    await summaries.keep_only(unit, channel_id, name, list(families))
    for files in families.values():
        content_id = newest_held(files)
        facts = await contents.facts_of(unit, content_id) if content_id else None
        exports = await contents.run_exports_of(unit, list(held_versions(files).values()))
        said = describe(name, files, facts, exports)
        await add_needs(unit, [(said, files)])
        await summaries.put(unit, channel_id, said)


def by_family(files: Iterable[VisibleFile]) -> dict[str, list[VisibleFile]]:
    """Return the files of each family of one name."""
    families: dict[str, list[VisibleFile]] = {}
    for file in files:
        families.setdefault(file.family, []).append(file)
    return families


def newest_held(files: Sequence[VisibleFile]) -> int | None:
    """Return the content that speaks for the package: the one shown last of those whose bytes we hold."""
    held = max((file for file in files if file.content_id), key=lambda file: file.visible_at, default=None)
    return held.content_id if held else None


def held_versions(files: Sequence[VisibleFile]) -> dict[str, int]:
    """Return the content that speaks for each version: as `newest_held`, of those of which we hold bytes."""
    shown_last = sorted(files, key=lambda file: file.visible_at, reverse=True)
    held: dict[str, int] = {}
    for file in shown_last:
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
