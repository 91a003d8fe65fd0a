"""Make files and folders outlive a power cut: one by one, or everything of a file system in one go."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

_syncfs: Callable[[int], int] | None
try:
    _syncfs = ctypes.CDLL(None, use_errno=True).syncfs
except (OSError, AttributeError):  # Linux has it, macOS does not
    _syncfs = None

#: so many files at once are worth flushing the whole file system, with whatever else is on its way there
MANY = 8 if _syncfs else 1 << 62


def flush_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    _with_folder(folder, os.fsync)


def flush_file_system(folder: Path) -> None:
    """Make everything written so far to the file system of `folder` durable. Only where MANY can be reached."""
    _with_folder(folder, _sync)


def _sync(fd: int) -> None:
    assert _syncfs is not None
    if _syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _with_folder(folder: Path, flush: Callable[[int], None]) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        flush(fd)
    finally:
        os.close(fd)
