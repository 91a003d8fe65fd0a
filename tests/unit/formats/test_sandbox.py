"""The limited process: it answers, survives what kills it, and is not fooled."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.formats.archives import sandbox as sandbox_module
from packhouse.formats.archives.sandbox import Reply, Request, Sandbox, Worker, seconds_for
from packhouse.formats.base import Facts, Malformed
from tests.kit.condapkg import make_conda


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    one = Sandbox()
    yield one
    one.close()


def _package(folder: Path, name: str = "demo") -> Path:
    path = folder / f"{name}.blob"
    path.write_bytes(make_conda(name, "1.0"))
    return path


async def test_many_at_once_get_their_own_answers(sandbox: Sandbox, tmp_path: Path) -> None:
    names = [f"demo{number}" for number in range(20)]
    found = await asyncio.gather(*(sandbox.inspect(_package(tmp_path, name), f"{name}-1.0-0.conda") for name in names))
    assert [facts.coordinate.name for facts in found] == names


async def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    worker = Worker()
    path = _package(tmp_path)
    try:
        await worker.ask([Request(str(path), "demo-1.0-0.conda")], 60)
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        (reply,) = await worker.ask([Request(str(path), "demo-1.0-0.conda")], 60)
        assert reply.facts is not None
        assert worker.pid not in (None, first)
    finally:
        worker.close()


async def test_a_file_that_hangs_the_reader_is_malformed(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"  # opening it blocks for ever
    os.mkfifo(fifo)
    worker = Worker()
    try:
        with pytest.raises(Malformed, match="within the limits"):
            await worker.ask([Request(str(fifo), "demo-1.0-0.conda")], 0.5)
        assert worker.pid is None
        (reply,) = await worker.ask([Request(str(_package(tmp_path)), "demo-1.0-0.conda")], 60)
        assert reply.facts is not None
    finally:
        worker.close()


async def test_the_time_a_worker_needs_to_start_is_not_the_file_s(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(3)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(sandbox_module, "SECONDS", 2.0)
    assert (await sandbox.inspect(_package(tmp_path), "demo-1.0-0.conda")).coordinate.name == "demo"


async def test_a_worker_that_does_not_start_is_no_fault_of_the_file(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        with pytest.raises(PackhouseError) as refused:
            await sandbox.inspect(_package(tmp_path), "demo-1.0-0.conda")
    assert refused.value.code == "try_later" and refused.value.retry_after
    assert (await sandbox.inspect(_package(tmp_path), "demo-1.0-0.conda")).coordinate.name == "demo"


async def test_of_many_together_one_may_be_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    good, bad = _package(tmp_path), tmp_path / "bad"
    bad.write_bytes(b"no zip")
    found = await sandbox.inspect_all([(bad, "demo-1.0-0.conda")] + [(good, "demo-1.0-0.conda")] * 70)
    assert isinstance(found[0], Malformed) and str(found[0])
    assert [facts.coordinate.name for facts in found[1:] if isinstance(facts, Facts)] == ["demo"] * 70


async def test_many_together_get_the_time_of_all(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "SECONDS", 0.001)
    monkeypatch.setattr(sandbox_module, "SPEED", {".conda": 500})  # bytes a second
    await sandbox.start()
    first = sandbox._small.pid
    found = await sandbox.inspect_all([(_package(tmp_path), "demo-1.0-0.conda")] * 20)
    assert all(isinstance(facts, Facts) for facts in found)
    assert sandbox._small.pid == first, "the worker was ended, and all was read again"


async def test_a_large_file_does_not_split_up_the_small_ones(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "LARGE", 50_000)
    small, large = _package(tmp_path), tmp_path / "large"
    large.write_bytes(make_conda("large", "1.0", files={"share/noise": os.urandom(100_000)}))
    asked: list[tuple[int, bool]] = []
    ask = Worker.ask

    async def noted(worker: Worker, requests: Sequence[Request], seconds: float) -> list[Reply]:
        asked.append((len(requests), worker is sandbox._large))
        return await ask(worker, requests, seconds)

    monkeypatch.setattr(Worker, "ask", noted)
    one = (small, "demo-1.0-0.conda")
    found = await sandbox.inspect_all([one, (large, "large-1.0-0.conda"), one])
    assert [facts.coordinate.name for facts in found if isinstance(facts, Facts)] == ["demo", "large", "demo"]
    assert sorted(asked) == [(1, True), (2, False)]
    asked.clear()
    await sandbox.inspect_all([(large, "large-1.0-0.conda")])
    assert asked == [(1, True)]


async def test_of_many_together_one_may_hang(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "SECONDS", 1.0)
    # only the one that hangs, which is empty, is not waited for
    monkeypatch.setattr(sandbox_module, "seconds_for", lambda _, size: 60.0 if size else 1.0)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    found = await sandbox.inspect_all([(fifo, "demo-1.0-0.conda"), (_package(tmp_path), "demo-1.0-0.conda")])
    assert isinstance(found[0], Malformed) and isinstance(found[1], Facts)


async def test_a_cancelled_request_leaves_no_stale_answer(sandbox: Sandbox, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for _ in range(3):
        task = asyncio.create_task(sandbox.inspect(fifo, "first-1.0-0.conda"))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await sandbox.inspect(_package(tmp_path, "second"), "second-1.0-0.conda")).coordinate.name == "second"


async def test_the_worker_is_limited_and_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKHOUSE_SECRET", "hush")
    worker = Worker()
    try:
        (reply,) = await worker.ask([Request("/nonexistent", "demo-1.0-0.conda")], 60)
        assert reply.refused
        process = Path(f"/proc/{worker.pid}")
        limits = {line[:26].strip(): line[26:].split()[0] for line in (process / "limits").read_text().splitlines()}
        assert limits["Max file size"] == "0" and limits["Max core file size"] == "0"
        assert limits["Max address space"].isdigit() and int(limits["Max open files"]) <= 16
        assert b"hush" not in (process / "environ").read_bytes()
    finally:
        worker.close()


def test_large_files_get_more_time() -> None:
    assert seconds_for("a-1-0.conda", 0) == 5
    assert seconds_for("a-1-0.tar.bz2", 300 << 20) > seconds_for("a-1-0.conda", 300 << 20) > 10
