"""What the latest version of each package depends on, from the records of its files; part of its package row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from packhouse.core.db.base import Reader
from packhouse.formats import registry
from packhouse.formats.base import Coordinate, Facts
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.store import VisibleFile


class _Record(msgspec.Struct):
    depends: Any = ()


_decode = msgspec.json.Decoder(_Record).decode


async def add_needs(reader: Reader, packages: Iterable[tuple[dict[str, Any], Sequence[VisibleFile]]]) -> None:
    """Add `needs` (a JSON array of names in order, each once) to derived columns; the files are those of the package.

    The builds of the latest version count together, since each platform may need other packages.
    """
    latest = [
        (said, [file.record_id for file in files if file.version == said["latest_version"]]) for said, files in packages
    ]
    records = await store.records_of(reader, [number for _, ids in latest for number in ids])
    for said, ids in latest:
        specs = {str(spec) for number in ids if number in records for spec in _decode(records[number]).depends or ()}
        at = Coordinate(said["family"], "", "", said["name"], said["latest_version"])
        needs = registry.get(at.family).relations(Facts(at, {}, depends=list(specs)))
        said["needs"] = msgspec.json.encode(sorted(needs)).decode()
