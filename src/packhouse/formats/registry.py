"""The formats we know: one line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.formats.base import Coordinate, Facts, Hashes, IndexDocument, LazyUpstream, PartRow, RecordColumns
from packhouse.formats.conda.format import CondaFormat
from packhouse.formats.python.format import PythonFormat


class Format(Protocol):
    """What every format answers. `inspect` reads a file, all else is pure."""

    family: str
    documents: Sequence[IndexDocument]  #: those of a partition
    root_documents: Sequence[IndexDocument]  #: those about all partitions
    forms: Mapping[str, Callable[[bytes], bytes]]  #: media type → how the own document of a name is shown as that
    upstream: LazyUpstream | None  #: how mirrors ask for one name at a time; None: the index of an upstream comes whole
    mirror_filters: frozenset[str]  #: the filters of a mirror that make sense
    born_with: frozenset[str]  #: the partitions whose documents are there before any file

    def identify(self, filename: str, declared: str | None = None, peek: bytes = b"") -> bool:
        """Say whether a file is of this format, by what the client declared, its name and its first bytes."""

    def coordinate(self, partition: str, filename: str) -> Coordinate:
        """Return the coordinate that a partition and a file name say. Malformed when the name is none."""

    def inspect(self, path: Path, filename: str) -> Facts:
        """Return what the bytes say. Malformed with the reason they are refused."""

    def order(self, version: str) -> Any:
        """Return a sort key: newer is greater."""

    def matcher(self, spec: str) -> Any:
        """Compile what selects files of this format. PackhouseError("bad_request") when it cannot be understood."""

    def relations(self, facts: Facts) -> list[str]:
        """Return the names of the packages a file depends on."""

    def is_legacy(self, filename: str) -> bool:
        """Say whether a file is in an archive form that a newer one of the same family replaces."""

    def depends_of(self, record: dict[str, Any]) -> list[str]:
        """Return the specs of what a record depends on; what cannot be read is passed over."""

    def python_of(self, record: dict[str, Any]) -> str:
        """Return the condition a record puts on Python's version; empty: none."""

    def make_record(self, facts: Facts, hashes: Hashes) -> dict[str, Any]:
        """Return the record to publish for an uploaded file: what it says of itself, its size and its hashes."""

    def columns(self, filename: str, record: dict[str, Any] | bytes | msgspec.Raw) -> RecordColumns:
        """Return the columns of a record, also given as JSON. Malformed when clients could not read it."""

    def separate(self, raw: bytes | msgspec.Raw, *, signed: bool) -> tuple[dict[str, Any], str | None]:
        """Return a record as an upstream's listing gives it, and where that says the bytes are, if it does.

        Malformed for what is no record, and for a `signed` one that cannot be passed on as it is.
        """

    def normalise(self, name: str) -> str:
        """Return a package's name as it is compared."""

    def check_listed(self, filename: str, name: str, version: str, build: str) -> None:
        """Malformed for a record that an upstream lists under the name of another file."""

    def sidecars(self, record: dict[str, Any]) -> dict[str, str]:
        """Return what a record promises beside its file: by what its address ends in, the SHA-256 of its bytes."""

    def encode(self, record: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return a record as canonical JSON and as `PartRow.packed`. Malformed for what cannot be written so."""

    def partitions(self, at: Coordinate) -> list[tuple[str, str]]:
        """Return the (partition, name) of the index that a change of this file touches."""

    def render_part(self, rows: Sequence[PartRow]) -> tuple[bytes, bytes]:
        """Return the two uncompressed encodings of one name: its own document, and its piece of the whole index."""

    def assemble(self, partition: str, fragments: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the whole index of a partition, from the pieces that `render_part` made."""

    def filenames(self, document: bytes) -> list[str]:
        """Return the files that the own document of a name shows. Malformed for what is none."""

    def is_partition(self, text: str) -> bool:
        """Say whether a partition of this format may be called so; no two formats share one."""

    def overview(
        self,
        version: str,
        license: str,
        timestamp: int,
        partitions: list[str],
        held: Facts | None,
        exports: Mapping[str, dict[str, Any]],
    ) -> bytes:
        """Return what the channel-wide document says of one name: of its newest file, and of the newest we hold.

        `exports` maps each version we hold to the run exports read from it.
        """


FORMATS: dict[str, Format] = {
    "conda": CondaFormat(),
    "python": PythonFormat(),
}


def get(family: str) -> Format:
    """Return the format of a family. PackhouseError("unsupported_type") when there is none."""
    try:
        return FORMATS[family]
    except KeyError:
        raise PackhouseError(
            "unsupported_type", f"There is no package family {family!r}.", f"Known are: {', '.join(FORMATS)}."
        ) from None


def of_partition(partition: str) -> Format:
    """Return the format to which a partition belongs. PackhouseError("unsupported_type") when there is none."""
    for format in FORMATS.values():
        if format.is_partition(partition):
            return format
    raise PackhouseError("unsupported_type", f"No package family has a partition {partition[:80]!r}.")


def family_of(ckey: str) -> str:
    """Return the family of a file by its ckey or, where that is but one, its file name; conda's when neither tells."""
    partition, _, filename = ckey.rpartition("/")
    for format in FORMATS.values():
        if format.is_partition(partition) if partition else format.identify(filename):
            return format.family
    return "conda"


def identify(filename: str, declared: str | None = None, peek: bytes = b"") -> Format:
    """Return the format of a file by what the client declared, else by its name and first bytes.

    PackhouseError("unsupported_type") when no format takes it.
    """
    for format in FORMATS.values():
        if format.identify(filename, declared, peek):
            return format
    raise PackhouseError(
        "unsupported_type",
        f"The file {filename!r} is of no type this server takes.",
        "Name the type when uploading, or check the file name.",
    )
