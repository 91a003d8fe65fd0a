"""Documents of a subdir that follow from its fragments or facts: current_repodata.json and run_exports.json."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from packhouse.formats.base import Facts
from packhouse.formats.conda.record import columns
from packhouse.formats.conda.repodata import assemble, current_files, run_exports_json

_raw = msgspec.json.Decoder(dict[str, msgspec.Raw])
_facts = msgspec.json.Decoder(Facts)


def current_repodata(subdir: str, fragments: Iterable[bytes]) -> bytes:
    """Return the repodata of the newest files and what they need, from the fragments of `CondaFormat.render_part`."""
    records: dict[str, bytes] = {}
    for fragment in fragments:
        packages, conda, _ = fragment.split(b"\0")
        for piece in (packages, conda):
            records.update({name: bytes(raw) for name, raw in _raw.decode(b"{" + piece + b"}").items()})
    chosen = sorted(current_files({name: columns(name, msgspec.Raw(text)) for name, text in records.items()}))
    members = {name: msgspec.json.encode(name) + b":" + records[name] for name in chosen}
    bz2 = b",".join(text for name, text in members.items() if not name.endswith(".conda"))
    conda_members = b",".join(text for name, text in members.items() if name.endswith(".conda"))
    return b"".join(assemble(subdir, [(bz2, conda_members)]))


def run_exports(subdir: str, facts: Iterable[tuple[str, str]]) -> bytes:
    """Return run_exports.json from (file name, facts JSON) of the files we hold (CEP 12)."""
    return run_exports_json(subdir, ((name, _facts.decode(text).run_exports) for name, text in facts))
