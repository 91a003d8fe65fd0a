"""The package rows of names: what lists, searches and channel-wide documents say of them; derived at publishing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from packhouse.catalog.packages import contents
from packhouse.core.clock import SECOND
from packhouse.core.db.base import Reader
from packhouse.formats import registry
from packhouse.formats.base import Facts
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.needing import add_needs
from packhouse.workflows.indexing.store import File, Key


class Speakers(NamedTuple):
    """The files that speak for a package; of equals it is the first by partition and file name."""

    newest: File  #: of the latest version and its highest build number the one shown last
    held: File | None  #: the one shown last of those whose bytes we hold
    versions: dict[str, int]  #: the content of each version's file that was shown last, of those we hold


async def summaries_of(reader: Reader, channel_id: int, names: Iterable[str]) -> dict[Key, dict[str, Any]]:
    """Return (family, name) → derived columns of the package, for those of the names of which anything is visible."""
    found = await store.files_of(reader, channel_id, names)
    return await summarise(reader, found.values())


async def summarise(reader: Reader, names: Iterable[Sequence[File]]) -> dict[Key, dict[str, Any]]:
    """Return the same from all visible files of each name, by partition and file name."""
    visible: dict[Key, list[File]] = {}
    for files in names:
        for _, some in groupby(files, lambda file: file.partition):  # which is of one family
            one = list(some)
            visible.setdefault((one[0].family, one[0].name), []).extend(one)
    speaking = {key: speakers(files) for key, files in visible.items()}
    held = [one.held.content_id for one in speaking.values() if one.held and one.held.content_id]
    facts = await contents.facts_of_many(reader, held)
    exports = await contents.run_exports_of(reader, [id for one in speaking.values() for id in one.versions.values()])
    said = {key: describe(files, speaking[key], facts, exports) for key, files in visible.items()}
    await add_needs(reader, [(said[key], files) for key, files in visible.items()])
    return said


def speakers(files: Sequence[File]) -> Speakers:
    """Return who speaks for a package, of its files (all of one family): one look at each, since it may have many."""
    newest: dict[str, tuple[int, int, int]] = {}  # version → build number, shown at, and the place counted backwards
    held: dict[str, tuple[int, int]] = {}
    for place, file in enumerate(files):
        version = file.version
        if (known := newest.get(version)) is None or (file.build_number, file.visible_at) > known[:2]:
            newest[version] = (file.build_number, file.visible_at, -place)
        if file.content_id and ((last := held.get(version)) is None or file.visible_at > last[0]):
            held[version] = (file.visible_at, -place)
    order = registry.get(files[0].family).order
    _, best = max((order(version), one) for version, one in newest.items())
    last = max(held.values(), default=None)
    contents = {version: files[-place].content_id or 0 for version, (_, place) in held.items()}
    return Speakers(files[-best[2]], files[-last[1]] if last else None, contents)


def describe(
    files: Sequence[File], who: Speakers, facts: Mapping[int, Facts], exports: Mapping[int, dict[str, Any]]
) -> dict[str, Any]:
    """Return the derived columns of a package, from its files and what the bytes of those say that speak for it.

    Contents that say nothing need be neither in `facts` nor in `exports`, which has run exports.
    """
    newest, family = who.newest, files[0].family
    partitions = list(dict.fromkeys(file.partition for file in files))
    built_at = max(file.timestamp or 0 for file in files) // SECOND
    held = facts.get(who.held.content_id or 0) if who.held else None
    versions = {version: exports[key] for version, key in who.versions.items() if key in exports}
    return {
        "family": family,
        "name": newest.name,
        "file_count": len(files),
        "latest_version": newest.version,
        "build_number": newest.build_number,
        "license": newest.license,
        "license_family": newest.license_family,
        "summary": held.summary if held else "",
        "platforms": " ".join(partitions),
        "overview": registry.get(family).overview(newest.version, newest.license, built_at, partitions, held, versions),
    }
