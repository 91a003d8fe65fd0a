"""Uploads and moves while a run of a mirror touches the same coordinate: no file is lost, and none has two contents.

Both hold the channel only against freezing and deletion, so on PostgreSQL they overlap. The run begins in the middle
of the unit, and is given the time to get in between if it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.packages import contents, entries
from packhouse.core.errors import PackhouseError
from packhouse.workflows.publishing.moving import copy
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.publishing.upload import Uploaded, upload
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.mirroring import CondaSource, add_mirror, make_test_channel, run_and_wait, services_on
from tests.kit.upstream import Upstream

FILE = "flask-1.0-0.conda"
OURS = make_conda("flask", "1.0", "0", files={"data": b"ours"})

Rival = Callable[[], Awaitable[Mirror]]


@pytest.fixture
async def services(backend: Backend) -> AsyncIterator[Services]:
    if backend.name.startswith("sqlite"):
        pytest.skip("SQLite runs one unit at a time")
    async with services_on(backend) as found:
        yield found


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    """An upstream with a file of the same name and other bytes."""
    source = CondaSource()
    source.add("flask", files={"data": b"theirs"})
    async with Upstream(source.files()) as found:
        yield found


def interrupt(monkeypatch: pytest.MonkeyPatch, module: Any, step: str, rival: Rival) -> list[asyncio.Task[Mirror]]:
    """Let a run begin before the first `step` of a unit, which goes on once the run has ended, or waits for it."""
    real, begun = getattr(module, step), list[asyncio.Task[Mirror]]()

    async def late(*args: Any) -> Any:
        if not begun:
            begun.append(asyncio.ensure_future(rival()))
            await asyncio.wait(begun, timeout=2)
        return await real(*args)

    monkeypatch.setattr(module, step, late)
    return begun


async def put(services: Services, channel: Channel, content: bytes) -> Uploaded:
    async with services.blobs.writer() as writer:
        await writer.write(content)
        return await upload(services, channel, "bob", writer, FILE, "noarch")


async def stands(services: Services, channel: Channel) -> tuple[bool, int | None, bytes | None] | None:
    """Return whether we hold the bytes, whose mirror's file it is, and its SHA-256; None when there is none."""
    found = await entries.find(services.db, channel.id, "conda", "noarch", FILE)
    return None if found is None else (found.active, found.mirror_id, found.sha256)


async def test_an_upload_is_refused_when_a_mirror_was_first_with_other_bytes(
    services: Services, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await make_test_channel(services)
    mirror = await add_mirror(services, channel, up.url)
    interrupt(monkeypatch, contents, "add_record", lambda: run_and_wait(services, mirror))
    with pytest.raises(PackhouseError) as refused:
        await put(services, channel, OURS)
    assert refused.value.code == "different_content"
    promised = await stands(services, channel)
    assert promised is not None and promised[:2] == (False, mirror.id)
    assert await services.db.fetch_value("SELECT count(*) FROM binding") == 0


async def test_an_upload_takes_over_what_a_mirror_promised_meanwhile(
    services: Services, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await make_test_channel(services)
    mirror = await add_mirror(services, channel, up.url)
    interrupt(monkeypatch, contents, "add_record", lambda: run_and_wait(services, mirror))
    uploaded = await put(services, channel, up.files[f"noarch/{FILE}"])
    assert uploaded.created
    assert await stands(services, channel) == (True, None, bytes.fromhex(uploaded.hashes.sha256))


async def test_a_run_does_not_take_away_what_is_being_uploaded(
    services: Services, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await make_test_channel(services)
    mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
    theirs = up.files[f"noarch/{FILE}"]
    up.files = CondaSource().files()
    runs = interrupt(monkeypatch, contents, "add_record", lambda: run_and_wait(services, mirror, accept_shrink=True))
    uploaded = await put(services, channel, theirs)
    ended = await runs[0]
    assert (ended.state, ended.progress.count.removed) == ("completed", 0)
    assert await stands(services, channel) == (True, None, bytes.fromhex(uploaded.hashes.sha256))


@pytest.mark.parametrize("same", [False, True], ids=["other bytes", "the same bytes"])
async def test_a_move_loses_no_file_to_a_mirror_of_its_target(
    services: Services, up: Upstream, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    source, target = await make_test_channel(services, "source"), await make_test_channel(services, "target")
    uploaded = await put(services, source, up.files[f"noarch/{FILE}"] if same else OURS)
    ours = (True, None, bytes.fromhex(uploaded.hashes.sha256))
    mirror = await add_mirror(services, target, up.url)
    interrupt(monkeypatch, entries, "copy_rows", lambda: run_and_wait(services, mirror))
    if same:
        assert await copy(services, source, target, "bob", [Item("flask")], move=True) == 1
        assert (await stands(services, source), await stands(services, target)) == (None, ours)
        return
    with pytest.raises(PackhouseError) as refused:
        await copy(services, source, target, "bob", [Item("flask")], move=True)
    assert refused.value.code == "different_content"
    assert await stands(services, source) == ours
