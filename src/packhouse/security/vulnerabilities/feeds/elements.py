"""The objects of one long JSON list, cut out of a stream one by one, so that a feed of any size needs little memory.

Only brackets and strings are understood here. What lies between them is checked where a record is decoded, so each
record may be bad by itself, while a document whose brackets do not fit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from packhouse.formats.base import Malformed

#: one record may be this large to be passed over; a larger one makes the file unreadable
LARGEST = 16 * 1024 * 1024

# up to the next bracket, strings and all; possessive: it never goes back, so it takes linear time on any input
_FLAT = rb'[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"'
_BRACKET = re.compile(rb"(?:%b)*+([{}\[\]])" % _FLAT, re.DOTALL)
# the same, but past objects and lists that hold none themselves, which are most: a third of the time
_INNER = re.compile(rb"(?:%b|[{\[](?:%b)*+[}\]])*+([{}\[\]])" % (_FLAT, _FLAT), re.DOTALL)
_KEY = re.compile(rb'"(\w{1,40})"\s*:\Z')
_SPACE = b" \t\r\n"


class Elements:
    """Cuts the list out of a document: the document itself, or a list under one of `keys` in its outermost object.

    Iterating gives (number from 1, bytes) of each object, and (number, None) where the list holds something else.
    `found` says whether there was such a list. Malformed for a document that is truncated or followed by something.
    """

    def __init__(self, chunks: Iterator[bytes], keys: frozenset[bytes]) -> None:
        self.found = False
        self._chunks = chunks
        self._keys = keys
        self._buffer = b""
        self._at = 0  #: what lies before is used up
        self._number = 0
        self._open: list[bytes] = []  #: brackets around the place, while no record is being cut

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        """Give the records of the document, front to back."""
        while (bracket := self._next()) is not None:
            gap, mark = bracket
            if mark in b"[{":
                if self._in_list:
                    yield from self._between(gap)
                    yield from self._element(mark)
                    continue
                self._enter(gap, mark)
            else:
                if self._in_list:
                    yield from self._between(gap, last=True)
                self._leave(mark)
            if not self._open:
                return self._finish()
        raise Malformed("The JSON ends in the middle: the file is truncated.")

    @property
    def _in_list(self) -> bool:
        return self._open[-1:] == [b"*"]

    def _enter(self, gap: bytes, mark: bytes) -> None:
        """Go into a bracket; `*` stands for the list that is looked for."""
        depth = len(self._open)
        if not depth and gap.strip(_SPACE):
            raise Malformed("The file is not JSON.")
        if depth > 1:
            self._pass_over(1)
            return
        key = _KEY.search(gap.rstrip(_SPACE)[-80:]) if depth else None
        if mark == b"[" and (not depth or (key and key[1] in self._keys)):
            self.found, mark = True, b"*"
        self._open.append(mark)

    def _leave(self, mark: bytes) -> None:
        wanted = b"}" if self._open[-1:] == [b"{"] else b"]"
        if not self._open or mark != wanted:
            raise Malformed("The brackets of the JSON do not fit together.")
        self._open.pop()

    def _between(self, gap: bytes, *, last: bool = False) -> Iterator[tuple[int, None]]:
        """Count what lies between two objects and is neither space nor one comma."""
        between = gap.strip(_SPACE)
        if between and (last or between != b","):
            self._number += 1
            yield self._number, None

    def _element(self, mark: bytes) -> Iterator[tuple[int, bytes | None]]:
        start = self._at - 1
        self._number += 1
        start = self._pass_over(1, start)
        yield self._number, self._buffer[start : self._at] if mark == b"{" else None

    def _pass_over(self, depth: int, start: int | None = None) -> int:
        """Go behind the bracket that closes; return where in the buffer the record starts, which is kept from there."""
        begin = self._at if start is None else start
        while depth:
            if match := _INNER.match(self._buffer, self._at):
                self._at = match.end()
                depth += 1 if match[1] in b"[{" else -1
                continue
            if start is None:
                begin = self._at
            if not self._more(begin):
                raise Malformed("The JSON ends in the middle of a record: the file is truncated.")
            begin = 0
        return begin

    def _next(self) -> tuple[bytes, bytes] | None:
        """Go behind the next bracket; return what lay before it, and it."""
        while True:
            if match := _BRACKET.match(self._buffer, self._at):
                gap = self._buffer[self._at : match.end() - 1]
                self._at = match.end()
                return gap, match[1]
            if not self._more(self._at):
                return None

    def _more(self, keep: int) -> bool:
        """Read on, at least as much as is kept, so that what is looked at again adds up to no more than twice."""
        pieces, size = [self._buffer[keep:]], 0
        if len(pieces[0]) > LARGEST:
            raise Malformed(f"One record of the JSON has more than {LARGEST:,} bytes.")
        while size <= len(pieces[0]) and (chunk := next(self._chunks, None)) is not None:
            pieces.append(chunk)
            size += len(chunk)
        self._buffer, self._at = b"".join(pieces), self._at - keep
        return size > 0

    def _finish(self) -> None:
        rest = self._buffer[self._at :]
        while not rest.strip(_SPACE):
            chunk = next(self._chunks, None)
            if chunk is None:
                return
            rest = chunk
        raise Malformed("The JSON is followed by something else.")
