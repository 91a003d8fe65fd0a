"""The package rows of a name: what lists, searches and channel-wide documents say of it; derived at publishing."""

from __future__ import annotations

from packhouse.catalog.packages import contents, summaries
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.formats import registry
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.store import VisibleFile


async def summarise(unit: Unit, channel_id: int, name: str) -> None:
    """Write the package rows of one name anew, or remove them when nothing of it is visible."""
    families: dict[str, list[VisibleFile]] = {}
    for file in await store.visible_files(unit, channel_id, name):
        families.setdefault(file.family, []).append(file)
    if not families:
        await summaries.drop(unit, channel_id, name)
    for family, files in families.items():
        await _summarise_family(unit, channel_id, name, family, files)


async def _summarise_family(unit: Unit, channel_id: int, name: str, family: str, files: list[VisibleFile]) -> None:
    kind = registry.get(family)
    newest = max(files, key=lambda file: (kind.order(file.version), file.build_number, file.visible_at))
    held = max((file for file in files if file.content_id), key=lambda file: file.visible_at, default=None)
    facts = await contents.facts_of(unit, held.content_id) if held and held.content_id else None
    partitions = sorted({file.partition for file in files})
    built_at = max(file.timestamp or 0 for file in files) // SECOND
    await summaries.put(
        unit,
        channel_id,
        {
            "family": family,
            "name": name,
            "file_count": len(files),
            "latest_version": newest.version,
            "build_number": newest.build_number,
            "license": newest.license,
            "license_family": newest.license_family,
            "summary": facts.summary if facts else "",
            "platforms": " ".join(partitions),
            "overview": kind.overview(newest.version, newest.license, built_at, partitions, facts),
        },
    )
