"""CEP 47: `indexed_timestamp`, set by the channel and by nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from rattler import Channel, PackageName, SparseRepoData

from packhouse.formats.conda.inspect import inspect
from packhouse.formats.conda.record import canonical_json, to_msgpack
from packhouse.formats.conda.repodata import assemble, render_fragments
from packhouse.formats.conda.shards import render_shard
from packhouse.formats.conda.splice import Extra, indexed_at
from tests.kit.condapkg import make_conda

FILE = "demo-1.0-0.conda"
RECORD: dict[str, Any] = {
    "name": "demo", "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch",
    "timestamp": 1_600_000_000_000, "sha256": "ab" * 32, "md5": "cd" * 16, "size": 1,
}  # fmt: skip
SEEN = 1_700_000_000_123


def _rendered(record: dict[str, Any], added: Extra | None) -> tuple[dict[str, Any], dict[str, Any]]:
    fragment = render_fragments([(FILE, canonical_json(record), added)])
    whole = json.loads(b"".join(assemble("noarch", [fragment])))["packages.conda"][FILE]
    shard = msgspec.msgpack.decode(render_shard([(FILE, to_msgpack(record), added)]))["packages.conda"][FILE]
    return whole, shard


class TestChannelServerRequirements:
    def test_it_is_added_in_milliseconds_to_every_encoding(self) -> None:
        for record in _rendered(RECORD, indexed_at(SEEN)):
            assert record["indexed_timestamp"] == SEEN and record["timestamp"] == 1_600_000_000_000

    def test_the_value_is_the_servers_even_where_the_record_claims_one(self) -> None:
        for record in _rendered(RECORD | {"indexed_timestamp": 1}, indexed_at(SEEN)):
            assert record["indexed_timestamp"] == SEEN

    def test_rendering_again_gives_the_same_bytes(self) -> None:
        entry = (FILE, to_msgpack(RECORD), indexed_at(SEEN))
        assert render_shard([entry]) == render_shard([entry])

    def test_a_builder_cannot_set_it(self, tmp_path: Path) -> None:
        path = tmp_path / FILE
        path.write_bytes(make_conda("demo", "1.0", indexed_timestamp=1))
        assert "indexed_timestamp" not in inspect(path, FILE).record

    def test_a_record_rendered_without_it_is_untouched(self) -> None:
        for record in _rendered(RECORD, None):
            assert "indexed_timestamp" not in record


def test_rattler_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "repodata.json"
    fragment = render_fragments([(FILE, canonical_json(RECORD), indexed_at(SEEN))])
    path.write_bytes(b"".join(assemble("noarch", [fragment])))
    sparse = SparseRepoData(Channel("demo"), "noarch", path)
    stamp = sparse.load_records(PackageName("demo"))[0].indexed_timestamp
    assert stamp is not None and round(stamp.timestamp() * 1000) == SEEN
