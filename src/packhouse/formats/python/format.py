"""What the rest of the house asks the Python format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from packhouse.formats.base import (
    Coordinate,
    Facts,
    Hashes,
    IndexDocument,
    LazyUpstream,
    Malformed,
    PartRow,
    RecordColumns,
)
from packhouse.formats.python.documents import DOCUMENTS
from packhouse.formats.python.filename import is_sdist_filename, is_wheel_filename, normalise, parse_wheel_filename
from packhouse.formats.python.inspect import METADATA_SUFFIX, inspect
from packhouse.formats.python.matcher import Spec, compile_spec
from packhouse.formats.python.pages import JSON_TYPE, assemble_list, page_filenames, project_html, render_project
from packhouse.formats.python.record import SIMPLE, canonical_json, columns, decode_record, digest_of, make_record
from packhouse.formats.python.requirements import required_names, required_specs
from packhouse.formats.python.upstream import UPSTREAM
from packhouse.formats.python.versions import VersionKey, order

#: what clients declare: twine and uv, `conda repo upload`, the family itself
_DECLARED = frozenset(("bdist_wheel", "sdist", "python"))


#: a page says nothing of licences and signatures, and all platforms are on it
FILTERS = frozenset(("projects", "only_specs", "exclude_specs", "include_specs", "date_from", "date_to"))


class PythonFormat:
    """Wheels in a simple index. Source distributions are recognised, and refused with what to do instead."""

    family = "python"
    documents: Sequence[IndexDocument] = DOCUMENTS
    root_documents: Sequence[IndexDocument] = ()
    forms: Mapping[str, Callable[[bytes], bytes]] = {JSON_TYPE: bytes, "text/html": project_html}
    born_with = frozenset({SIMPLE})
    upstream: LazyUpstream | None = UPSTREAM
    mirror_filters = FILTERS

    def identify(self, filename: str, declared: str | None = None, peek: bytes = b"") -> bool:
        """Say whether a file is a Python distribution: declared so, or by its name and magic bytes."""
        if declared is not None:
            return declared in _DECLARED
        if is_wheel_filename(filename):
            return not peek or peek.startswith(b"PK\3\4")
        return is_sdist_filename(filename) and (not peek or peek.startswith((b"\x1f\x8b", b"PK\3\4")))

    def coordinate(self, partition: str, filename: str) -> Coordinate:
        """Return the coordinate that a file name says. Malformed when it is not that of a wheel."""
        name, version, build, number = parse_wheel_filename(filename)
        return Coordinate(self.family, partition, filename, name, version, build, number)

    def inspect(self, path: Path, filename: str) -> Facts:
        """Return what the bytes say. Malformed with the reason they are refused."""
        return inspect(path, filename)

    def order(self, version: str) -> VersionKey:
        """Return a sort key: newer is greater (PEP 440)."""
        return order(version)

    def matcher(self, spec: str) -> Spec:
        """Compile a specifier. PackhouseError("bad_request") when it is none."""
        return compile_spec(spec)

    def relations(self, facts: Facts) -> list[str]:
        """Return the names of the projects a file depends on, each once; without those that only an extra needs."""
        return required_names(facts.depends)

    def is_legacy(self, filename: str) -> bool:
        """No form of distribution replaces another."""
        return False

    def depends_of(self, record: dict[str, Any]) -> list[str]:
        """Return the specifiers of what a record depends on, without what only an extra needs."""
        listed = record.get("depends")
        return required_specs(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else []

    def python_of(self, record: dict[str, Any]) -> str:
        """Return its Requires-Python."""
        asked = record.get("requires-python")
        return asked if isinstance(asked, str) else ""

    def make_record(self, facts: Facts, hashes: Hashes) -> dict[str, Any]:
        """Return the record to publish for an uploaded file."""
        return make_record(facts, hashes)

    def columns(self, filename: str, record: dict[str, Any] | bytes | msgspec.Raw) -> RecordColumns:
        """Return the columns of a record. Malformed when clients could not read it."""
        return columns(filename, record)

    def encode(self, record: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return a record as canonical JSON; pages are made from that alone."""
        return canonical_json(record), b""

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
        """Return an empty object: a Python index has no document that describes all its projects."""
        return b"{}"

    def render_part(self, rows: Sequence[PartRow]) -> tuple[bytes, bytes]:
        """Return the JSON page of one project (PEP 691), from which its HTML is made, and its object in the list."""
        return render_project(rows, order)

    def assemble(self, partition: str, fragments: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the JSON list of projects in pieces, from the objects that `render_part` made."""
        return assemble_list(fragments)

    def filenames(self, document: bytes) -> list[str]:
        """Return the files that a JSON page of ours shows. Malformed for what is none."""
        return page_filenames(document)

    def is_partition(self, text: str) -> bool:
        """Say whether `text` is the one partition there is."""
        return text == SIMPLE

    def separate(self, raw: bytes | msgspec.Raw, *, signed: bool) -> tuple[dict[str, Any], str | None]:
        """Return a record of an upstream, given with its `url` as one JSON object, and that address apart."""
        record = decode_record(raw)
        url = record.pop("url", None)
        return record, url if isinstance(url, str) else None

    def normalise(self, name: str) -> str:
        """Return a project's name as indexes compare it (PEP 503)."""
        return normalise(name)

    def check_listed(self, filename: str, name: str, version: str, build: str) -> None:
        """Malformed for a record that stands under the name of another file."""
        at = self.coordinate(SIMPLE, filename)
        if (at.name, at.version, at.build) != (name, version, build):
            raise Malformed(f"The record of {filename[:200]} is one of {name} {version}.")

    def sidecars(self, record: dict[str, Any]) -> dict[str, str]:
        """Return the metadata that the page promises apart (PEP 658), with its SHA-256."""
        promised = record.get("core-metadata")
        digest = digest_of(promised, "sha256") if isinstance(promised, dict) else None
        return {METADATA_SUFFIX: digest} if digest else {}
