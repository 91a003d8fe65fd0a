"""Reads a channel's index the way every kind of client does, so that the encodings can be compared record by record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.kit.asgi import Client
from tests.kit.condapkg import zstd

Records = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What each encoding of one subdir says: file name to record, hashes as hex everywhere."""

    shards: Records
    monolithic: Records
    current: Records
    run_exports: set[str]
    signatures: dict[str, Any]
    bodies: dict[str, bytes]  #: of what must be the same bytes after a rebuild: each shard, and repodata.json


async def read_subdir(web: Client, channel: str, subdir: str) -> Reading:
    """Read one subdir in every encoding; compressed twins must hold the same bytes."""
    base = f"/api/repo/{channel}/{subdir}"
    plain = {}
    for name in ("repodata.json", "current_repodata.json", "run_exports.json"):
        answer, packed = await web.get(f"{base}/{name}"), await web.get(f"{base}/{name}.zst")
        assert (answer.status, packed.status) == (200, 200), name
        assert zstd.decompress(packed.body) == answer.body, name
        plain[name] = answer
    shards, bodies = await _shards(web, base)
    repodata = plain["repodata.json"].json()
    assert repodata["removed"] == [] and repodata["repodata_version"] == 1 and repodata["info"]["subdir"] == subdir
    exports = plain["run_exports.json"].json()
    return Reading(
        shards=shards,
        monolithic=_merged(repodata),
        current=_merged(plain["current_repodata.json"].json()),
        run_exports={*exports["packages"], *exports["packages.conda"]},
        signatures=repodata.get("signatures", {}),
        bodies={**bodies, "repodata.json": plain["repodata.json"].body},
    )


async def _shards(web: Client, base: str) -> tuple[Records, dict[str, bytes]]:
    answer = await web.get(f"{base}/repodata_shards.msgpack.zst")
    assert answer.status == 200
    index = msgspec.msgpack.decode(zstd.decompress(answer.body))
    records: Records = {}
    bodies = {}
    for name, sha256 in index["shards"].items():
        shard = await web.get(f"{base}/{index['info']['shards_base_url']}{sha256.hex()}.msgpack.zst")
        assert shard.status == 200 and hashlib.sha256(shard.body).digest() == sha256
        bodies[name] = shard.body
        for filename, record in _merged(msgspec.msgpack.decode(zstd.decompress(shard.body))).items():
            assert record["name"] == name
            records[filename] = {
                key: value.hex() if isinstance(value, bytes) else value for key, value in record.items()
            }
    return records, bodies


def _merged(index: dict[str, Any]) -> Records:
    assert all(name.endswith(".tar.bz2") for name in index["packages"])
    assert all(name.endswith(".conda") for name in index["packages.conda"])
    return {**index["packages"], **index["packages.conda"]}
