"""`file://` trees: the same answers as over HTTP, and no way out of the tree."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Expected, Fetcher, FetchSettings, Refused
from packhouse.core.fetch.files import FileSource
from tests.kit.sinks import MemorySink

CONTENT = b"0123456789" * 300_000
EXPECTED = Expected(size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "mirror with space"
    (root / "noarch").mkdir(parents=True)
    (root / "noarch" / "a+b-1!1.0.conda").write_bytes(CONTENT)
    (root / "noarch" / "repodata.json").write_bytes(b"{}")
    (tmp_path / "secret").write_bytes(b"LEAK")
    return root


@pytest.fixture
async def fetcher(tree: Path) -> AsyncIterator[Fetcher]:
    async with Fetcher(tree.as_uri(), FetchSettings(file_roots=frozenset({str(tree.parent)}))) as fetcher:
        yield fetcher


async def test_an_index_with_its_etag(fetcher: Fetcher, tree: Path) -> None:
    first = await fetcher.get("noarch/repodata.json", max_bytes=100)
    assert (first.status, first.body) == (200, b"{}")
    assert (await fetcher.get("noarch/repodata.json", max_bytes=100, etag=first.etag)).status == 304
    (tree / "noarch" / "repodata.json").write_bytes(b"{ }")
    assert (await fetcher.get("noarch/repodata.json", max_bytes=100, etag=first.etag)).body == b"{ }"
    assert (await fetcher.head("noarch/a+b-1!1.0.conda")).size == len(CONTENT)
    with pytest.raises(PackhouseError, match="larger than the limit"):
        await fetcher.get("noarch/a+b-1!1.0.conda", max_bytes=100)


@pytest.mark.parametrize("have", [b"", CONTENT[:1000], b"wrong", CONTENT + b"x"])
async def test_a_verified_download_that_goes_on(fetcher: Fetcher, have: bytes) -> None:
    sink = MemorySink()
    await sink.write(have)
    await fetcher.download("noarch/a+b-1!1.0.conda", sink, expect=EXPECTED, max_bytes=1 << 24)
    assert sink.body == CONTENT


async def test_other_bytes_are_refused(fetcher: Fetcher) -> None:
    sink = MemorySink()
    with pytest.raises(PackhouseError, match="is not the file its record describes"):
        await fetcher.download("noarch/repodata.json", sink, expect=EXPECTED, max_bytes=1 << 24)
    assert sink.size == 0


@pytest.mark.parametrize("path", ["noarch/none", "noarch", "noarch/repodata.json/x", "fifo", "", "x" * 300])
async def test_what_is_no_file_is_not_there(fetcher: Fetcher, tree: Path, path: str) -> None:
    os.mkfifo(tree / "fifo")
    assert (await fetcher.get(path, max_bytes=100)).status == 404


@pytest.mark.parametrize(
    "url",
    [
        "../secret",
        "noarch/../../secret",
        "%2e%2e/secret",
        "noarch/..%2f..%2fsecret",
        "/etc/passwd",
        "file:///etc/passwd",
        "file://host/etc/passwd",
        "http://127.0.0.1/",
        "https://conda.example/x",
        "link",
        "linked/secret",
        "noarch/%00",
    ],
)
async def test_no_way_out(fetcher: Fetcher, tree: Path, url: str) -> None:
    (tree / "link").symlink_to(tree.parent / "secret")
    (tree / "linked").symlink_to(tree.parent)
    with pytest.raises(Refused):
        await fetcher.get(url, max_bytes=10_000)


async def test_links_inside_the_tree_work(fetcher: Fetcher, tree: Path) -> None:
    (tree / "latest").symlink_to("noarch")
    assert (await fetcher.get("latest/repodata.json", max_bytes=100)).body == b"{}"


async def test_a_link_made_to_another_channels_tree_is_not_followed(tree: Path) -> None:
    """The roots an administrator named do not widen the source's own tree."""
    (tree / "noarch" / "up").symlink_to(tree)
    settings = FetchSettings(file_roots=frozenset({str(tree)}))
    async with Fetcher((tree / "noarch").as_uri(), settings) as fetcher:
        with pytest.raises(Refused):
            await fetcher.get("up/noarch/../fifo", max_bytes=10)


@pytest.mark.parametrize("roots", [[], ["other"], ["mirror"]])
async def test_only_folders_an_administrator_named(tree: Path, roots: list[str]) -> None:
    settings = FetchSettings(file_roots=frozenset(str(tree.parent / root) for root in roots))
    with pytest.raises(Refused, match="not in a folder"):
        async with Fetcher(tree.as_uri(), settings):
            pass


async def test_an_address_that_can_be_no_folder(tree: Path) -> None:
    with pytest.raises(Refused, match="not in a folder"):
        async with Fetcher(f"{tree.as_uri()}%00", FetchSettings(file_roots=frozenset({f"{tree}\0"}))):
            pass


async def test_an_http_source_leads_to_no_file(tree: Path) -> None:
    settings = FetchSettings(file_roots=frozenset({str(tree)}))
    async with Fetcher("http://conda.example", settings) as fetcher:
        with pytest.raises(Refused):
            await fetcher.get((tree / "noarch/repodata.json").as_uri(), max_bytes=100)


async def test_many_at_once_each_get_their_own(fetcher: Fetcher, tree: Path) -> None:
    for number in range(300):
        (tree / f"file{number}").write_bytes(b"%d" % number * 1000)

    async def get(number: int) -> bytes | None:
        await asyncio.sleep(number % 7 / 1000)
        if number % 3 == 0:
            return (await fetcher.get(f"file{number}", max_bytes=10_000)).body
        if number % 3 == 1:
            return None if (await fetcher.get(f"none{number}", max_bytes=10_000)).status == 404 else b""
        with pytest.raises(Refused):
            await fetcher.get("../secret", max_bytes=10_000)
        return None

    async with asyncio.timeout(60):
        found = await asyncio.gather(*(get(number) for number in range(300)))
    assert found == [b"%d" % number * 1000 if number % 3 == 0 else None for number in range(300)]


async def test_those_who_go_away_leave_the_others_their_answers(fetcher: Fetcher, tree: Path) -> None:
    (tree / "file").write_bytes(b"here")
    asked = [asyncio.create_task(fetcher.get("file", max_bytes=10)) for _ in range(50)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    async with asyncio.timeout(60):
        assert {(await task).body for task in asked[1::2]} == {b"here"}
        assert (await fetcher.get("file", max_bytes=10)).body == b"here"


async def test_a_file_that_becomes_shorter_is_read_again(fetcher: Fetcher, tree: Path) -> None:
    path = tree / "noarch" / "a+b-1!1.0.conda"

    class Cuts(MemorySink):
        async def write(self, chunk: bytes, /) -> None:
            await super().write(chunk)
            if path.stat().st_size > 2_000_000 and not self.cut:
                self.cut = True
                os.truncate(path, 1_500_000)
            elif self.size < 2_000_000:
                path.write_bytes(CONTENT)

        cut = False

    sink = Cuts()
    await fetcher.download("noarch/a+b-1!1.0.conda", sink, expect=EXPECTED, max_bytes=1 << 24)
    assert sink.cut and sink.body == CONTENT


@pytest.mark.parametrize("good", [0, 1])
async def test_a_disk_of_the_source_that_cannot_be_read_is_a_fault_of_the_upstream(
    fetcher: Fetcher, tree: Path, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    class Broken(io.FileIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads > good:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(size)

    file = Broken(tree / "noarch" / "a+b-1!1.0.conda")
    monkeypatch.setattr(FileSource, "_open_file", lambda *_: file)
    with pytest.raises(PackhouseError, match="cannot be read: Input/output error") as caught:
        await fetcher.get("noarch/a+b-1!1.0.conda", max_bytes=1 << 24)
    assert caught.value.code == "upstream_failed"
    assert file.closed
