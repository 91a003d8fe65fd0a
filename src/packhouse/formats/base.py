"""What a package format answers. Everything above knows formats only through these names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from packhouse.core.blobs.hashing import Hashes

__all__ = [
    "Coordinate",
    "Facts",
    "Hashes",
    "Index",
    "IndexDocument",
    "LazyUpstream",
    "Listing",
    "Malformed",
    "Offer",
    "PartRow",
    "RecordColumns",
]


class Malformed(Exception):
    """The file is not a well-formed package; the message is written for the package's author."""


class Coordinate(msgspec.Struct, frozen=True):
    """Where a file stands in a channel: family, partition of the index, file name, and what it is a build of."""

    family: str
    partition: str  #: conda: the subdir
    filename: str
    name: str  #: normalised package name
    version: str | None
    build: str = ""
    build_number: int = 0

    @property
    def ckey(self) -> str:
        """The documented key of a file within (channel, family, name): `<subdir>/<filename>`."""
        return f"{self.partition}/{self.filename}"


class Facts(msgspec.Struct, omit_defaults=True):
    """What we read from the bytes of one file. Stored as JSON beside the content, once for all channels."""

    coordinate: Coordinate
    record: dict[str, Any]  #: the index record we would publish for it, without size and hashes
    license: str = ""
    license_family: str = ""
    summary: str = ""
    description: str = ""
    depends: list[str] = []
    about: dict[str, Any] = {}
    run_exports: dict[str, Any] = {}
    security: dict[str, Any] = {}  #: info/security.json, a statement of the builder
    install_code: list[str] = []  #: member names that run code at install or at interpreter start
    install_bodies: dict[str, str] = {}  #: the first 4 kB of those that are text, for people to read
    distributions: list[tuple[str, str, str]] = []  #: (ecosystem, name, version or "") installed by it, by path
    purls: list[str] = []  #: what the record says it is elsewhere
    sources: list[str] = []  #: purls of the addresses that its description and recipe name
    file_count: int = 0
    readme: str = ""
    sidecars: dict[str, str] = {}  #: what is served beside the file, by what its address ends in (PEP 658: `.metadata`)
    fault: str = ""  #: why clients could not read `record`, for the package's author; a mirror shows another one


class RecordColumns(msgspec.Struct, frozen=True):
    """What a record says, as columns. Hashes are lower-case hex or None; `timestamp_ms` is its source's claim."""

    name: str
    version: str
    build: str
    build_number: int
    size: int | None
    sha256: str | None
    md5: str | None
    license: str
    license_family: str
    timestamp_ms: int | None


class PartRow(Protocol):
    """One visible entry, as the part of its name is rendered from it."""

    @property
    def filename(self) -> str:
        """Its file name."""

    @property
    def json(self) -> bytes:
        """Its canonical record."""

    @property
    def packed(self) -> bytes:
        """The same as the own document of a name carries it; empty for a format that makes that from JSON."""

    @property
    def signatures(self) -> str | None:
        """Return a JSON object; a signed record is never touched."""

    @property
    def visible_at(self) -> int:
        """When it first became visible in this channel, in microseconds."""


class Index(NamedTuple):
    """What the documents of a partition are made from, at one revision; what a document does not need is empty."""

    partition: str  #: empty: the documents are about all partitions
    created_at: str  #: when that revision was committed, as ISO 8601 text
    names: Sequence[tuple[str, bytes]] = ()  #: by name: its SHA-256 as the own document of a name is stored
    fragments: Iterable[bytes] = ()  #: by name: its piece of the whole index; may be gone through again
    facts: Iterable[tuple[str, str]] = ()  #: (file name, facts as JSON) of the visible files we hold
    overviews: Sequence[tuple[str, bytes, str]] = ()  #: by name: its overview, and its partitions parted by spaces


class IndexDocument(NamedTuple):
    """A document that clients read of an index beside the own documents of its names. Pure, and the same every time."""

    plain: str | None  #: the file name under which clients find it; None: only compressed
    packed: str | None  #: the same for its one zstd frame
    media_type: str  #: of the plain one
    make: Callable[[Index], Iterable[bytes]]
    needs: frozenset[str]  #: the fields of `Index` it is made from, besides the first two
    small: bool = False  #: it is kept in memory

    @property
    def filenames(self) -> list[str]:
        """Return the names under which clients find it."""
        return [name for name in (self.plain, self.packed) if name is not None]


class Offer(NamedTuple):
    """One file of an upstream's listing."""

    filename: str
    url: str  #: where its bytes are, absolute, as often as not on another host; never shown to clients
    record: dict[str, Any]  #: what the upstream says of it


class Listing(msgspec.Struct):
    """What an upstream says of one name. `faults` are (file name, reason) of what was passed over."""

    name: str
    partition: str
    files: list[Offer]
    status: str = "active"  #: PEP 792; a page of a quarantined project lists no file
    unsupported: int = 0  #: files of a kind that we cannot publish
    faults: list[tuple[str, str]] = []


class LazyUpstream(NamedTuple):
    """How another server is asked for the listing of one name, when somebody wants that name. Pure: others fetch."""

    accept: str  #: the header to ask with
    limit: int  #: bytes of a listing, decompressed
    address: Callable[[str], str]  #: name → address of its listing, relative to the source
    read: Callable[[bytes, str, str, str], Listing]  #: body, `Content-Type`, address after redirects, name. Malformed
