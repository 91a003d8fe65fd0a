"""Package files on their way out: whole, in part, large, and removed from the disk under our feet."""

from __future__ import annotations

import hashlib
import os
import random

import pytest

from packhouse.core.clock import monotonic
from packhouse.doors.serve import answers, packages
from packhouse.doors.serve.sending import INLINE_BYTES
from tests.conftest import Backend
from tests.kit.asgi import Client, listening
from tests.kit.condapkg import make_conda
from tests.kit.house import House, open_house
from tests.kit.wire import fetch

SMALL = "/api/repo/pub/noarch/small-1.0-0.conda"
LARGE = "/api/repo/pub/noarch/large-1.0-0.conda"


async def both_sizes(house: House) -> dict[str, bytes]:
    """Upload a file that is sent inline and one that is sent from its file."""
    noise = random.Random(1).randbytes(3 * INLINE_BYTES)
    files = {SMALL: make_conda("small", "1.0"), LARGE: make_conda("large", "1.0", files={"share/noise": noise})}
    for target, data in files.items():
        assert (await house.admin.put(target, data)).status == 201
    assert len(files[SMALL]) < INLINE_BYTES < len(files[LARGE])
    return files


async def test_the_whole_file_and_its_headers(house: House) -> None:
    for target, data in (await both_sizes(house)).items():
        answer = await house.web.get(target)
        assert answer.status == 200 and answer.body == data
        assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
        assert answer.headers["content-length"] == str(len(data))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in answer.headers


async def test_parts(house: House) -> None:
    for target, data in (await both_sizes(house)).items():
        size, middle = len(data), len(data) // 2
        spans = {
            "bytes=0-0": (0, 1),
            "bytes=0-": (0, size),
            f"bytes={middle}-": (middle, size),
            f"bytes={middle}-{middle + 99}": (middle, middle + 100),
            f"bytes=0-{size * 10}": (0, size),
            f"bytes={size - 1}-": (size - 1, size),
            "bytes=-7": (size - 7, size),
            f"bytes=-{size * 10}": (0, size),
        }
        for value, (start, end) in spans.items():
            answer = await house.web.get(target, range=value)
            assert (answer.status, answer.body) == (206, data[start:end]), value
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
            assert answer.headers["content-length"] == str(end - start)
            head = await house.web.head(target, range=value)
            assert (head.status, head.body) == (206, b"") and head.headers == answer.headers


async def test_parts_that_are_not_there(house: House) -> None:
    for target, data in (await both_sizes(house)).items():
        for value in (f"bytes={len(data)}-", f"bytes={10**18 - 1}-", "bytes=-0"):
            answer = await house.web.get(target, range=value)
            assert answer.status == 416 and answer.headers["content-range"] == f"bytes */{len(data)}", value


async def test_a_range_nobody_understands_is_ignored(house: House) -> None:
    odd = ("bytes=5-2", "bytes=0-1,4-5", "items=0-1", "bytes=", "bytes=-", "bytes=a-b", "0-1", "bytes=1-2-3", "")
    for target, data in (await both_sizes(house)).items():
        for value in odd:
            answer = await house.web.get(target, range=value)
            assert (answer.status, answer.body) == (200, data), value


async def test_if_range_goes_on_only_with_the_same_file(house: House) -> None:
    for target, data in (await both_sizes(house)).items():
        tag = f'"{hashlib.sha256(data).hexdigest()}"'
        date = (await house.web.head(target)).headers["last-modified"]
        same = await house.web.get(target, range="bytes=10-", if_range=tag)
        assert (same.status, same.body) == (206, data[10:])
        for other in ('"other"', f"W/{tag}", "Sat, 01 Jan 2000 00:00:00 GMT", "nonsense"):
            whole = await house.web.get(target, range="bytes=10-", if_range=other)
            assert (whole.status, whole.body) == (200, data), (other, date)


async def test_over_a_real_socket(house: House) -> None:
    files = await both_sizes(house)
    async with listening(house.server) as url:
        for target, data in files.items():
            whole = await fetch(url + target)
            assert (whole.status, whole.body) == (200, data)
            part = await fetch(url + target, headers={"Range": "bytes=100-"})
            assert (part.status, part.body) == (206, data[100:])
            head = await fetch(url + target, method="HEAD")
            assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(data)))
            tag = head.headers["etag"]
            again = await fetch(url + target, headers={"If-None-Match": tag})
            assert (again.status, again.body) == (304, b"")


async def test_a_removed_file_is_gone_and_its_name_stays_taken(house: House) -> None:
    data = make_conda("small", "1.0")
    await house.admin.put(SMALL, data)
    await house.web.get(SMALL)  # now it is remembered
    await house.remove("pub", "small")
    await house.caught_up()
    assert (await house.web.get(SMALL)).status == 404
    other = await house.admin.put(SMALL, make_conda("small", "1.0", files={"other": b"bytes"}))
    assert other.status == 409 and "never changes" in other.json()["message"]
    assert (await house.admin.put(SMALL, data)).status == 201
    assert (await house.web.get(SMALL)).body == data


async def test_what_is_asked_for_again_and_again_stays_in_the_cache(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not backend.blob_url.startswith("s3:"):
        pytest.skip("a folder forgets nothing")
    hot, cold, new = (f"/api/repo/pub/noarch/{name}-1.0-0.conda" for name in ("hot", "cold", "new"))
    async with open_house(backend, s3_cache_bytes=1_000_000) as house:
        await house.channel("pub")
        for target in (hot, cold):
            assert (await house.admin.put(target, _of_400_kb(target))).status == 201
        assert (await house.web.get(hot)).status == 200
        cached = {path.name: path for path in (backend.data_dir / "blob-cache").glob("??/*")}
        for path in cached.values():
            os.utime(path, (1, 1))  # an hour passes
        later = monotonic() + 3600
        for module in (answers, packages):
            monkeypatch.setattr(module, "monotonic", lambda: later)
        for _ in range(2):
            assert (await house.web.get(hot)).body == _of_400_kb(hot)
        assert (await house.admin.put(new, _of_400_kb(new))).status == 201  # too much: something must go
        left = [name for name, path in cached.items() if path.exists()]
        assert left == [hashlib.sha256(_of_400_kb(hot)).hexdigest()]
        assert (await house.web.get(cold)).body == _of_400_kb(cold)


def _of_400_kb(target: str) -> bytes:
    name = target.rpartition("/")[2].partition("-")[0]
    return make_conda(name, "1.0", files={"share/noise": random.Random(name).randbytes(400_000)})


async def test_index_files_survive_an_emptied_cache_folder(house: House) -> None:
    await house.upload("pub", "small")
    first = await house.web.get("/api/repo/pub/noarch/repodata.json")
    for path in (house.server.services.settings.data_dir / "cache" / "index").rglob("*.json*"):
        path.unlink()
    again = await house.web.get("/api/repo/pub/noarch/repodata.json")
    assert (again.status, again.body) == (200, first.body)


async def test_other_methods_are_refused_and_the_right_ones_named(house: House) -> None:
    await house.upload("pub", "small")
    for method in ("DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = await Client(house.server).request(method, SMALL)
        assert answer.status == 405 and set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT"}, method
        channel = await Client(house.server).request(method, "/api/repo/pub")
        assert channel.status == 405 and set(channel.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}, method


async def test_a_package_whose_bytes_are_gone_is_a_fault_that_the_log_knows(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    data = (await both_sizes(house))[LARGE]
    await house.services.blobs.delete(hashlib.sha256(data).hexdigest())
    answer = await house.web.get(LARGE)
    assert answer.status == 500
    number = answer.json()["details"]["request_id"]
    assert number in answer.json()["detail"]
    (logged,) = [record for record in caplog.records if record.exc_info]
    assert vars(logged)["values"] == {"request_id": number, "method": "GET", "path": LARGE}
