"""The two conda containers as one stream of members: `.conda` and `.tar.bz2`. Source: CEP 35."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packhouse.formats.archives.inflate import Inflated, bz2_decoder, zstd_decoder
from packhouse.formats.archives.limits import KIB, Limits
from packhouse.formats.archives.source import Slice, Source, open_source
from packhouse.formats.archives.tar import Member, Seen, TarReader
from packhouse.formats.archives.zipdir import CheckedSlice, Entry, read_directory, read_member
from packhouse.formats.base import Malformed
from packhouse.formats.conda.filename import CondaFilename
from packhouse.formats.strictjson import load_object

_METADATA = "metadata.json"


def walk(path: Path, filename: CondaFilename, seen: Seen) -> Iterator[tuple[Member, TarReader]]:
    """Yield every member of the package in the order of the file, with the reader that can give its content.

    All of the file is read and checked by the time the iterator ends. Malformed for any fault of the container.
    """
    with open_source(path, seen.limits) as source:
        if filename.extension == "conda":
            yield from _walk_conda(source, filename, seen)
        else:
            yield from _walk_bz2(source, seen)
    seen.links.check_all()


def _walk_bz2(source: Source, seen: Seen) -> Iterator[tuple[Member, TarReader]]:
    if source.at(0, 3) != b"BZh":
        raise Malformed("The file is named .tar.bz2 but is not compressed with bzip2.")
    stream = Inflated(Slice(source, 0, source.size), bz2_decoder, "The archive", seen.limits, several=True)
    reader = TarReader(stream, seen, "The archive")
    for member in reader:
        yield member, reader


def _walk_conda(source: Source, filename: CondaFilename, seen: Seen) -> Iterator[tuple[Member, TarReader]]:
    info, pkg = _parts(source, filename, seen.limits)
    for entry, what, is_info in ((info, "The info part", True), (pkg, "The pkg part", False)):
        part = CheckedSlice(source, entry)
        reader = TarReader(Inflated(part, zstd_decoder, what, seen.limits), seen, what)
        for member in reader:
            if member.name and (member.name == "info" or member.name.startswith("info/")) != is_info:
                where = "outside info/" if is_info else "under info/"
                raise Malformed(f"{what} has the member {member.name!r}, which lies {where}.")
            yield member, reader
        part.verify()


def _parts(source: Source, filename: CondaFilename, limits: Limits) -> tuple[Entry, Entry]:
    """Return the info and the pkg archive of the outer zip, which must hold them and metadata.json, no more."""
    entries = {entry.name: entry for entry in read_directory(source, limits, stored=True)}
    wanted = [f"info-{filename.stem}.tar.zst", f"pkg-{filename.stem}.tar.zst", _METADATA]
    for name in wanted:
        if name not in entries:
            inside = (found[5:-8] for found in entries if found.startswith("info-") and found.endswith(".tar.zst"))
            if name != _METADATA and (other := next(inside, filename.stem)) != filename.stem:
                raise Malformed(f"The file is named as the package {filename.stem}, but is {other[:120]!r}.")
            raise Malformed(f"The package lacks the inner file {name!r}.")
    for name in entries:
        if name not in wanted:
            raise Malformed(f"The package has the inner file {name[:120]!r}, which does not belong there.")
    metadata = load_object(read_member(source, entries[_METADATA], 64 * KIB, limits), _METADATA)
    if metadata.get("conda_pkg_format_version") != 2:
        raise Malformed("metadata.json must say conda_pkg_format_version 2, the only version there is.")
    return entries[wanted[0]], entries[wanted[1]]
