"""The same question again is answered from memory, and never a moment longer than the answer is right."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog import changes
from packhouse.catalog.installation.keys import load_keys
from packhouse.core.clock import SECOND, monotonic, to_iso
from packhouse.doors.entrance import Entrance
from packhouse.doors.serve import answers
from packhouse.doors.serve.conda import CondaDoor
from packhouse.workflows.channels.editing import Edit, edit_channel
from packhouse.workflows.people import tokens
from tests.kit.house import House
from tests.kit.keys import SEALER

FILE = "/api/repo/hush/noarch/one-1.0-0.conda"
INDEX = "/api/repo/hush/noarch/repodata_shards.msgpack.zst"


@pytest.fixture
async def asked(house: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A private channel of ann's with a package; what is really looked for, as it goes."""
    await house.person("ann")
    await house.channel("hush", "private", "ann")
    await house.upload("hush", "one")
    await house.caught_up()
    found: list[str] = []
    real = CondaDoor.answer

    async def noted(self: CondaDoor, principal: Any, address: Any, *more: Any, **named: Any) -> Any:
        found.append(address.file)
        return await real(self, principal, address, *more, **named)

    monkeypatch.setattr(CondaDoor, "answer", noted)
    monkeypatch.setattr(changes, "STALE_SECONDS", 4.5)  # a slow machine needs longer for a test; S3 paths last 5
    return found


async def test_the_same_question_is_looked_into_once(house: House, asked: list[str]) -> None:
    ann = house.as_("ann")
    for target in (FILE, INDEX):
        asked.clear()
        first = await ann.get(target)
        tag = first.headers["etag"]
        for _ in range(3):
            assert (await ann.get(target)) == first
        assert (await ann.get(target, if_none_match=tag)).status == 304
        assert (await ann.get(target, range="bytes=3-")).body == first.body[3:]
        head = await ann.head(target, if_none_match='"other"')
        assert (head.status, head.headers, head.body) == (200, first.headers, b"")
        assert len(asked) == 1


async def test_bytes_of_few_small_files_are_kept(
    house: House, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, large = house.as_("ann"), FILE.replace("one", "large")
    await house.upload("hush", "two")
    await house.upload("hush", "large", files={"share/noise": random.Random(1).randbytes(answers.SMALL_BYTES)})
    await house.caught_up()
    monkeypatch.setattr(answers, "MOST_BYTES", int((await ann.head(FILE)).headers["content-length"]) * 3 // 2)
    read: Counter[str] = Counter()
    real = os.open

    def noted(path: Any, *more: Any, **named: Any) -> int:
        read[str(path)] += 1
        return real(path, *more, **named)

    monkeypatch.setattr(os, "open", noted)
    for target, times in ((FILE, 1), (FILE.replace("one", "two"), 6), (large, 6)):
        read.clear()
        bodies = [(await ann.get(target)).body for _ in range(6)]
        assert len(set(bodies)) == 1
        assert read[str(await _place(house, bodies[0]))] == times, target
    house.services.feed.doubt()
    read.clear()
    monkeypatch.setattr(answers, "monotonic", lambda: monotonic() + 5)  # they are given back with the answers
    for _ in range(2):
        assert (await ann.get(FILE)).status == 200
    assert read.total() == 2


async def _place(house: House, body: bytes) -> Path:
    return await house.services.blobs.path(hashlib.sha256(body).hexdigest(), len(body))


async def test_an_answer_is_for_who_asked(house: House, asked: list[str]) -> None:
    token = house.people["ann"].token
    right = ({"x-auth": token}, {"x-api-key": token}, {"authorization": f"Bearer {token}"})
    wrong: tuple[dict[str, str], ...] = (
        {}, {"x-auth": "another"}, {"x-auth": "another", "x-api-key": token}, {"cookie": f"x-auth={token}"},
    )  # fmt: skip
    for _ in range(2):
        for target in (FILE, INDEX):
            for shown in right:
                assert (await house.web.with_headers(shown).get(target)).status == 200, shown
            for shown in wrong:
                assert (await house.web.with_headers(shown).get(target)).status == 401, shown
            in_path = target.replace("/repo/", f"/repo/t/{token}/")
            assert (await house.web.get(in_path)).status == 200
            assert (await house.web.get(in_path.replace(token, "another"))).status == 401


async def test_who_ends_a_token_sees_it_refused_at_once(house: House, asked: list[str]) -> None:
    ann = house.as_("ann")
    for target in (FILE, INDEX):
        assert (await ann.get(target)).status == 200
    gone = await ann.request("DELETE", f"/api/account/tokens/{house.people['ann'].token_id}")
    assert gone.status in (200, 204), gone.body
    for target in (FILE, INDEX):
        assert (await ann.get(target)).status == 401


async def test_a_token_that_expires_is_refused_from_that_moment(house: House, asked: list[str]) -> None:
    db = house.services.db
    keys, ann, statuses = await load_keys(db, SEALER), house.people["ann"].principal, set[int]()
    for seconds in (1, 5, 20):  # a machine may stall until the first has expired
        ends = await db.now() + seconds * SECOND
        _, value = await tokens.create(db, keys, ann, f"for {seconds} s", None, to_iso(ends))
        shown = house.web.with_headers({"x-auth": value})
        while (before := await db.now()) < ends + SECOND // 10 or 401 not in statuses:
            status = (await shown.get(FILE)).status
            if before >= ends:
                assert status == 401
            statuses.add(status)
            await asyncio.sleep(0.02)
        if 200 in statuses:
            break
    assert statuses == {200, 401}


async def test_an_upload_shows_in_the_very_next_answer(house: House, asked: list[str]) -> None:
    ann = house.as_("ann")
    for number in range(3):
        tag = (await ann.get(INDEX)).headers["etag"]
        assert (await ann.get(INDEX, if_none_match=tag)).status == 304
        await house.upload("hush", f"new{number}")
        assert (await ann.get(INDEX, if_none_match=tag)).status == 200


async def test_an_answer_on_its_way_is_not_remembered_after_a_change(
    house: House, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.channel("pub2")
    await house.upload("pub2", "one")
    await house.caught_up()
    target, noted = FILE.replace("hush", "pub2"), CondaDoor.answer
    found, go_on = asyncio.Event(), asyncio.Event()

    async def late(*arguments: Any) -> Any:
        answer = await noted(*arguments)
        found.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr(CondaDoor, "answer", late)
    slow = asyncio.create_task(house.web.get(target))
    await asyncio.wait_for(found.wait(), 60)
    await edit_channel(
        house.services, await house.find("pub2"), house.people["admin"].principal, Edit(privacy="private"), frozenset()
    )
    await house.caught_up()
    go_on.set()
    assert (await slow).status == 200, "it came before the change"
    assert (await house.web.get(target)).status == 401


async def test_few_are_remembered(house: House, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "CAPACITY", 3)
    entrance = house.server._entrance
    assert isinstance(entrance, Entrance)
    for number in range(8):
        padded = house.as_("ann").with_headers({"x-api-key": str(number)})  # does not count beside `x-auth`
        assert (await padded.get(FILE)).status == 200
    assert 1 <= len(entrance._answers._known) <= 3


async def test_long_questions_are_not_remembered(house: House, asked: list[str]) -> None:
    entrance = house.server._entrance
    assert isinstance(entrance, Entrance)
    before = len(entrance._answers._known)
    padded = house.as_("ann").with_headers({"x-api-key": "x" * 5000})  # does not count beside `x-auth`
    assert (await padded.get(FILE)).status == 200
    assert len(entrance._answers._known) <= before
