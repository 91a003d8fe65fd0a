"""Upload by PUT on the address where the file will be found (as uploaders to Artifactory send it)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from packhouse.core.db import Unit
from packhouse.doors import entrance
from tests.conftest import Backend
from tests.kit.asgi import listening
from tests.kit.condapkg import make_conda, make_tarbz2, zstd
from tests.kit.house import House, open_house, second_process
from tests.kit.jobs import HEARD
from tests.kit.wire import fetch, raw

ONE = "/api/repo/pub/noarch/one-1.0-0.conda"
DATA = make_conda("one", "1.0")


async def test_created_then_the_same_again(house: House) -> None:
    first = await house.admin.put(ONE, DATA)
    assert first.status == 201
    assert first.json()["name"] == "one" and first.json()["ckey"] == "noarch/one-1.0-0.conda"
    again = await house.admin.put(ONE, DATA)
    assert again.status == 200 and again.json() == first.json()
    assert (await house.web.get(ONE)).body == DATA


async def test_both_package_formats_and_any_subdir(house: House) -> None:
    old = make_tarbz2("old", "1.0", subdir="linux-64")
    assert (await house.admin.put("/api/repo/pub/linux-64/old-1.0-0.tar.bz2", old)).status == 201
    assert (await house.web.get("/api/repo/pub/linux-64/old-1.0-0.tar.bz2")).body == old


async def test_a_body_without_length(house: House) -> None:
    pieces = [DATA[start : start + 100] for start in range(0, len(DATA), 100)]
    assert (await house.admin.put(ONE, pieces)).status == 201
    assert (await house.web.get(ONE)).body == DATA


async def test_other_bytes_never_replace_a_file(house: House) -> None:
    await house.admin.put(ONE, DATA)
    other = await house.admin.put(ONE, make_conda("one", "1.0", files={"a": b"b"}))
    assert other.status == 409
    assert "already exists" in other.json()["message"] and "noarch/one-1.0-0.conda" in other.json()["message"]
    assert (await house.web.get(ONE)).body == DATA


REFUSED = [
    (ONE, b"", 422, "one-1.0-0.conda"),
    (ONE, b"not a package", 422, "one-1.0-0.conda"),
    (ONE, DATA[:-30], 422, "one-1.0-0.conda"),
    (ONE, make_conda("two", "1.0"), 422, "named as the package one-1.0-0, but is 'two-1.0-0'"),
    (ONE.replace("conda", "tar.bz2"), make_tarbz2("two", "1.0"), 422, "the package inside has the name 'two'"),
    (ONE, make_conda("one", "1.0", subdir="linux-64"), 422, "linux-64"),
    ("/api/repo/pub/noarch/One-1.0-0.conda", DATA, 422, "One"),
    ("/api/repo/pub/noarch/one-1.0.conda", DATA, 422, "name"),
    ("/api/repo/pub/noarch/repodata.json", b"{}", 415, ".conda"),
    ("/api/repo/pub/one-1.0-0.conda", DATA, 404, "one-1.0-0.conda"),
    ("/api/repo/pub/notices.json", b"{}", 415, ".conda"),
    ("/api/repo/nowhere/noarch/one-1.0-0.conda", DATA, 404, "channel"),
]


async def test_refusals_say_why_and_leave_nothing(house: House) -> None:
    for target, data, status, says in REFUSED:
        answer = await house.admin.put(target, data)
        assert answer.status == status and says in answer.json()["message"], (target, answer.body)
        assert await house.leftovers() == [], target


async def test_refused_other_bytes_leave_no_blob(house: House) -> None:
    await house.admin.put(ONE, DATA)
    before = await house.leftovers()
    assert (await house.admin.put(ONE, make_conda("one", "1.0", files={"a": b"b"}))).status == 409
    assert await house.leftovers() == before


async def test_a_frozen_channel_takes_nothing(house: House) -> None:
    channel = await house.find("pub")

    async def freeze(unit: Unit) -> None:
        await unit.execute("UPDATE channel SET frozen_at = 1 WHERE id = :id", id=channel.id)

    await house.services.db.write(freeze)
    answer = await house.admin.put(ONE, DATA)
    assert answer.status == 409 and "frozen" in answer.json()["message"]
    assert await house.leftovers() == []


async def test_who_may_not_write(house: House) -> None:
    await house.person("author")
    assert (await house.web.put(ONE, DATA)).status == 401
    assert (await house.as_("author").put(ONE, DATA)).status == 403
    assert await house.leftovers() == []


async def test_too_large_by_its_own_account_and_in_truth(backend: Backend) -> None:
    async with open_house(backend, upload_bytes=len(DATA)) as house:
        await house.channel("pub")
        assert (await house.admin.put(ONE, DATA)).status == 201
        large = make_conda("big", "1.0", files={"a": bytes(range(256)) * 40})
        target = "/api/repo/pub/noarch/big-1.0-0.conda"

        def endless() -> Iterator[bytes]:
            raise AssertionError("a byte was read although the header said enough")
            yield b""

        refused = await house.admin.request("PUT", target, {"content-length": str(len(DATA) + 1)}, endless())
        assert refused.status == 413 and str(len(DATA)) in refused.json()["message"]
        assert (await house.admin.request("PUT", target, {"content-length": "9" * 40}, endless())).status == 413
        assert (await house.admin.put(target, [large])).status == 413
        assert (await house.web.get(target)).status == 404


async def test_an_upload_that_breaks_off_leaves_nothing(house: House) -> None:
    for cut in (0, 1, len(DATA) // 2, len(DATA)):
        await house.admin.request("PUT", ONE, {}, [DATA[:cut]], breaks_off=True)
    assert (await house.web.get(ONE)).status == 404
    assert await house.leftovers() == []


async def test_broken_off_over_a_real_socket(house: House) -> None:
    async with listening(house.server) as url:
        host, port = url.removeprefix("http://").split(":")
        for length in (len(DATA), None):
            _, writer = await asyncio.open_connection(host, int(port))
            framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
            token = house.people["admin"].token
            writer.write(f"PUT {ONE} HTTP/1.1\r\nHost: x\r\nX-Auth: {token}\r\n{framing}\r\n\r\n".encode())
            writer.write(DATA[:100] if length else b"64\r\n" + DATA[:100] + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.transport.abort()
        deadline = time.monotonic() + 60
        while (left := await house.leftovers()) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert left == []
    assert (await house.web.get(ONE)).status == 404


@pytest.mark.parametrize("length", [len(DATA), None])
async def test_a_client_that_falls_silent_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    monkeypatch.setattr(entrance, "PATIENCE_SECONDS", 0.2)
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    token = house.people["admin"].token
    begin = f"PUT {ONE} HTTP/1.1\r\nHost: x\r\nX-Auth: {token}\r\n{framing}\r\n\r\n".encode()
    async with listening(house.server) as url:
        got = await raw(url, begin + (DATA[:100] if length else b"64\r\n" + DATA[:100] + b"\r\n"))
        assert got.startswith(b"HTTP/1.1 400") and b"broke off" in got
        assert await house.leftovers() == []


async def test_an_early_refusal_reaches_a_client_that_is_still_sending(house: House) -> None:
    async def large() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(256 * 1024)

    async with listening(house.server) as url:
        assert (await fetch(url + ONE, method="PUT", data=large())).status == 401
        auth = house.people["admin"].auth
        missing = url + "/api/repo/nowhere/noarch/one-1.0-0.conda"
        assert (await fetch(missing, method="PUT", headers=auth, data=large())).status == 404


async def test_what_was_uploaded_is_installable_when_the_answer_says_so(house: House) -> None:
    for number in range(20):
        name = f"p{number}"
        await house.upload("pub", name)
        shown = (await house.web.get("/api/repo/pub/noarch/repodata.json")).json()["packages.conda"]
        assert f"{name}-1.0-0.conda" in shown and len(shown) == number + 1
        packed = await house.web.get("/api/repo/pub/noarch/repodata.json.zst")
        assert f"{name}-1.0-0.conda".encode() in zstd.decompress(packed.body)
        assert name.encode() in zstd.decompress(
            (await house.web.get("/api/repo/pub/noarch/repodata_shards.msgpack.zst")).body
        )


async def test_what_was_uploaded_is_soon_in_another_process(house: House, backend: Backend, tmp_path: Path) -> None:
    await house.upload("pub", "first")
    async with second_process(backend, house, tmp_path / "second") as other:
        names = ("repodata_shards.msgpack.zst", "repodata.json", "current_repodata.json", "run_exports.json")
        before = {name: (await other.web.get(f"/api/repo/pub/noarch/{name}")).headers["etag"] for name in names}
        await house.upload("pub", "second")
        deadline = time.monotonic() + HEARD
        waiting = set(names)
        while waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            waiting -= {
                name
                for name in waiting
                if (await other.web.get(f"/api/repo/pub/noarch/{name}")).headers["etag"] != before[name]
            }
        assert waiting == set()
        assert (await other.web.get("/api/repo/pub/noarch/second-1.0-0.conda")).status == 200


async def test_many_at_once_share_revisions_and_none_is_lost(house: House) -> None:
    answers = await asyncio.gather(*(house.upload("pub", f"p{number}") for number in range(40)))
    assert [answer.status for answer in answers] == [201] * 40
    shown = (await house.web.get("/api/repo/pub/noarch/repodata.json")).json()["packages.conda"]
    assert len(shown) == 40
    channel = await house.find("pub")
    head = await house.services.db.fetch_value("SELECT revision FROM head WHERE channel_id = :id", id=channel.id)
    numbers = await house.services.db.fetch_all(
        "SELECT number FROM revision WHERE channel_id = :id ORDER BY number", id=channel.id
    )
    assert [row[0] for row in numbers] == list(range(1, head + 1)), "no gap"


async def test_rivals_for_one_name_have_one_winner(house: House) -> None:
    rivals = [make_conda("one", "1.0", files={"a": bytes([number])}) for number in range(8)]
    answers = await asyncio.gather(*(house.admin.put(ONE, data) for data in rivals))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    winner = rivals[[answer.status for answer in answers].index(201)]
    assert (await house.web.get(ONE)).body == winner
