"""repodata.json and the documents beside it, assembled from fragments of each name.

Source: CEP 36 (repodata), CEP 12 (run_exports.json), CEP 15 (base_url); the signatures key is Anaconda's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.formats.conda.record import RecordColumns
from packhouse.formats.conda.solver_types import Spec, compile_spec, dependency_name, newest_key
from packhouse.formats.conda.splice import Extra, splice_json

#: filename, canonical JSON of the record, and what the channel adds to it (None: nothing, as for a signed record)
JsonEntry = tuple[str, bytes, Extra | None]
#: `"file":{record},…` without braces: of .tar.bz2 files, of .conda files
Fragment = tuple[bytes, bytes]

_json = msgspec.json.Encoder(order="deterministic")
_PIECE = 1 << 18


def render_fragments(entries: Iterable[JsonEntry]) -> Fragment:
    """Return the members that one name adds to `packages` and to `packages.conda`, by file name, without braces."""
    bz2: list[bytes] = []
    conda: list[bytes] = []
    encode = _json.encode
    for filename, record, extra in sorted(entries, key=itemgetter(0)):
        pieces = conda if filename.endswith(".conda") else bz2
        pieces += (b"," if pieces else b"", encode(filename), b":", splice_json(record, extra) if extra else record)
    return b"".join(bz2), b"".join(conda)


def assemble(
    subdir: str, fragments: Iterable[Fragment], signatures: Iterable[bytes] = (), base_url: str = ""
) -> Iterator[bytes]:
    """Yield repodata.json in pieces of about 256 KiB.

    `fragments` is gone through twice, so it must be a list or something that starts anew. `signatures` are fragments
    too, `"file":{key:{"signature":…}}`; the key is left out when there are none. `base_url` makes it version 2.
    """
    info = {"subdir": subdir} | ({"base_url": base_url} if base_url else {})
    yield b'{"info":' + _json.encode(info) + b',"packages":{'
    yield from _joined(pair[0] for pair in fragments)
    yield b'},"packages.conda":{'
    yield from _joined(pair[1] for pair in fragments)
    yield b'},"removed":[],"repodata_version":' + (b"2" if base_url else b"1")
    opening = b',"signatures":{'
    for piece in _joined(signatures):
        yield opening + piece
        opening = b""
    yield b"}" if opening else b"}}"


def _joined(fragments: Iterable[bytes]) -> Iterator[bytes]:
    """Join the non-empty fragments with commas, in pieces of about 256 KiB."""
    batch: list[bytes] = []
    size = 0
    first = True
    for fragment in fragments:
        if not fragment:
            continue
        batch.append(fragment)
        size += len(fragment)
        if size >= _PIECE:
            yield (b"" if first else b",") + b",".join(batch)
            batch, size, first = [], 0, False
    if batch:
        yield (b"" if first else b",") + b",".join(batch)


def current_files(files: Mapping[str, RecordColumns]) -> set[str]:
    """Return the file names for current_repodata.json of a subdir.

    These are all builds of the newest version of each name with the highest build number, and for every dependency
    that none of them satisfies the newest builds that do.
    """
    by_name: dict[str, list[tuple[str, RecordColumns]]] = defaultdict(list)
    for filename, columns in files.items():
        by_name[columns.name].append((filename, columns))
    kept: set[str] = set()
    for builds in by_name.values():
        kept |= _newest(builds)
    asked: set[str] = set()
    queue = sorted(kept)
    while queue:
        for dep in files[queue.pop()].depends:
            if dep not in asked:
                asked.add(dep)
                found = _provide(dep, by_name.get(dependency_name(dep), []), kept)
                kept |= found
                queue += sorted(found)
    return kept


def _newest(builds: list[tuple[str, RecordColumns]]) -> set[str]:
    """Return the file names of the highest (version, build number); an equal .tar.bz2 and .conda are both kept."""
    best = max((newest_key(columns.version, columns.build_number) for _, columns in builds), default=None)
    return {name for name, columns in builds if newest_key(columns.version, columns.build_number) == best}


def _provide(dep: str, builds: list[tuple[str, RecordColumns]], kept: set[str]) -> set[str]:
    """Return what must be added so that `dep` can be satisfied; nothing when it is, or when no build here can."""
    try:
        spec: Spec = compile_spec(dep)
    except PackhouseError:
        return set()
    fitting = [
        pair for pair in builds if spec.matches(pair[1].name, pair[1].version, pair[1].build, pair[1].build_number)
    ]
    return set() if any(filename in kept for filename, _ in fitting) else _newest(fitting)


def run_exports_json(subdir: str, entries: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
    """Return run_exports.json (CEP 12): each file with the run_exports read from its bytes, `{}` when it has none."""
    packages: dict[str, Any] = {}
    conda: dict[str, Any] = {}
    for filename, exports in entries:
        known = {key: value for key, value in exports.items() if key != "schema_version"}
        (conda if filename.endswith(".conda") else packages)[filename] = {"run_exports": known}
    platform, _, arch = subdir.partition("-")
    info = {"arch": arch, "platform": "" if subdir == "noarch" else platform, "subdir": subdir, "version": 1}
    return _json.encode({"info": info, "packages": packages, "packages.conda": conda})
