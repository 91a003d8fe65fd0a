"""Every limit an archive must keep, in one readable place. Units are in the names' comments."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What we are willing to read of one untrusted file. All sizes are bytes."""

    #: the archive file itself
    file_size: int = 16 * GIB
    #: what one compressed stream may expand to, whatever its ratio
    expanded: int = 64 * GIB
    #: expansion below this is never suspicious; above it, at most `ratio` times the compressed size
    ratio_floor: int = 64 * MIB
    ratio: int = 50
    #: members of one package, all its inner archives together
    members: int = 500_000
    #: log2 of the largest zstd window: 2**27 = 128 MiB, what the highest regular level needs
    zstd_window_log: int = 27
    #: one member name or link target, encoded, and how many folders deep it may lie
    name_length: int = 1024
    name_depth: int = 64
    #: one pax or GNU long-name header
    tar_extension: int = 64 * KIB
    #: links of one package: each is remembered to see that no path runs through it
    links: int = 100_000
    #: a metadata member that is read whole
    metadata: int = 1 * MIB
    #: info/paths.json, which grows with the number of files
    paths: int = 64 * MIB
    #: a file whose text decides whether it runs code (`.pth`)
    script: int = 1 * MIB
    #: nesting of a JSON document, and its values: a few compressed bytes can stand for millions
    json_depth: int = 32
    json_values: int = 50_000
    #: one repodata record as canonical JSON; the largest of conda-forge has 2 kB
    record: int = 128 * KIB


DEFAULT = Limits()
