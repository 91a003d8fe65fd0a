"""Blob stores: the same promises in a local folder and in a real S3 bucket."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from packhouse.core.blobs import BlobMissing, BlobStore, commit_all, open_store
from packhouse.core.errors import PackhouseError

Open = Callable[[], BlobStore]


@pytest.fixture(params=["folder", "s3"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same store anew, as another process or a restart would."""
    if request.param == "folder":
        return lambda: open_store(f"file://{tmp_path}/blobs", data_dir=tmp_path)
    server = request.getfixturevalue("s3")
    bucket = server.bucket()
    return lambda: open_store(
        f"s3://{bucket}/some/prefix",
        data_dir=tmp_path,
        endpoint=server.endpoint,
        access_key=server.access_key,
        secret_key=server.secret_key,
    )


@pytest.fixture
def store(reopen: Open) -> BlobStore:
    return reopen()


async def put(store: BlobStore, data: bytes) -> str:
    async with store.writer() as writer:
        await writer.write(data)
        return (await writer.commit()).sha256


async def collect(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def spooled(tmp_path: Path) -> list[str]:
    return [path.name for path in tmp_path.rglob("*") if path.is_file() and path.parent.name in ("incoming", "partial")]


@pytest.mark.parametrize("count", [2, 20])
async def test_several_committed_together(reopen: Open, tmp_path: Path, count: int) -> None:
    store, pieces = reopen(), [os.urandom(1000) for _ in range(count - 1)]
    pieces.append(pieces[0])  # the same bytes twice are one blob
    async with AsyncExitStack() as stack:
        writers = [await stack.enter_async_context(store.partial(str(number))) for number in range(count)]
        for writer, piece in zip(writers, pieces, strict=True):
            await writer.write(piece)
        await commit_all(writers)
    store = reopen()
    for piece in pieces:
        assert await collect(store.open_range(hashlib.sha256(piece).hexdigest(), 0, 2000)) == piece
    assert spooled(tmp_path) == []


async def test_bytes_come_back_as_they_went_in(store: BlobStore) -> None:
    data = os.urandom(3_000_000)
    async with store.writer() as writer:
        for start in range(0, len(data), 700_001):
            await writer.write(data[start : start + 700_001])
        assert writer.path.read_bytes() == data  # an inspector reads it before the commit
        hashes = await writer.commit()
    assert (hashes.sha256, hashes.md5) == (hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest())
    assert hashes.size == len(data)
    assert (await store.path(hashes.sha256, hashes.size)).read_bytes() == data
    assert await collect(store.open_range(hashes.sha256, 0, len(data))) == data
    assert await collect(store.open_range(hashes.sha256, 2_999_990, 100)) == data[-10:]
    assert await collect(store.open_range(hashes.sha256, 5, 0)) == b""


async def test_an_empty_file_is_a_blob(store: BlobStore) -> None:
    sha256 = await put(store, b"")
    assert (await store.path(sha256, 0)).read_bytes() == b""


async def test_nothing_is_there_before_the_commit_and_nothing_stays_without_it(
    store: BlobStore, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="the client went away"):
        async with store.writer() as writer:
            await writer.write(b"half a pack")
            sha256 = writer.hashes().sha256
            assert not await store.exists(sha256)
            raise RuntimeError("the client went away")
    assert not await store.exists(sha256)
    assert spooled(tmp_path) == []


async def test_the_same_bytes_from_many_writers_are_one_blob(store: BlobStore, tmp_path: Path) -> None:
    names = await asyncio.gather(*(put(store, b"the same") for _ in range(12)))
    assert [blob async for blob in store.iterate()] == [(names[0], 8)]
    assert spooled(tmp_path) == []


async def test_iterate_is_sorted_and_complete_and_delete_is_final(store: BlobStore) -> None:
    sizes = {await put(store, b"x" * size): size for size in range(40)}
    assert [blob async for blob in store.iterate()] == sorted(sizes.items())
    gone = min(sizes)
    await store.delete(gone)
    await store.delete(gone)
    assert not await store.exists(gone)
    assert store.local_path(gone) is None
    with pytest.raises(BlobMissing):
        await store.path(gone, sizes[gone])
    with pytest.raises(BlobMissing):
        await collect(store.open_range(gone, 0, 1))


async def test_a_full_disk_is_said_so_and_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(PackhouseError) as caught:
        async with store.writer() as writer:
            await writer.write(b"fits")
            os.dup2(full, writer.fd)
            await writer.write(b"does not")
    os.close(full)
    assert caught.value.code == "storage_full"
    assert spooled(tmp_path) == []


async def test_a_cancelled_upload_leaves_a_whole_blob_or_none(store: BlobStore, tmp_path: Path) -> None:
    for turns in range(6):
        data = os.urandom(100_000)
        task = asyncio.ensure_future(put(store, data))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.wait([task])
        sha256 = hashlib.sha256(data).hexdigest()
        if await store.exists(sha256):
            assert (await store.path(sha256, len(data))).read_bytes() == data
    assert spooled(tmp_path) == []


async def test_a_stopped_download_goes_on(reopen: Open) -> None:
    data = os.urandom(500_000)
    async with reopen().partial("https://up/stream sha256:…") as writer:
        await writer.write(data[:300_000])
    async with reopen().partial("https://up/stream sha256:…") as writer:
        assert writer.size == 300_000
        await writer.write(data[writer.size :])
        hashes = await writer.commit()
    assert hashes.sha256 == hashlib.sha256(data).hexdigest()
    assert (await reopen().path(hashes.sha256, len(data))).read_bytes() == data
    async with reopen().partial("https://up/stream sha256:…") as writer:
        assert writer.size == 0  # what was committed is not offered again


async def test_a_download_of_changed_bytes_starts_over(store: BlobStore) -> None:
    async with store.partial("k") as writer:
        await writer.write(b"the old bytes, longer than the new")
        await writer.restart()
        await writer.write(b"new")
        hashes = await writer.commit()
    assert (await store.path(hashes.sha256, 3)).read_bytes() == b"new"


async def test_wrong_bytes_are_not_kept_for_the_next_try(store: BlobStore) -> None:
    async with store.partial("k") as writer:
        await writer.write(b"not what the record says")
        writer.discard()
    async with store.partial("k") as writer:
        assert writer.size == 0


async def test_two_workers_never_write_one_partial(reopen: Open) -> None:
    async with reopen().partial("k") as writer:
        await writer.write(b"mine")
        with pytest.raises(PackhouseError) as caught:
            async with reopen().partial("k"):
                pass
        assert caught.value.code == "try_later"
        async with reopen().partial("another"):
            pass


async def test_cleaning_leaves_files_in_use_alone(reopen: Open) -> None:
    store, other = reopen(), reopen()
    async with store.writer() as incoming, store.partial("k") as partial:
        await incoming.write(b"still coming")
        await partial.write(b"half")
        assert other.clean_partial(older_than=-1) == 0
        await incoming.commit()
    assert other.clean_partial(older_than=3600) == 0  # a stopped download, still young
    assert other.clean_partial(older_than=-1) == 1


async def test_the_loop_is_not_held_up_by_a_large_write(store: BlobStore) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    async with store.writer() as writer:
        await writer.write(bytes(16 * 2**20))
    task.cancel()
    assert turns > 30
