"""What the latest version of each package depends on, from the records of its files; part of its package row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from packhouse.core.db.base import Reader
from packhouse.formats import registry
from packhouse.formats.base import Coordinate, Facts
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.store import File


class _Record(msgspec.Struct):
    depends: Any = ()


_decode = msgspec.json.Decoder(_Record).decode


async def add_needs(reader: Reader, packages: Iterable[tuple[dict[str, Any], Sequence[File]]]) -> None:
    """Add `needs` (a JSON array of names in order, each once) to derived columns; the files are those of the package.

    The builds of the latest version count together, since each platform may need other packages.
    """
    latest = [(said, [file for file in files if file.version == said["latest_version"]]) for said, files in packages]
    # those of a partition that nothing was asked of came without
    wanted = [file.record_id for _, files in latest for file in files if file.json is None]
    records = await store.records_of(reader, wanted) if wanted else {}
    for said, files in latest:
        texts = [records.get(file.record_id) if file.json is None else file.json for file in files]
        specs = {str(spec) for text in texts if text for spec in _decode(text).depends or ()}
        at = Coordinate(said["family"], "", "", said["name"], said["latest_version"])
        needs = registry.get(at.family).relations(Facts(at, {}, depends=list(specs)))
        said["needs"] = msgspec.json.encode(sorted(needs)).decode()
