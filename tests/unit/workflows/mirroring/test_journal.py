"""The journal of a mirror on a disk that gets full: what is written down afterwards is found again."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from packhouse.catalog.mirrors.holdings import Fetched, Wanted
from packhouse.core.blobs import Hashes
from packhouse.core.errors import PackhouseError
from packhouse.formats.base import Coordinate, Facts
from packhouse.workflows.mirroring.journal import Journal


def fetched(number: int) -> Fetched:
    """Return a file whose line is of the same length as that of any other, up to a thousand."""
    filename = f"tea-{number:03}-0.conda"
    wanted = Wanted(number + 1000, "conda", "noarch", "tea", filename, 1, None, None, None, None)
    facts = Facts(Coordinate("conda", "noarch", filename, "tea", f"{number:03}", "0"), {})
    return Fetched(wanted, Hashes(1, "0" * 64, "0" * 32), facts, since=0)


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let files of this process grow to `size` bytes only: the write that crosses it is cut short, the next fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_cut_short_is_an_error_and_hides_nothing_that_follows(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "mirror")
    journal.note([fetched(0)])
    size = (tmp_path / "mirror.jsonl").stat().st_size
    with no_more_than(2 * size + size // 2), pytest.raises(OSError, match="File too large"):
        journal.note([fetched(1), fetched(2), fetched(3)])
    journal.note([fetched(4)])
    journal.close()
    again = Journal(tmp_path, "mirror")
    again.note([fetched(5)])
    assert again.read() == [fetched(0), fetched(1), fetched(4), fetched(5)]
    again.close()


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    (tmp_path / "mirror.jsonl").symlink_to("/dev/full")
    journal = Journal(tmp_path, "mirror")
    with pytest.raises(PackhouseError) as caught:
        journal.note([fetched(0)])
    assert caught.value.code == "storage_full"
    journal.close()
