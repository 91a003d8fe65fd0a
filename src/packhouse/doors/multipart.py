"""Reads `multipart/form-data` as it arrives: the file goes straight to the blob store's writer, fields stay small.

Memory is bounded by one chunk of the connection and by the limits below, whatever is sent. Parts may come in any order
(RFC 7578); the file part is told by its name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from packhouse.core.blobs.spool import Writer
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: over all fields of a form together: names and values in bytes, and how many there may be
FIELD_BYTES = 1 << 20
MOST_FIELDS = 1000
#: of the headers of one part
HEADER_BYTES = 16 * 1024


class Form(msgspec.Struct):
    """What came beside the file."""

    fields: dict[str, list[str]] = {}
    filename: str | None = None  #: the last segment of what the client called the file
    has_file: bool = False

    def one(self, name: str) -> str | None:
        """Return the value of a field that may be sent once. Raises PackhouseError("bad_request") when it is not."""
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise PackhouseError("bad_request", f"The field `{name}` was sent {len(values)} times.", "Send it once.")
        return values[0] if values else None


async def receive_form(
    chunks: AsyncIterator[bytes], content_type: str, writer: Writer, *, limit: int, file_field: str = "content"
) -> Form:
    """Read a whole form; the bytes of the part `file_field` end up in `writer`.

    `limit` is the largest file in bytes. Raises PackhouseError: `bad_request` for what is no well-formed form, for too
    many or too large fields and for two files; `too_large`; `storage_full`.
    """
    reader = _Reader(boundary_of(content_type), file_field)
    try:
        async for chunk in chunks:
            reader.parser.write(chunk)
            for piece in reader.take():
                if writer.size + len(piece) > limit:
                    raise too_large(limit)
                await writer.write(piece)
        reader.parser.finalize()
    except FormParserError as fault:
        raise PackhouseError("bad_request", f"The form cannot be read: {fault}.", "Send it again.") from None
    if not reader.complete:
        raise PackhouseError("bad_request", "The form ends in the middle.", "Send it again.")
    return reader.form


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names. Raises PackhouseError("bad_request")."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise PackhouseError(
            "bad_request", "The body is not `multipart/form-data` with a boundary.", "Send the file as a form."
        )
    return boundary


def too_large(limit: int) -> PackhouseError:
    """Return the refusal of a file beyond the configured size."""
    return PackhouseError(
        "too_large", f"The upload is larger than the limit of {limit} bytes.", "Ask the administrator to raise it."
    )


def checked_filename(form: Form, size: int) -> str:
    """Return the file name of an upload if its form is complete and true to itself; `size` bytes arrived.

    Raises PackhouseError: `bad_request`, and `unsupported_type` for a file that is not of the type the form says.
    """
    if not form.has_file or not form.filename:
        raise PackhouseError("bad_request", "The form has no file `content` with a name.", "Send the file.")
    said = form.one("size")
    if said is not None and said != str(size):
        raise PackhouseError(
            "bad_request", f"`size` says {said[:20]!r}, but {size} bytes arrived.", "Send the whole file."
        )
    declared = form.one("filetype")
    if registry.identify(form.filename, declared) is not registry.identify(form.filename):
        raise PackhouseError(
            "unsupported_type",
            f"{form.filename[:200]!r} is not of the type {str(declared)[:40]!r}.",
            "Correct one of them.",
        )
    return form.filename


class _Reader:
    """Collects what the push parser calls back; file bytes are handed out by `take` after each chunk."""

    def __init__(self, boundary: bytes, file_field: str) -> None:
        self.form = Form()
        self.complete = False
        self._file_field = file_field
        self._pieces: list[memoryview] = []
        self._left, self._fields = FIELD_BYTES, MOST_FIELDS
        self._disposition, self._header, self._value = bytearray(), bytearray(), bytearray()
        self._name: str | None = None  # of the field being read; None: the file
        self._text = bytearray()
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }
        self.parser = MultipartParser(boundary, callbacks, max_header_size=HEADER_BYTES)

    def take(self) -> list[memoryview]:
        """Return the file's bytes of the last chunk."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin(self) -> None:
        self._disposition, self._header, self._value = bytearray(), bytearray(), bytearray()
        self._text = bytearray()
        self._fields -= 1
        if self._fields < 0:
            raise PackhouseError("bad_request", f"The form has more than {MOST_FIELDS} parts.", "Send fewer.")

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(bytes(self._disposition).decode("latin-1"))
        if kind != b"form-data" or b"name" not in options:
            raise PackhouseError("bad_request", "A part of the form has no name.", "Name every part.")
        self._name = _text(options[b"name"], "name of a part")
        if self._name != self._file_field:
            if b"filename" in options:
                said = f"The file came as the field `{self._name[:80]}`."
                raise PackhouseError("bad_request", said, f"Name the field `{self._file_field}`.")
            self._spend(len(self._name))
            return
        if self.form.has_file:
            raise PackhouseError("bad_request", f"The form has two parts `{self._file_field}`.", "Send one file.")
        self.form.has_file, self._name = True, None
        if b"filename" in options:
            name = _text(options[b"filename"], "file name")
            self.form.filename = name.replace("\\", "/").rpartition("/")[2]

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            self._pieces.append(memoryview(data)[start:end])
            return
        self._spend(end - start)
        self._text += data[start:end]

    def _end(self) -> None:
        if self._name is not None:
            value = _text(bytes(self._text), f"field `{self._name[:80]}`")
            self.form.fields.setdefault(self._name, []).append(value)

    def _finish(self) -> None:
        self.complete = True

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise PackhouseError(
                "bad_request", f"The fields of the form are larger than {FIELD_BYTES} bytes.", "Send less."
            )


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PackhouseError("bad_request", f"The {what} is not UTF-8.", "Encode it as UTF-8.") from None
