"""CEP 16: sharded repodata, also as py-rattler reads it back from a server."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rattler import Channel, Gateway, MatchSpec, PackageFormatSelection, PackageName, SourceConfig, SparseRepoData

from packhouse.formats.archives.zstandard import unzstd, zstd3
from packhouse.formats.conda.record import canonical_json, to_msgpack
from packhouse.formats.conda.repodata import assemble, render_fragments
from packhouse.formats.conda.shards import render_shard, render_shard_index
from packhouse.formats.conda.splice import extra


def _record(name: str, version: str, number: int, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(f"{name}{version}{number}".encode()).hexdigest()
    return {
        "build": f"h_{number}", "build_number": number, "depends": ["python >=3.9", "zlib"], "license": "MIT",
        "md5": digest[:32], "name": name, "sha256": digest, "size": 1000 + number, "subdir": "linux-64",
        "timestamp": 1_700_000_000_000 + number, "version": version, **more,
    }  # fmt: skip


RECORDS = {
    f"{record['name']}-{record['version']}-{record['build']}{extension}": record
    for record in (
        *(_record("demo", f"1.{minor}", minor % 3) for minor in range(30)),
        _record("other", "2.0", 0, constrains=["demo <2"], noarch="python", purls=["pkg:pypi/other"]),
        _record("zlib", "1.3", 1, track_features="x", python_site_packages_path="lib/x"),
    )
    for extension in (".conda", ".tar.bz2")
}
_BOTH = PackageFormatSelection.BOTH
ADDED = {"indexed_timestamp": 1_750_000_000_000}
NAMES = sorted({record["name"] for record in RECORDS.values()})


def _shard(name: str) -> bytes:
    return render_shard((fn, to_msgpack(r), extra(ADDED)) for fn, r in RECORDS.items() if r["name"] == name)


class TestRepodataShard:
    shard = msgspec.msgpack.decode(_shard("demo"))

    def test_it_has_the_three_keys(self) -> None:
        assert list(self.shard) == ["packages", "packages.conda", "removed"] and self.shard["removed"] == []

    def test_files_stand_under_their_container(self) -> None:
        assert len(self.shard["packages"]) == len(self.shard["packages.conda"]) == 30
        assert all(name.endswith(".tar.bz2") for name in self.shard["packages"])
        assert all(name.endswith(".conda") for name in self.shard["packages.conda"])

    def test_hashes_are_bytes_and_the_rest_is_the_record(self) -> None:
        for filename, record in (self.shard["packages"] | self.shard["packages.conda"]).items():
            assert isinstance(record["md5"], bytes) and isinstance(record["sha256"], bytes)
            as_text = record | {"md5": record["md5"].hex(), "sha256": record["sha256"].hex()}
            assert as_text == RECORDS[filename] | ADDED

    def test_the_order_of_entries_does_not_matter(self) -> None:
        entries = [(fn, to_msgpack(r), extra(ADDED)) for fn, r in RECORDS.items()]
        assert render_shard(entries) == render_shard(entries[::-1])

    def test_a_shard_of_nothing_is_valid(self) -> None:
        assert msgspec.msgpack.decode(render_shard([])) == {"packages": {}, "packages.conda": {}, "removed": []}

    def test_many_files_need_larger_headers(self) -> None:
        entries = [(f"demo-1.0-{number}.conda", to_msgpack({"a": number}), None) for number in range(70_000)]
        assert len(msgspec.msgpack.decode(render_shard(entries))["packages.conda"]) == 70_000


class TestShardIndex:
    digests = {name: hashlib.sha256(zstd3(_shard(name))).digest() for name in NAMES}
    text = render_shard_index("linux-64", "2026-01-02T03:04:05Z", digests.items(), "./shards/")
    index = msgspec.msgpack.decode(text)

    def test_version_and_info(self) -> None:
        assert self.index["version"] == 1
        assert self.index["info"] == {
            "base_url": "", "created_at": "2026-01-02T03:04:05Z", "shards_base_url": "./shards/", "subdir": "linux-64",
        }  # fmt: skip

    def test_names_map_to_raw_hashes(self) -> None:
        assert self.index["shards"] == self.digests and all(len(one) == 32 for one in self.digests.values())

    def test_the_same_revision_gives_the_same_bytes(self) -> None:
        backwards = reversed(self.digests.items())
        assert render_shard_index("linux-64", "2026-01-02T03:04:05Z", backwards, "./shards/") == self.text

    def test_compression_is_one_frame_and_reproducible(self) -> None:
        assert zstd3(self.text) == zstd3(self.text) and unzstd(zstd3(self.text), 1 << 20) == self.text


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[str]:
    """A channel of our shards only, so that whoever reads it reads those."""
    shards = tmp_path / "linux-64" / "shards"
    shards.mkdir(parents=True)
    digests = {}
    for name in NAMES:
        body = zstd3(_shard(name))
        digests[name] = hashlib.sha256(body).digest()
        (shards / f"{digests[name].hex()}.msgpack.zst").write_bytes(body)
    index = render_shard_index("linux-64", "2026-01-02T03:04:05Z", digests.items(), "./shards/")
    (tmp_path / "linux-64" / "repodata_shards.msgpack.zst").write_bytes(zstd3(index))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_rattler_reads_our_shards_and_our_repodata_alike(channel: str, tmp_path: Path) -> None:
    gateway = Gateway(cache_dir=tmp_path / "cache", default_config=SourceConfig(cache_action="no-cache"))
    specs = [MatchSpec(name) for name in ("demo", "other", "zlib")]
    found = await gateway.query([Channel(channel)], ["linux-64"], specs, recursive=False)
    from_shards = {r.file_name: json.loads(r.to_json()) for group in found for r in group}

    path = tmp_path / "repodata.json"
    fragments = [render_fragments((fn, canonical_json(r), extra(ADDED)) for fn, r in RECORDS.items())]
    path.write_bytes(b"".join(assemble("linux-64", fragments)))
    sparse = SparseRepoData(Channel(channel), "linux-64", path)
    loaded = [record for name in NAMES for record in sparse.load_records(PackageName(name), _BOTH)]
    from_json = {record.file_name: json.loads(record.to_json()) for record in loaded}

    assert from_shards.keys() == from_json.keys() == RECORDS.keys()
    for filename, record in from_shards.items():
        assert record == from_json[filename]
        for key in ("name", "version", "build", "build_number", "depends", "sha256", "md5", "size", "license"):
            assert record[key] == RECORDS[filename][key]
        assert record["indexed_timestamp"] == ADDED["indexed_timestamp"]
