"""What the bytes of one wheel say about it. Source: PEP 427 (wheels), core metadata, PEP 658 (its METADATA apart)."""

from __future__ import annotations

import re
from pathlib import Path

from packhouse.formats.archives.limits import DEFAULT, KIB, Limits
from packhouse.formats.archives.names import shown
from packhouse.formats.archives.source import Source, open_source
from packhouse.formats.archives.zipcontent import check_expansion, content
from packhouse.formats.archives.zipdir import Entry, read_directory, read_member
from packhouse.formats.base import Coordinate, Facts, Malformed
from packhouse.formats.python.coremetadata import (
    CoreMetadata,
    about_of,
    description_of,
    license_of,
    parse_metadata,
)
from packhouse.formats.python.filename import WheelFilename, normalise, parse_wheel_filename
from packhouse.formats.python.record import SIMPLE, facts_record
from packhouse.formats.python.recordfile import RecordFile, hasher, parse_record
from packhouse.formats.python.requirements import parse_specifiers, requirement_fault
from packhouse.formats.python.startcode import is_pth, runs_by_name
from packhouse.formats.python.versions import equal
from packhouse.formats.startcode import MAX_BODIES, body, pth_runs_code

#: what `Facts.sidecars` calls the METADATA, and clients add to the address of a wheel (PEP 658)
METADATA_SUFFIX = ".metadata"
_DIST_INFO = re.compile(r"([^/-]+)-([^/-]+)\.dist-info")
_MAX_REQUIREMENTS = 5000
_WHEEL_VERSION = re.compile(r"^Wheel-Version:[ \t]*(\d+)\.\d+[ \t]*$", re.MULTILINE | re.IGNORECASE)


class _Wheel:
    """An open wheel: its members by name, and the folder of its metadata."""

    def __init__(self, source: Source, parsed: WheelFilename, limits: Limits) -> None:
        self.source, self.limits = source, limits
        entries = read_directory(source, limits)
        check_expansion(source, entries, limits)
        self.files = {entry.name: entry for entry in entries if not entry.folder}
        _check_tree(entries)
        self.folder = _dist_info(self.files, parsed)

    def document(self, name: str, limit: int) -> bytes:
        """Return one of the files of `.dist-info`. Malformed when it is missing or too large."""
        entry = self.files.get(f"{self.folder}/{name}")
        if entry is None:
            raise Malformed(f"The wheel has no {self.folder}/{name}.")
        return read_member(self.source, entry, limit, self.limits)


def inspect(path: Path, filename: str, limits: Limits = DEFAULT) -> Facts:
    """Read the wheel at `path`, whose name is `filename`, every member of it once.

    Malformed, naming the fault, for a container that readers could understand differently, every limit passed, content
    that contradicts RECORD, and metadata that is missing, ill-formed or of another file name.
    """
    parsed = parse_wheel_filename(filename)
    with open_source(path, limits) as source:
        wheel = _Wheel(source, parsed, limits)
        raw = wheel.document("METADATA", limits.metadata)
        metadata = parse_metadata(raw)
        _check_metadata(metadata, parsed)
        _check_wheel(wheel.document("WHEEL", 64 * KIB))
        record = parse_record(f"{wheel.folder}/RECORD", wheel.document("RECORD", limits.paths), limits)
        install_code, bodies = _read_members(wheel, record)
    fault = record.fault(wheel.files) or _publishing_fault(metadata)
    return _facts(filename, parsed, metadata, raw, fault, len(wheel.files), install_code, bodies)


def _check_tree(entries: list[Entry]) -> None:
    """Malformed for a name that some system would unpack elsewhere, and for a file that is also a folder."""
    files = {entry.name for entry in entries if not entry.folder}
    for entry in entries:
        name = entry.name
        if "\\" in name or not name.isprintable():
            raise Malformed(f"The member name {shown(name)} holds a backslash or a control character.")
        if entry.folder and entry.size:
            raise Malformed(f"The member {shown(name)} is a folder with content.")
        if not name and not entry.folder:
            raise Malformed("The wheel has a member without a name.")
    folders: set[str] = set()
    for name in files:
        while (at := name.rfind("/")) > 0 and (name := name[:at]) not in folders:
            folders.add(name)
            if name in files:
                raise Malformed(f"The member {shown(name)} is also a folder of the wheel.")


def _dist_info(files: dict[str, Entry], parsed: WheelFilename) -> str:
    """Return the one `.dist-info` folder, which must bear the name and version of the file."""
    folders = sorted({head for name in files if (head := name.split("/", 1)[0]).lower().endswith(".dist-info")})
    if len(folders) != 1:
        found = "no" if not folders else f"{len(folders)} folders"
        raise Malformed(f"The wheel has {found} .dist-info at its root; it must be one.")
    match = _DIST_INFO.fullmatch(folders[0])
    if match is None or normalise(match[1]) != parsed.name or not equal(match[2], parsed.version):
        raise Malformed(
            f"The file is named as {parsed.name} {parsed.version}, but the wheel inside has {shown(folders[0])}."
        )
    return folders[0]


def _check_metadata(metadata: CoreMetadata, parsed: WheelFilename) -> None:
    name, version = metadata.one("name"), metadata.one("version")
    if not name or not version:
        raise Malformed("METADATA has no Name or no Version.")
    if normalise(name) != parsed.name or not equal(version, parsed.version):
        told = f"{parsed.name} {parsed.version}"
        raise Malformed(f"The file is named as {told}, but METADATA says {shown(name)} {shown(version)}.")
    if len(metadata.all("requires-dist")) > _MAX_REQUIREMENTS:
        raise Malformed(f"METADATA has more than {_MAX_REQUIREMENTS:,} requirements.")


def _check_wheel(data: bytes) -> None:
    """Malformed unless the WHEEL file says that it is of version 1, the only one that installers know."""
    found = _WHEEL_VERSION.findall(data.decode("utf-8", "replace").replace("\r\n", "\n"))
    if found != ["1"]:
        raise Malformed("WHEEL must say Wheel-Version 1, once; there is no other.")


def _publishing_fault(metadata: CoreMetadata) -> str:
    """Return why clients could not use a wheel whose metadata was published as it is, or ""."""
    wanted = metadata.one("requires-python")
    if wanted and parse_specifiers(wanted) is None:
        return f"METADATA has Requires-Python: {shown(wanted)}, which is no version specifier (PEP 440)."
    return requirement_fault(metadata.all("requires-dist"))


def _read_members(wheel: _Wheel, record: RecordFile) -> tuple[list[str], dict[str, str]]:
    """Check every member against its checksum and RECORD; return those that run by themselves, and their texts."""
    found: list[str] = []
    bodies: dict[str, str] = {}
    for name, entry in wheel.files.items():
        named, pth = runs_by_name(name), is_pth(name)
        text = _read_member(wheel, record, entry, keep=named or pth)
        if named or (pth and (entry.size > wheel.limits.script or pth_runs_code(text))):
            found.append(name)
            if len(bodies) < MAX_BODIES and (shown_body := body(text)):
                bodies[name] = shown_body
    return sorted(found), bodies


def _read_member(wheel: _Wheel, record: RecordFile, entry: Entry, *, keep: bool) -> bytes:
    """Return the content of a member if it is kept: at most `Limits.script` bytes of it."""
    algorithm = record.algorithm(entry.name)
    digest = hasher(algorithm) if algorithm else None
    kept: list[bytes] = []
    for piece in content(wheel.source, entry, wheel.limits):
        if digest is not None:
            digest.update(piece)
        if keep and entry.size <= wheel.limits.script:
            kept.append(piece)
    record.check(entry.name, entry.size, digest.digest() if digest is not None else b"")
    return b"".join(kept)


def _facts(
    filename: str,
    parsed: WheelFilename,
    metadata: CoreMetadata,
    raw: bytes,
    fault: str,
    count: int,
    install_code: list[str],
    bodies: dict[str, str],
) -> Facts:
    license, family = license_of(metadata)
    depends = metadata.all("requires-dist")
    coordinate = Coordinate("python", SIMPLE, filename, parsed.name, parsed.version, parsed.build, parsed.build_number)
    return Facts(
        coordinate=coordinate,
        record=facts_record(coordinate, metadata, raw, license, family),
        license=license,
        license_family=family,
        summary=metadata.one("summary"),
        description=description_of(metadata),
        depends=depends,
        about=about_of(metadata),
        install_code=install_code,
        install_bodies=bodies,
        sidecars={METADATA_SUFFIX: raw.decode()} if _is_utf8(raw) else {},
        file_count=count,
        fault=fault,
    )


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
