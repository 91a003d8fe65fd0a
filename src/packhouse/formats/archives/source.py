"""Random access to the bytes of one file on disk: small files from memory, large ones by positioned reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packhouse.formats.archives.limits import MIB, Limits
from packhouse.formats.base import Malformed

#: files up to this size are read with one system call
_WHOLE = 1 * MIB


class Source:
    """The bytes of an open file; `at(offset, count)` never moves a cursor."""

    __slots__ = ("_bytes", "_fd", "size")

    def __init__(self, fd: int, size: int) -> None:
        self.size = size
        self._fd = fd
        self._bytes = os.pread(fd, size, 0) if size <= _WHOLE else None

    def at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset`; fewer only at the end of the file."""
        if self._bytes is not None:
            return self._bytes[offset : offset + count]
        return os.pread(self._fd, count, offset)


@contextmanager
def open_source(path: Path, limits: Limits) -> Iterator[Source]:
    """Open `path` for reading; Malformed when it is empty or larger than `limits.file_size`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if not size:
            raise Malformed("The file is empty.")
        if size > limits.file_size:
            raise Malformed(f"The file has {size:,} bytes; at most {limits.file_size:,} are read.")
        yield Source(fd, size)
    finally:
        os.close(fd)


class Slice:
    """A part of a source, read from front to back, keeping nothing."""

    __slots__ = ("_left", "_offset", "_source", "size")

    def __init__(self, source: Source, offset: int, size: int) -> None:
        self.size = size
        self._source = source
        self._offset = offset
        self._left = size

    def read(self, count: int) -> bytes:
        """Return the next bytes, at most `count`; empty at the end of the slice."""
        data = self._source.at(self._offset, min(count, self._left))
        self._offset += len(data)
        self._left -= len(data)
        return data
