"""`file://` trees as a source: the same questions and answers as over HTTP, confined to the tree."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from multidict import CIMultiDict
from yarl import URL

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.answers import Answer
from packhouse.core.fetch.guard import Refused
from packhouse.core.fetch.masking import mask_url
from packhouse.core.fetch.model import FetchSettings
from packhouse.core.fetch.retry import Transient
from packhouse.core.hops import Hops

_READ_BYTES = 1 << 20
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO, errno.ELOOP})
_RANGE = re.compile(r"bytes=(\d+)-")


class FileSource:
    """One folder tree. Symbolic links are followed only to places inside it."""

    def __init__(self, source: URL, settings: FetchSettings) -> None:
        self._origin = source
        self._roots = settings.file_roots
        self._hops = Hops()

    async def open(self) -> None:
        """Find the tree. Raises Refused unless an administrator named it or a folder above it."""
        self._root = await asyncio.to_thread(self._find_root)

    def _find_root(self) -> Path:
        path = _path(self._origin)
        root = Path() if "\0" in path else Path(os.path.realpath(path))
        if not any(root.is_relative_to(os.path.realpath(allowed)) for allowed in self._roots if "\0" not in allowed):
            raise Refused(f"{self._origin} is not in a folder that sources may read.", "An administrator can name it.")
        return root

    async def close(self) -> None:
        """Nothing stays open."""

    def locate(self, url: str) -> URL:
        """Return the address `url` means, relative to the tree. Raises Refused for other schemes."""
        try:
            target = self._origin.join(URL(url)).with_fragment(None)
        except ValueError:
            target = URL()
        if target.scheme != "file" or target.raw_host or "%00" in target.raw_path:
            raise Refused(f"{mask_url(url)} is not in the tree of {self._origin}.", "Check the address.")
        return target

    @asynccontextmanager
    async def exchange(self, method: str, url: URL, headers: dict[str, str]) -> AsyncIterator[Answer]:
        """Yield 200, 206, 304, 404 or 416. Raises Refused for a path that leads out of the tree."""
        answer = await self._hops.run(lambda: self._answer(method, url, headers), _FileAnswer.close)
        try:
            yield answer
        finally:
            answer.close()

    def _answer(self, method: str, url: URL, headers: dict[str, str]) -> _FileAnswer:
        try:
            file = self._open_file(url)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise _unreadable(url, error) from None
            return _FileAnswer(404, CIMultiDict(), url)
        answer = _answer(method, url, headers, file)
        answer.begin()
        return answer

    def _open_file(self, url: URL) -> BinaryIO:
        """Open a regular file of the tree for reading; the path is resolved first, then opened without links."""
        resolved = Path(os.path.realpath(_path(url)))
        if not resolved.is_relative_to(self._root):
            raise Refused(f"{url} leads out of the tree of {self._origin}.", "Links must stay inside the tree.")
        fd = os.open(resolved, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileNotFoundError(errno.ENOENT, "not a regular file")
        return os.fdopen(fd, "rb", buffering=0)


class _FileAnswer(Answer):
    def __init__(self, status: int, headers: CIMultiDict[str], url: URL, file: BinaryIO | None = None) -> None:
        super().__init__(status, headers, url)
        self._file = file
        self._left = (self.length or 0) if file else 0
        self._first = b""

    def begin(self) -> None:
        """Read the first piece while this is in a thread already; most files are no longer, and need not stay open."""
        try:
            self._first = self._read()
        except PackhouseError:
            self.close()
            raise
        if not self._left:
            self.close()

    def close(self) -> None:
        """Close the file, which may be closed already."""
        if self._file is not None:
            self._file.close()

    def _read(self) -> bytes:
        try:
            chunk = self._file.read(min(self._left, _READ_BYTES)) if self._file and self._left else b""
        except OSError as error:
            raise _unreadable(self.where, error) from None
        self._left -= len(chunk)
        return chunk

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield as much as was announced, read in threads, since a tree is often a network mount."""
        chunk = self._first
        while chunk:
            yield chunk
            chunk = await asyncio.to_thread(self._read) if self._left else b""
        if self._left:
            raise Transient(f"{self.where} became shorter while it was read.")


def _answer(method: str, url: URL, asked: dict[str, str], file: BinaryIO) -> _FileAnswer:
    info = os.fstat(file.fileno())
    etag = f'"{info.st_mtime_ns:x}-{info.st_size:x}"'
    headers = CIMultiDict({"ETag": etag})
    if asked.get("If-None-Match") == etag:
        return _unread(304, headers, url, file)
    start, status = 0, 200
    wanted = _RANGE.fullmatch(asked.get("Range", ""))
    if wanted and asked.get("If-Range", etag) == etag:
        start, status = int(wanted[1]), 206
        if start >= info.st_size:
            return _unread(416, headers, url, file)
        headers["Content-Range"] = f"bytes {start}-{info.st_size - 1}/{info.st_size}"
        file.seek(start)
    headers["Content-Length"] = str(info.st_size - start)
    return (_unread if method == "HEAD" else _FileAnswer)(status, headers, url, file)


def _unread(status: int, headers: CIMultiDict[str], url: URL, file: BinaryIO) -> _FileAnswer:
    file.close()
    return _FileAnswer(status, headers, url)


def _unreadable(where: object, error: OSError) -> PackhouseError:
    return PackhouseError("upstream_failed", f"{where} cannot be read: {error.strerror}.")


def _path(url: URL) -> str:
    return unquote(url.raw_path)
