"""Files of one family in columns, gathered part by part, so that a whole channel needs no object for each file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from packhouse.catalog.policies.verdicts import Pair
from packhouse.core.db import Database
from packhouse.formats import registry
from packhouse.security.policies.batch import Bools, Coded, Coder, Ints, times
from packhouse.workflows.judging import store
from packhouse.workflows.judging.store import FileRow

_TEXTS = ("partition", "name", "version", "build", "license", "license_family")
_FLAGS = ("install_code", "judged_by_builder", "uploaded")
#: bytes of a digest
_DIGEST = 32


class Files(msgspec.Struct, frozen=True, eq=False):
    """What is stored of files; row r of each column is of the same file. Times are microseconds, or `NOWHEN`."""

    family: str
    partition: Coded
    name: Coded
    version: Coded
    build: Coded
    license: Coded
    license_family: Coded
    record_id: Ints
    content_id: Ints  #: 0: not fetched
    build_number: Ints
    published_at: Ints
    first_seen_at: Ints
    sha256: NDArray[np.bytes_]  #: of the content, else what the record claims; empty: nobody says
    install_code: Bools
    judged_by_builder: Bools
    uploaded: Bools
    legacy: Bools  #: in an older archive form
    entry_id: Ints  #: where it is known; else empty

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.record_id)

    def pair(self, row: int) -> Pair:
        """Return what verdicts are about."""
        return int(self.record_id[row]), int(self.content_id[row])

    def digest(self, row: int) -> bytes:
        """Return the SHA-256 of a file; empty when nobody says."""
        found = bytes(self.sha256[row])
        return found.ljust(_DIGEST, b"\0") if found else b""  # numpy drops zeros at the end


class Gathering:
    """Takes rows, part by part, and returns the columns of all."""

    def __init__(self, family: str) -> None:
        self._family = family
        self._is_legacy = registry.get(family).is_legacy
        self._texts = {name: Coder() for name in _TEXTS}
        self._parts: defaultdict[str, list[NDArray[Any]]] = defaultdict(list)

    def add(self, rows: Sequence[FileRow], entry_ids: Sequence[int] = ()) -> None:
        """Add files, with the numbers of their entries where they are known."""
        if not rows:
            return
        at: dict[str, Sequence[Any]] = dict(zip(FileRow._fields, zip(*rows, strict=True), strict=True))
        for name, coder in self._texts.items():
            coder.add(at[name])
        for name in ("record_id", "content_id", "build_number"):
            self._parts[name].append(np.array(at[name], np.int64))
        for name in _FLAGS:
            self._parts[name].append(np.array(at[name], np.bool_))
        self._parts["published_at"].append(times(at["timestamp"]))
        self._parts["first_seen_at"].append(times(at["first_seen_at"]))
        self._parts["sha256"].append(digests(at["sha256"]))
        self._parts["legacy"].append(np.fromiter(map(self._is_legacy, at["filename"]), np.bool_, len(rows)))
        self._parts["entry_id"].append(np.array(entry_ids, np.int64))

    def files(self) -> Files:
        """Return the columns of everything that was added."""
        columns: dict[str, Any] = {name: coder.coded() for name, coder in self._texts.items()}
        columns |= {name: self._whole(name, kind) for name, kind in _KINDS.items()}
        return Files(family=self._family, **columns)

    def _whole(self, name: str, kind: Any) -> NDArray[Any]:
        parts = self._parts.pop(name, [])
        return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, kind), *parts])


_KINDS: dict[str, Any] = {
    "record_id": np.int64, "content_id": np.int64, "build_number": np.int64, "published_at": np.int64,
    "first_seen_at": np.int64, "sha256": f"S{_DIGEST}", "install_code": np.bool_, "judged_by_builder": np.bool_,
    "uploaded": np.bool_, "legacy": np.bool_, "entry_id": np.int64,
}  # fmt: skip


async def files_in(db: Database, channel_id: int, family: str) -> Files:
    """Return all files of a family in a channel, as one snapshot shows them."""
    gathering = Gathering(family)
    async for entry_ids, rows in store.all_here(db, channel_id, family):
        gathering.add(rows, entry_ids)
    return gathering.files()


def files_of(family: str, rows: Sequence[FileRow]) -> Files:
    """Return the columns of a few files, in their order."""
    gathering = Gathering(family)
    gathering.add(rows)
    return gathering.files()


def digests(values: Iterable[bytes | None]) -> NDArray[np.bytes_]:
    """Return a column of digests, with an empty text for None."""
    return np.array([value or b"" for value in values], f"S{_DIGEST}")
