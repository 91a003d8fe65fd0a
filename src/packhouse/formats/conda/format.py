"""What the rest of the house asks the conda format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from packhouse.formats.base import Coordinate, Facts, Hashes, IndexDocument, LazyUpstream, PartRow, RecordColumns
from packhouse.formats.conda.channeldata import overview
from packhouse.formats.conda.documents import DOCUMENTS, ROOT_DOCUMENTS, SEPARATOR, repodata
from packhouse.formats.conda.filename import is_conda_filename, is_subdir, parse_filename
from packhouse.formats.conda.inspect import inspect
from packhouse.formats.conda.listed import check_listed
from packhouse.formats.conda.record import canonical_json, columns, make_record, to_msgpack
from packhouse.formats.conda.repodata import render_fragments
from packhouse.formats.conda.shards import render_shard, shard_filenames
from packhouse.formats.conda.solver_types import Spec, VersionKey, compile_spec, dependency_name, version_key
from packhouse.formats.conda.splice import indexed_at
from packhouse.formats.conda.upstream import separate_url

_OF_LICENSES = ("include_licenses", "exclude_licenses")
_OF_SPECS = ("only_specs", "exclude_specs", "include_specs")
FILTERS = frozenset(("subdirs", *_OF_LICENSES, *_OF_SPECS, "date_from", "date_to", "only_signed"))


class CondaFormat:
    """`.conda` and `.tar.bz2` packages in subdirs."""

    family = "conda"
    documents: Sequence[IndexDocument] = DOCUMENTS
    root_documents: Sequence[IndexDocument] = ROOT_DOCUMENTS
    forms: Mapping[str, Callable[[bytes], bytes]] = {}  # shards are sent as they are stored
    born_with = frozenset({"noarch"})
    upstream: LazyUpstream | None = None  # its index comes whole
    mirror_filters = FILTERS

    def identify(self, filename: str, declared: str | None = None, peek: bytes = b"") -> bool:
        """Say whether a file is a conda package: declared so, or of that extension and magic bytes."""
        if declared is not None:
            return declared in ("conda", "conda1")
        return is_conda_filename(filename) and (not peek or peek.startswith((b"PK\3\4", b"BZh")))

    def coordinate(self, partition: str, filename: str) -> Coordinate:
        """Return the coordinate that a subdir and a file name say. Malformed when the name is none."""
        parsed = parse_filename(filename)
        return Coordinate(self.family, partition, filename, parsed.name, parsed.version, parsed.build)

    def inspect(self, path: Path, filename: str) -> Facts:
        """Return what the bytes say. Malformed with the reason they are refused."""
        return inspect(path, filename)

    def order(self, version: str) -> VersionKey:
        """Return a sort key: newer is greater."""
        return version_key(version)

    def matcher(self, spec: str) -> Spec:
        """Compile a match spec. PackhouseError("bad_request") when it is none."""
        return compile_spec(spec)

    def relations(self, facts: Facts) -> list[str]:
        """Return the names of the packages a file depends on, virtual ones too, each once."""
        return sorted({name for dep in facts.depends if (name := dependency_name(dep))})

    def is_legacy(self, filename: str) -> bool:
        """Say whether a file is a `.tar.bz2`."""
        return filename.endswith(".tar.bz2")

    def depends_of(self, record: dict[str, Any]) -> list[str]:
        """Return the match specs of what a record depends on."""
        listed = record.get("depends")
        return [spec for spec in listed if isinstance(spec, str)] if isinstance(listed, list) else []

    def python_of(self, record: dict[str, Any]) -> str:
        """Return the version part of its dependency on python, or of the one on python_abi."""
        for name in ("python", "python_abi"):
            for spec in self.depends_of(record):
                head, _, rest = spec.strip().partition(" ")
                if head == name and rest:
                    return rest.split()[0]
        return ""

    def make_record(self, facts: Facts, hashes: Hashes) -> dict[str, Any]:
        """Return the record to publish for an uploaded file."""
        return make_record(facts, hashes)

    def columns(self, filename: str, record: dict[str, Any] | bytes | msgspec.Raw) -> RecordColumns:
        """Return the columns of a record. Malformed when clients could not read it."""
        return columns(filename, record)

    def encode(self, record: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return a record as canonical JSON and as a shard carries it."""
        return canonical_json(record), to_msgpack(record)

    def partitions(self, at: Coordinate) -> list[tuple[str, str]]:
        """Return the (partition, name) of the index that a change of this file touches."""
        return [(at.partition, at.name)]

    def overview(
        self,
        version: str,
        license: str,
        timestamp: int,
        partitions: list[str],
        held: Facts | None,
        exports: Mapping[str, dict[str, Any]],
    ) -> bytes:
        """Return the object of one name in channeldata.json. `exports` are the run exports of each version held."""
        return overview(version, license, timestamp, partitions, held, exports)

    def render_part(self, rows: Sequence[PartRow]) -> tuple[bytes, bytes]:
        """Return the shard of one name and its fragment of repodata.json, both uncompressed.

        The time a file became visible is added to its record (CEP 47), but never to a signed one.
        """
        extras = [None if row.signatures else indexed_at(row.visible_at // 1000) for row in rows]
        shard = render_shard((row.filename, row.packed, extra) for row, extra in zip(rows, extras, strict=True))
        packages = render_fragments((row.filename, row.json, extra) for row, extra in zip(rows, extras, strict=True))
        signed = [(row.filename, row.signatures.encode(), None) for row in rows if row.signatures]
        signatures = b",".join(piece for piece in render_fragments(signed) if piece)
        return shard, SEPARATOR.join((*packages, signatures))

    def assemble(self, partition: str, fragments: Iterable[bytes]) -> Iterator[bytes]:
        """Yield repodata.json of a subdir in pieces. `fragments`, those of `render_part`, must start anew each time."""
        return repodata(partition, fragments)

    def filenames(self, document: bytes) -> list[str]:
        """Return the files that a shard shows. Malformed for what is none."""
        return shard_filenames(document)

    def is_partition(self, text: str) -> bool:
        """Say whether `text` may name a subdir."""
        return is_subdir(text)

    def separate(self, raw: bytes | msgspec.Raw, *, signed: bool) -> tuple[dict[str, Any], str | None]:
        """Return a record of an upstream without addresses, and its `url` apart. Malformed as `separate_url`."""
        return separate_url(raw, signed=signed)

    def normalise(self, name: str) -> str:
        """Return a package's name in lower case, as all are."""
        return name.lower()

    def check_listed(self, filename: str, name: str, version: str, build: str) -> None:
        """Malformed for a record that stands under the name of another file, or of one that no channel can have."""
        check_listed(filename, name, version, build)

    def sidecars(self, record: dict[str, Any]) -> dict[str, str]:
        """Nothing lies beside a conda package."""
        return {}
