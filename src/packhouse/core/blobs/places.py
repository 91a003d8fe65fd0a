"""Where files lie under names of their own, for others to fetch: a folder, or a bucket (`s3.S3Place`)."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Protocol

from packhouse.core.blobs.faults import disk_faults
from packhouse.core.blobs.flushing import flush_folder


class Place(Protocol):
    """Takes files."""

    async def put(self, name: str, source: Path) -> None:
        """Put a copy of a file there, whole or not at all, in the place of one with that name.

        Raises PackhouseError: `storage_full`, `try_later`.
        """


class Folder:
    """A folder of this machine; it is made when it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, source: Path) -> None:
        """Copy a file there, durably; readers never see a part of it."""
        await asyncio.to_thread(self._put, name, source)

    def _put(self, name: str, source: Path) -> None:
        with disk_faults(f"The folder {self._folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            growing = self._folder / f".{name}.partial"
            try:
                with source.open("rb") as there, growing.open("wb") as here:
                    shutil.copyfileobj(there, here)
                    here.flush()
                    os.fsync(here.fileno())
                growing.rename(self._folder / name)
            finally:
                growing.unlink(missing_ok=True)
            flush_folder(self._folder)
