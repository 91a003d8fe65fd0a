"""What this node has downloaded and verified for a mirror but not registered yet, so that a kill costs no byte of it.

One line for each file, written before its bytes become a blob: a line whose blob is there tells of bytes that came
through this very source. It belongs to the folder of the node, as partial downloads do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.holdings import Fetched, Wanted
from packhouse.core.blobs import Hashes
from packhouse.core.blobs.faults import disk_faults
from packhouse.formats.base import Facts
from packhouse.workflows.services import Services


class _Line(msgspec.Struct, array_like=True):
    wanted: Wanted
    hashes: Hashes
    facts: Facts


_lines = msgspec.json.Decoder(_Line)


class Journal:
    """The journal of one mirror on this node; only the worker that runs the mirror opens it."""

    def __init__(self, folder: Path, uuid: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{uuid}.jsonl"
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)

    def read(self) -> list[Fetched]:
        """Return what an earlier run left; a line that a kill or a full disk cut short is not there.

        Rescue them first: since when the sweep spares them is not known.
        """
        found: list[Fetched] = []
        for text in self._path.read_bytes().splitlines():
            try:
                line = _lines.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            found.append(Fetched(line.wanted, line.hashes, line.facts, since=0))
        return found

    def note(self, files: Sequence[Fetched]) -> None:
        """Write files down; to outlive a killed process it need not be flushed.

        Raises PackhouseError("storage_full" or "try_later"); of a batch cut short the whole lines count.
        """
        lines = [msgspec.json.encode(_Line(one.wanted, one.hashes, one.facts)) for one in files]
        # an empty line first: a line before it that was cut short must not swallow one of these
        rest = b"\n".join([b"", *lines, b""])
        with disk_faults("The folder of the mirrors' journals"):
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def clear(self) -> None:
        """Forget all: everything in it is registered."""
        os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Close the file; what is in it stays for the next run."""
        os.close(self._fd)


def journal_folder(services: Services) -> Path:
    """Return where the journals of this node are."""
    return services.settings.data_dir / "spool" / "mirrors"


async def forget_journals(services: Services) -> None:
    """Remove the journals of mirrors that were deleted; nothing goes on with what is in them."""
    for path in list(journal_folder(services).glob("*.jsonl")):
        if await store.by_uuid(services.db, path.stem) is None:
            path.unlink(missing_ok=True)
