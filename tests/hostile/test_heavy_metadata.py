"""Small files that stand for much: refused before they cost memory, whichever way they come."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backports import zstd

from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.house import open_house
from tests.kit.mirroring import CondaSource, add_mirror, make_test_channel, run_and_wait, services_on, shown
from tests.kit.upstream import Upstream

HEAVY: dict[str, dict[str, Any]] = {
    "a record": {"zz": ["A" * 16_000] * 255},
    "values": {"info": {"info/about.json": json.dumps({"zz": [[]] * 60_000}).encode()}},
    "an about.json": {"info": {"info/about.json": json.dumps({"zz": "A" * 2_000_000}).encode()}},
}


@pytest.mark.parametrize("wrong", list(HEAVY))
async def test_a_heavy_upload_is_refused(backend: Backend, wrong: str) -> None:
    async with open_house(backend) as house:
        await house.channel("pub")
        before = await house.leftovers()
        answer = await house.admin.put("/api/repo/pub/noarch/w-1.0-0.conda", make_conda("w", "1.0", **HEAVY[wrong]))
        assert answer.status == 422, answer.body
        assert await house.leftovers() == before


async def test_a_heavy_upstream_record_is_passed_over(backend: Backend) -> None:
    source = CondaSource()
    source.add("good")
    source.add("heavy", zz="A" * 200_000)
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert (mirror.state, mirror.progress.count.failed) == ("completed", 1)
        assert set(await shown(services, channel)) == {"good-1.0-0.conda"}


MIB = 1 << 20
RECORD = b'{"name": "a", "version": "1.0", "build": "0", "build_number": 0'
WIDE = [b"[]," * MIB] * 20


def zstd_of(*pieces: bytes) -> bytes:
    """Compress bytes that need not all be there at once."""
    compressor = zstd.ZstdCompressor()
    return b"".join([*(compressor.compress(piece) for piece in pieces), compressor.flush()])


def wide_shards() -> dict[str, bytes]:
    """Return a shard index of many names, and the one shard they all have: a record of 15 million empty lists."""
    shard = zstd_of(b"\x81\xa8packages\x81\xabx-1.tar.bz2\xdd\x00\xf0\x00\x00", b"\x90" * 0xF00000)
    digest = hashlib.sha256(shard)
    info = {"base_url": "", "shards_base_url": "", "subdir": "noarch"}
    index = {"version": 1, "info": info, "shards": {f"n{number}": digest.digest() for number in range(32)}}
    return {
        "noarch/repodata_shards.msgpack.zst": zstd_of(msgspec.msgpack.encode(index)),
        f"noarch/{digest.hexdigest()}.msgpack.zst": shard,
    }


#: what an upstream has, which is small and stands for gigabytes, and how a run ends that meets it
INDEXES: dict[str, tuple[dict[str, bytes], str]] = {
    "spaces": ({"noarch/repodata.json.zst": zstd_of(*[b" " * MIB] * 2000)}, "failed"),
    "nested arrays": ({"noarch/repodata.json.zst": zstd_of(b"[" * (60 * MIB))}, "failed"),
    "a wide record": (
        {"noarch/repodata.json.zst": zstd_of(b'{"packages":{"a-1.0-0.tar.bz2":{"z":[', *WIDE, b"0]}}}")}, "completed"
    ),
    "a wide signature": (
        {"noarch/repodata.json.zst": zstd_of(
            b'{"packages":{"a-1.0-0.tar.bz2":', RECORD, b'}},"signatures":{"a-1.0-0.tar.bz2":{"k":[', *WIDE, b"0]}}}"
        )}, "completed",
    ),
    "wide shards": (wide_shards(), "completed"),
}  # fmt: skip


def memory(field: str) -> int:
    """Return a line of this process's status in bytes: `VmRSS` what it has, `VmHWM` the most since it was reset."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the most memory since a moment")
@pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)
@pytest.mark.parametrize("kind", list(INDEXES))
async def test_a_small_index_that_stands_for_much_costs_little_memory(backend: Backend, kind: str) -> None:
    files, end = INDEXES[kind]
    assert sum(map(len, files.values())) < MIB
    async with services_on(backend) as services, Upstream(files) as up:
        channel = await make_test_channel(services)
        Path("/proc/self/clear_refs").write_text("5")  # the most memory counts from here
        before = memory("VmRSS")
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert mirror.state == end
        assert mirror.progress.count.failed == (end == "completed")
        assert memory("VmHWM") - before < 300 * MIB
