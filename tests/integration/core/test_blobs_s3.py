"""The S3 store: its cache, large files, and a bucket that is away, wrong or damaged."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from packhouse.core.blobs.cache import BlobCache
from packhouse.core.blobs.faults import BlobCorrupt, BlobMissing
from packhouse.core.blobs.s3 import S3Store
from packhouse.core.blobs.spool import Writer
from packhouse.core.errors import PackhouseError
from tests.kit.services import S3


def node(server: S3, bucket: str, cache: Path, *, secret_key: str = "", cache_bytes: int = 2**30) -> S3Store:
    """Open the bucket as one machine with a cache of its own."""
    return S3Store(
        bucket,
        "",
        endpoint=server.endpoint,
        access_key=server.access_key,
        secret_key=secret_key or server.secret_key,
        region=server.region,
        cache_dir=cache,
        cache_bytes=cache_bytes,
    )


async def put(store: S3Store, data: bytes) -> str:
    async with store.writer() as writer:
        await writer.write(data)
        return (await writer.commit()).sha256


async def test_a_large_file_goes_up_in_parts_and_down_to_another_machine(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    data = os.urandom(20 * 2**20 + 1)
    here, there = node(s3, bucket, tmp_path / "a"), node(s3, bucket, tmp_path / "b")
    sha256 = await put(here, data)
    assert await put(there, data) == sha256  # already there: asked first
    there.clean_partial(-1)
    third = node(s3, bucket, tmp_path / "c")
    assert third.local_path(sha256) is None
    assert (await third.path(sha256, len(data))).read_bytes() == data


async def test_many_readers_of_a_cold_blob_fetch_it_once(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    sha256 = await put(node(s3, bucket, tmp_path / "a"), os.urandom(2_000_000))
    cache = tmp_path / "b"
    there = node(s3, bucket, cache)
    seen = 0

    async def count_spooled() -> None:
        nonlocal seen
        while True:
            seen = max(seen, len(list((cache / "incoming").iterdir())))
            await asyncio.sleep(0)

    watch = asyncio.ensure_future(count_spooled())
    readers = [asyncio.ensure_future(there.path(sha256, 2_000_000)) for _ in range(20)]
    await asyncio.sleep(0)
    readers[0].cancel()  # the one that began the fetch goes away
    paths = await asyncio.gather(*readers[1:])
    watch.cancel()
    assert seen == 1
    assert len(set(paths)) == 1


async def test_a_blob_read_once_survives_the_bucket_going_away(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    store = node(s3, bucket, tmp_path)
    sha256 = await put(store, b"cached by the upload itself")
    for path in s3.objects(bucket):
        path.unlink()
    assert (await store.path(sha256, 27)).read_bytes() == b"cached by the upload itself"
    restarted = node(s3, bucket, tmp_path)
    assert restarted.local_path(sha256)


async def test_damaged_bytes_reach_nobody(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    sha256 = await put(node(s3, bucket, tmp_path / "a"), b"genuine")
    (damaged,) = s3.objects(bucket)
    damaged.write_bytes(b"changed")
    there = node(s3, bucket, tmp_path / "b")
    with pytest.raises(BlobCorrupt):
        await there.path(sha256, 7)
    assert there.local_path(sha256) is None


async def test_a_missing_object_and_a_missing_bucket_differ(s3: S3, tmp_path: Path) -> None:
    with pytest.raises(BlobMissing):
        await node(s3, s3.bucket(), tmp_path / "a").path("0" * 64, 1)
    with pytest.raises(PackhouseError, match="does not exist") as caught:
        await put(node(s3, "no-such-bucket", tmp_path / "b"), b"data")
    assert caught.value.code == "try_later"


async def test_a_wrong_key_is_reported_without_showing_any(s3: S3, tmp_path: Path) -> None:
    store = node(s3, s3.bucket(), tmp_path, secret_key="wrong-and-secret")
    with pytest.raises(PackhouseError) as caught:
        await put(store, b"data")
    for text in (str(caught.value), repr(store), repr(vars(store))):
        assert "wrong-and-secret" not in text
    assert s3.access_key not in str(caught.value)
    assert "403" in str(caught.value)
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_a_store_that_is_away_asks_to_try_later(s3: S3, tmp_path: Path) -> None:
    dead = S3(port=1, _root=tmp_path)
    with pytest.raises(PackhouseError) as caught:
        await put(node(dead, "bucket", tmp_path), b"data")
    assert (caught.value.code, caught.value.retry_after) == ("try_later", 5)


async def test_the_cache_forgets_the_least_recently_used(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    store = node(s3, bucket, tmp_path, cache_bytes=100_000)
    blobs = [await put(store, os.urandom(10_000)) for _ in range(10)]
    long_ago = time.time() - 3600
    for age, sha256 in enumerate(blobs):
        path = store.local_path(sha256)
        assert path
        os.utime(path, (long_ago + age, long_ago + age))
    assert store.local_path(blobs[0])  # used again
    newest = await put(store, os.urandom(10_000))
    kept = [sha256 for sha256 in [*blobs, newest] if store.local_path(sha256)]
    assert kept == [blobs[0], *blobs[3:], newest]
    assert (await store.path(blobs[1], 10_000)).stat().st_size == 10_000  # forgotten, not lost


async def test_a_file_just_handed_out_is_not_evicted(s3: S3, tmp_path: Path) -> None:
    store = node(s3, s3.bucket(), tmp_path, cache_bytes=1)
    sha256 = await put(store, b"larger than the cache")
    path = await store.path(sha256, 21)
    await put(store, b"another")
    assert path.exists()


async def test_a_failed_fetch_is_tried_again_by_the_next_reader(s3: S3, tmp_path: Path) -> None:
    store = node(s3, s3.bucket(), tmp_path)
    cache: BlobCache = store._cache
    sha256 = "0f" * 32

    async def fails(writer: Writer) -> None:
        raise BlobMissing(sha256)

    for _ in range(2):
        with pytest.raises(BlobMissing):
            await cache.fill(sha256, fails)
