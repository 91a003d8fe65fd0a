"""What the bytes of one conda package say about it. Source: CEP 34 (contents), CEP 26 (names)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from packhouse.formats.archives.limits import DEFAULT, KIB, Limits
from packhouse.formats.archives.names import shown
from packhouse.formats.archives.tar import Member, Seen, TarReader
from packhouse.formats.base import Coordinate, Facts, Malformed
from packhouse.formats.conda.container import walk
from packhouse.formats.conda.filename import CondaFilename, parse_filename
from packhouse.formats.conda.indexjson import index_record, publishing_fault
from packhouse.formats.conda.installcode import is_pth, runs_by_name
from packhouse.formats.conda.origin import MAX_DISTRIBUTIONS, MAX_RECIPE, RECIPES, declared, distribution, sources
from packhouse.formats.conda.record import MAX_TEXT
from packhouse.formats.licenses import license_family
from packhouse.formats.startcode import MAX_BODIES, body, pth_runs_code
from packhouse.formats.strictjson import load_object

_METADATA = frozenset(f"info/{name}.json" for name in ("index", "about", "run_exports", "security"))
#: characters of a key of info/about.json, all its texts together: all but the description go into lists
_ABOUT = dict.fromkeys(("license", "license_family", "summary", "home", "dev_url", "doc_url", "source_url"), MAX_TEXT)
_ABOUT |= {"description": 16 * MAX_TEXT}
_README = re.compile(r"info/README(\.md|\.rst|\.txt)?", re.IGNORECASE)
_README_SIZE = 256 * KIB


class _Path(msgspec.Struct):
    path: str = msgspec.field(name="_path")


class _Paths(msgspec.Struct):
    paths: list[_Path]


class _Gathered:
    """What one pass over the members collects."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.documents: dict[str, bytes] = {}
        self.install_code: list[str] = []
        self.install_bodies: dict[str, str] = {}
        self.distributions: set[tuple[str, str, str]] = set()
        self.recipe = ""
        self.paths: list[str] | None = None
        self.readme = ""
        self.files = 0

    def take(self, member: Member, reader: TarReader) -> None:
        """Look at one member and read those that matter."""
        name = member.name
        if member.kind == "folder":
            return
        if name.startswith("info/"):
            self._take_info(member, reader)
            return
        self.files += 1
        if len(self.distributions) < MAX_DISTRIBUTIONS and (known := distribution(name)):
            self.distributions.add(known)
        self._take_code(member, reader)

    def _take_code(self, member: Member, reader: TarReader) -> None:
        """Note a member that runs by itself, and keep its text; one that cannot be judged runs."""
        named = runs_by_name(member.name)
        if not named and not is_pth(member.name):
            return
        readable = member.kind == "file" and member.size <= self.limits.script
        text = reader.content(self.limits.script) if readable else b""
        if named or not readable or pth_runs_code(text):
            self.install_code.append(member.name)
            if len(self.install_bodies) < MAX_BODIES and (shown_body := body(text)):
                self.install_bodies[member.name] = shown_body

    def _take_info(self, member: Member, reader: TarReader) -> None:
        name = member.name
        wanted = name in _METADATA or name == "info/paths.json"
        if wanted and member.kind != "file":
            raise Malformed(f"{name} is a link; it must be a file.")
        if name in _METADATA:
            self.documents[name] = reader.content(self.limits.metadata)
        elif name == "info/paths.json":
            self.paths = _read_paths(reader.content(self.limits.paths))
        elif member.kind == "file" and member.size <= _README_SIZE and not self.readme and _README.fullmatch(name):
            self.readme = reader.content(_README_SIZE).decode("utf-8", "replace")
        elif member.kind == "file" and member.size <= MAX_RECIPE and name in RECIPES:
            self.recipe = reader.content(MAX_RECIPE).decode("utf-8", "replace")

    def document(self, name: str) -> dict[str, Any]:
        """Return a metadata document as an object; empty when the package has none."""
        data = self.documents.get(name)
        return load_object(data, name) if data is not None else {}


def inspect(path: Path, filename: str, limits: Limits = DEFAULT) -> Facts:
    """Read the package at `path`, whose name is `filename`, in one bounded pass.

    Malformed, naming the fault, for every container that readers could understand differently, every limit passed,
    and every package whose metadata is missing, ill-formed or of another file name.
    """
    parsed = parse_filename(filename)
    seen = Seen(limits)
    found = _Gathered(limits)
    for member, reader in walk(path, parsed, seen):
        found.take(member, reader)
    if "info/index.json" not in found.documents:
        raise Malformed("The package has no info/index.json.")
    for name in found.paths or ():
        if not seen.holds(name):
            raise Malformed(f"info/paths.json lists {shown(name)}, which is not in the package.")
    return _facts(found, parsed, filename)


def _read_paths(data: bytes) -> list[str]:
    try:
        listed = msgspec.json.decode(data, type=_Paths)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"info/paths.json is ill-formed: {error}.") from error
    return [item.path for item in listed.paths]


def _run_exports(found: _Gathered) -> dict[str, Any]:
    """Return run_exports as an object; a plain list means weak ones (CEP 34)."""
    name = "info/run_exports.json"
    data = found.documents.get(name, b"").lstrip()
    listed = data.startswith(b"[")
    exports = load_object(b'{"weak":' + data + b"}", name) if listed else found.document(name)
    for key, specs in exports.items():
        if key != "schema_version" and not (isinstance(specs, list) and all(isinstance(s, str) for s in specs)):
            raise Malformed(f"{name} must map {key!r} to a list of strings.")
    return exports


def _facts(found: _Gathered, parsed: CondaFilename, filename: str) -> Facts:
    record = index_record(found.document("info/index.json"), parsed)
    about = found.document("info/about.json")
    _check_about(about)
    license = _text(record, "license") or _text(about, "license")
    family = _text(record, "license_family") or _text(about, "license_family")
    return Facts(
        coordinate=Coordinate(
            "conda", record["subdir"], filename, parsed.name, parsed.version, parsed.build, record["build_number"]
        ),
        record=record,
        license=license,
        license_family=license_family(family, license),
        summary=_text(about, "summary"),
        description=_text(about, "description"),
        depends=record["depends"],
        about=about,
        run_exports=_run_exports(found),
        security=found.document("info/security.json"),
        install_code=sorted(found.install_code),
        install_bodies=found.install_bodies,
        distributions=sorted(found.distributions),
        purls=declared(record),
        sources=sources(about, found.recipe),
        file_count=found.files,
        readme=found.readme,
        fault=publishing_fault(record),
    )


def _check_about(about: dict[str, Any]) -> None:
    for key, most in _ABOUT.items():
        value = about.get(key)
        length = len(value) if isinstance(value, str) else len(str(value)) if isinstance(value, list) else 0
        if length > most:
            raise Malformed(f"info/about.json has a {key} of {length:,} characters; at most {most:,} are taken.")


def _text(source: dict[str, Any], key: str) -> str:
    value = source.get(key)
    return value if isinstance(value, str) else ""
