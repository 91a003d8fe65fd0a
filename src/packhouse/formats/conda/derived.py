"""Documents of a subdir that follow from its fragments or facts: current_repodata.json and run_exports.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from packhouse.formats.base import Facts
from packhouse.formats.conda.record import columns
from packhouse.formats.conda.repodata import assemble, current_files, run_exports_json

_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])
_facts = msgspec.json.Decoder(Facts)


def current_repodata(subdir: str, fragments: Iterable[bytes]) -> bytes:
    """Return the repodata of the newest files and what they need, from the fragments of `CondaFormat.render_part`."""
    records = {name: bytes(raw) for name, raw in _records(fragments)}
    chosen = sorted(current_files({name: columns(name, msgspec.Raw(text)) for name, text in records.items()}))
    members = {name: msgspec.json.encode(name) + b":" + records[name] for name in chosen}
    bz2 = b",".join(text for name, text in members.items() if not name.endswith(".conda"))
    conda_members = b",".join(text for name, text in members.items() if name.endswith(".conda"))
    return b"".join(assemble(subdir, [(bz2, conda_members)]))


def run_exports(subdir: str, fragments: Iterable[bytes], facts: Iterable[tuple[str, str]]) -> bytes:
    """Return run_exports.json (CEP 12) of the files in an index, as far as we hold them.

    `facts` are (file name, facts JSON) of what we hold now, which may be more than the index shows: it can be frozen.
    """
    shown = {name for name, _ in _records(fragments)}
    return run_exports_json(subdir, ((name, _facts.decode(text).run_exports) for name, text in facts if name in shown))


def _records(fragments: Iterable[bytes]) -> Iterator[tuple[str, msgspec.Raw]]:
    """Yield (file name, record) of the fragments of `CondaFormat.render_part`."""
    for fragment in fragments:
        packages, conda, _ = fragment.split(b"\0")
        for piece in (packages, conda):
            yield from _raw.decode(b"{" + piece + b"}").items()
