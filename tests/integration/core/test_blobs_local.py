"""The local folder: what is particular to it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from packhouse.core.blobs import LocalStore
from packhouse.core.blobs.faults import BlobCorrupt
from packhouse.core.errors import PackhouseError

_KILLED = """
import asyncio, sys
from pathlib import Path
from packhouse.core.blobs import LocalStore

async def main():
    store = LocalStore(Path(sys.argv[1]))
    async with store.writer() as upload, store.partial("k") as download:
        await upload.write(b"an upload nobody will finish")
        await download.write(b"first half, ")
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def put(store: LocalStore, data: bytes) -> str:
    async with store.writer() as writer:
        await writer.write(data)
        return (await writer.commit()).sha256


async def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    steps: list[str] = []
    flush, rename = os.fsync, Path.rename

    def seen_flush(fd: int) -> None:
        steps.append(f"flush {Path(f'/proc/self/fd/{fd}').readlink().relative_to(tmp_path)}")
        flush(fd)

    def seen_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", seen_flush)
    monkeypatch.setattr(Path, "rename", seen_rename)
    sha256 = await put(store, b"data")
    first, rest = steps[0], steps[1:]
    assert first.startswith("flush incoming/")
    assert rest == ["flush .", "rename", f"flush {sha256[:2]}"]


async def test_storing_again_heals_a_blob_a_bad_disk_changed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sha256 = await put(store, b"good")
    path = await store.path(sha256, 4)
    path.write_bytes(b"bad!")
    await put(store, b"good")
    assert path.read_bytes() == b"good"


async def test_a_blob_of_the_wrong_length_is_not_handed_out(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sha256 = await put(store, b"good")
    (await store.path(sha256, 4)).write_bytes(b"cut")
    with pytest.raises(BlobCorrupt):
        await store.path(sha256, 4)


async def test_the_hot_path_is_the_file_itself(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sha256 = await put(store, b"data")
    assert store.local_path(sha256) == tmp_path / sha256[:2] / sha256
    assert store.local_path("0" * 64) is None


async def test_a_folder_that_vanishes_is_reported(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "mount")
    (tmp_path / "mount").rename(tmp_path / "unmounted")
    with pytest.raises(PackhouseError) as caught:
        await put(store, b"data")
    assert caught.value.code == "try_later"


async def test_a_folder_removed_by_hand_comes_back(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    sha256 = await put(store, b"data")
    await store.delete(sha256)
    (tmp_path / sha256[:2]).rmdir()
    with pytest.raises(PackhouseError, match="removed"):
        await put(store, b"data")
    assert await put(store, b"data") == sha256


async def test_after_kill_9_uploads_are_swept_and_downloads_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _KILLED, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        store = LocalStore(tmp_path)
        assert store.clean_partial(older_than=-1) == 0  # the other process lives
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    for path in (tmp_path / "incoming").iterdir():
        os.utime(path, (0, 0))
    assert store.clean_partial(older_than=3600) == 1
    async with store.partial("k") as download:
        assert download.size == 12
        await download.write(b"second half")
        hashes = await download.commit()
    assert hashes.sha256 == hashlib.sha256(b"first half, second half").hexdigest()
    assert [blob async for blob in store.iterate()] == [(hashes.sha256, 23)]


async def test_whoever_stops_waiting_for_a_partial_file_does_not_keep_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    waiting = [asyncio.create_task(store.partial(str(number)).open()) for number in range(100)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    async with asyncio.timeout(60):
        for number in range(100):
            while True:
                with suppress(PackhouseError):  # it is being opened for the one who went away, and closed then
                    async with store.partial(str(number)) as writer:
                        await writer.write(b"mine")
                        break
                await asyncio.sleep(0.01)
    assert not [link for link in Path("/proc/self/fd").iterdir() if "/partial/" in _target(link)]


def _target(link: Path) -> str:
    with suppress(FileNotFoundError):
        return str(link.readlink())
    return ""
