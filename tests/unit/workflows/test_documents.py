"""The index documents a process keeps: bounded in memory, tidy on disk, apart from those of other processes."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from packhouse.workflows.indexing import documents
from packhouse.workflows.indexing.documents import Document, Documents, small, write
from tests.kit.condapkg import zstd


def of_size(size: int, revision: int = 1) -> Document:
    """Return a document kept in memory."""
    return Document(revision, "canonical", 0, size, bytes(size))


def test_a_written_document_is_its_pieces_and_one_frame(tmp_path: Path) -> None:
    pieces = [b"one", b"", b"two" * 100_000]
    plain, packed = write(tmp_path, 7, 5, pieces)
    assert plain.path is not None and packed.path is not None
    assert plain.path.read_bytes() == b"".join(pieces) == zstd.decompress(packed.path.read_bytes())
    assert plain.etag == hashlib.sha256(b"".join(pieces)).hexdigest() != packed.etag
    assert (plain.size, packed.size) == (plain.path.stat().st_size, packed.path.stat().st_size)
    assert (plain.revision, plain.modified_at) == (packed.revision, packed.modified_at) == (7, 5)
    assert len(list(tmp_path.iterdir())) == 2, "nothing half-written is left"


def test_the_same_content_is_the_same_document_wherever_it_is_kept(tmp_path: Path) -> None:
    on_disk, _ = write(tmp_path, 1, 0, [b"{}"])
    in_memory_, packed = small(1, 0, b"{}")
    assert on_disk.etag == in_memory_.etag
    assert zstd.decompress(packed.body) == b"{}" and packed.size == len(packed.body)


async def test_memory_is_bounded_in_bytes_and_the_unused_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_BYTES", 1000)
    kept = Documents(tmp_path)
    for number in range(4):
        kept.keep((number, "noarch", "x"), of_size(250))
    kept.find((0, "noarch", "x"))
    kept.keep((4, "noarch", "x"), of_size(250))
    assert [number for number in range(5) if kept.find((number, "noarch", "x"))] == [0, 2, 3, 4]
    kept.keep((4, "noarch", "x"), of_size(100, revision=2))  # instead of its older self
    assert all(kept.find((number, "noarch", "x")) for number in (0, 2, 3, 4))
    kept.keep((5, "noarch", "x"), of_size(2000))  # larger than all there is room for
    assert not any(kept.find((number, "noarch", "x")) for number in range(6))


async def test_a_file_goes_when_it_is_superseded_unless_its_content_came_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LINGER_SECONDS", 0.01)
    kept, key = Documents(tmp_path), (1, "noarch", "repodata.json")
    first, _ = write(kept.folder(), 1, 0, [b"first"])
    second, _ = write(kept.folder(), 2, 0, [b"second"])
    kept.keep(key, first)
    kept.keep(key, second)
    kept.keep(key, first._replace(revision=3))
    await asyncio.sleep(0.05)
    assert first.path is not None and second.path is not None
    assert first.path.exists() and not second.path.exists()


HOLD = """
import sys
from pathlib import Path
from packhouse.workflows.indexing.documents import Documents
folder = Documents(Path(sys.argv[1])).folder()
(folder / "document.json").write_text("{}")
print(folder, flush=True)
sys.stdin.read()
"""


def test_what_a_process_leaves_is_removed_by_the_next_but_not_while_it_lives(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        mine = Documents(tmp_path).folder()
        assert mine != theirs and (theirs / "document.json").exists()
        process.kill()
    next_one = Documents(tmp_path).folder()
    assert not theirs.exists() and mine.exists() and next_one.exists()


def test_a_folder_somebody_removed_is_made_again(tmp_path: Path) -> None:
    kept = Documents(tmp_path)
    first = kept.folder()
    assert kept.folder() == first
    first.rmdir()
    assert kept.folder().is_dir()
