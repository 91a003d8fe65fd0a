"""Copy, move and removal: nothing is lost, nothing counted twice, whoever else is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import contents, entries
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.formats.base import Coordinate
from packhouse.workflows.publishing.moving import BATCH, copy, remove
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.publishing.upload import upload
from packhouse.workflows.records import build_record
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.mirroring import events, make_test_channel, services_on, shown


@pytest.fixture
async def services(backend: Backend) -> AsyncIterator[Services]:
    async with services_on(backend) as found:
        yield found


async def put(services: Services, channel: Channel, name: str, version: str = "1.0", text: bytes = b"") -> bool:
    """Upload a package; return whether it is new."""
    async with services.blobs.writer() as writer:
        await writer.write(make_conda(name, version, files={"file": text} if text else {}))
        return (await upload(services, channel, "somebody", writer, f"{name}-{version}-0.conda")).created


async def promise(services: Services, channel: Channel, name: str, mirror_id: int | None = None) -> None:
    """Let a channel show a file as mirrors do before they fetch it, of a source that claims no hash."""
    at = Coordinate("conda", "noarch", f"{name}-1.0-0.conda", name, "1.0", "0")
    source = {"name": name, "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}

    async def work(unit: Unit) -> None:
        record_id = await contents.add_record(unit, build_record(at.filename, source, family=at.family))
        empty = dict.fromkeys(("content_id", "source_url", "source_hash", "first_seen_at"))
        row = {**entries.key_of(channel.id, at), **empty, "name": name, "record_id": record_id}
        await entries.add_one(
            unit, {**row, "mirror_id": mirror_id, "uploaded": False, "visible_at": unit.now, "event_id": 0}
        )
        await entries.mark_dirty(unit, channel.id, [("noarch", name)])

    await services.db.write(work)
    await services.publisher.publish(channel.id)


async def test_a_move_onto_bytes_that_may_differ_is_refused_and_loses_nothing(services: Services) -> None:
    ours, theirs = await make_test_channel(services, "ours"), await make_test_channel(services, "theirs")
    await promise(services, ours, "demo")
    await put(services, theirs, "demo")
    with pytest.raises(PackhouseError) as refused:
        await copy(services, ours, theirs, "somebody", [Item("demo")], move=True)
    assert refused.value.code == "different_content"
    assert set(await shown(services, ours)) == {"demo-1.0-0.conda"}
    assert set(await shown(services, theirs)) == {"demo-1.0-0.conda"}


async def test_two_removals_at_once_remove_each_file_once(services: Services) -> None:
    ours = await make_test_channel(services)
    for number in range(12):
        await put(services, ours, "demo", f"1.{number}")
    counts = await asyncio.gather(
        *(remove(services, ours, "somebody", [Item("demo")]) for _ in range(2)), return_exceptions=True
    )
    done = [count for count in counts if isinstance(count, int)]
    assert sum(done) == 12
    refused = [count for count in counts if not isinstance(count, int)]
    assert all(isinstance(error, PackhouseError) and error.code == "not_found" for error in refused)
    removed = [data for kind, _, data in await events(services, "artifact_removed")]
    assert len(removed) == len([count for count in done if count])
    assert await shown(services, ours) == {}


async def test_many_files_move_under_one_event(services: Services) -> None:
    ours, theirs = await make_test_channel(services, "ours"), await make_test_channel(services, "theirs")
    names = [f"n{number}" for number in range(BATCH + 5)]
    for name in names:
        await promise(services, ours, name)
    assert await copy(services, ours, theirs, "somebody", [Item(name) for name in names], move=True) == len(names)
    assert await shown(services, ours) == {}
    assert len(await shown(services, theirs)) == len(names)
    assert len(await events(services, "artifact_moved")) == 1


async def test_the_second_batch_fails_and_the_first_is_published(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packhouse.workflows.publishing.moving.BATCH", 1)
    ours = await make_test_channel(services)
    await put(services, ours, "one")
    await put(services, ours, "two")
    real, calls = services.db.write, []

    async def breaks(work: object) -> object:
        calls.append(work)
        if len(calls) == 2:
            raise PackhouseError("try_later", "The database is away for the moment.")
        return await real(work)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(services.db, "write", breaks)
    with pytest.raises(PackhouseError):
        await remove(services, ours, "somebody", [Item("one"), Item("two")])
    monkeypatch.undo()
    assert set(await shown(services, ours)) == {"two-1.0-0.conda"}


async def test_a_request_of_too_many_items_is_refused(services: Services) -> None:
    ours = await make_test_channel(services)
    with pytest.raises(PackhouseError) as refused:
        await remove(services, ours, "somebody", [Item(f"n{number}") for number in range(10_001)])
    assert refused.value.code == "bad_request"
