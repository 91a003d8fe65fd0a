"""What a process remembers of channels, rights and files, and when it must not trust its memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog import changes as change_list
from packhouse.catalog.accounts.holding import Holding, holding_of
from packhouse.catalog.channels import store as channels
from packhouse.core.db.base import Reader
from packhouse.workflows.admitting import authenticator
from packhouse.workflows.answering.refusing import refusal_of
from packhouse.workflows.channels.deleting import delete_channel
from packhouse.workflows.channels.editing import Edit, edit_channel
from packhouse.workflows.delivering import gate as gates
from packhouse.workflows.delivering.gate import Gate
from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.house import House, second_process
from tests.kit.judging import govern

FILE = "/api/repo/pub/noarch/one-1.0-0.conda"


async def make(house: House, **edit: Any) -> None:
    """Edit the channel `pub`."""
    await edit_channel(
        house.services, await house.find("pub"), house.people["admin"].principal, Edit(**edit), frozenset()
    )


async def test_another_process_hears_of_removal_privacy_rename_and_deletion(
    house: House, backend: Backend, tmp_path: Path
) -> None:
    await house.upload("pub", "one")
    await house.upload("pub", "two")
    two = FILE.replace("one", "two")
    async with second_process(backend, house, tmp_path / "second") as other:

        async def status(target: str) -> int:
            await other.caught_up()
            return (await other.web.get(target)).status

        assert (await status(FILE), await status(two)) == (200, 200)
        await house.remove("pub", "one")
        assert (await status(FILE), await status(two)) == (404, 200)
        await make(house, privacy="private")
        assert await status(two) == 401
        await make(house, privacy="public", name="new")
        assert (await status(two), await status(two.replace("pub", "new"))) == (401, 200)
        await delete_channel(house.services, await house.find("new"), "admin")
        assert await status(two.replace("pub", "new")) == 401


async def test_a_hidden_file_is_refused_with_its_rule_and_comes_back(house: House) -> None:
    await house.upload("pub", "one")
    assert (await house.web.get(FILE)).status == 200
    await govern(house, "pub", exclude_package_name=["one"])
    for _ in range(2):  # the second one is remembered
        refused = await house.web.get(FILE)
        assert refused.status == 403 and "exclude_package_name" in refused.json()["message"]
        assert "exclude_package_name" in refused.headers["x-packhouse-reason"]
    await govern(house, "pub")
    assert (await house.web.get(FILE)).status == 200


async def test_what_changes_elsewhere_makes_no_refusal_be_worked_out_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.channel("other")
    await house.upload("pub", "one")
    await govern(house, "pub", exclude_package_name=["one"])
    worked_out = []
    monkeypatch.setattr(change_list, "STALE_SECONDS", 60.0)  # a machine that stalls would doubt what it remembers

    async def counted(*arguments: Any) -> Any:
        worked_out.append(arguments)
        return await refusal_of(*arguments)

    monkeypatch.setattr(gates, "refusal_of", counted)
    for channel, times in (("other", 1), ("pub", 2)):
        assert (await house.web.get(FILE)).status == 403
        await house.upload(channel, "two")
        await house.caught_up()
        assert (await house.web.get(FILE)).status == 403
        assert len(worked_out) == times, channel


async def test_a_process_that_cannot_follow_asks_the_database(
    house: House, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.upload("pub", "one")
    monkeypatch.setattr(change_list, "STALE_SECONDS", 0.4)
    async with second_process(backend, house, tmp_path / "second") as deaf:
        for _ in range(2):
            assert (await deaf.web.get(FILE)).status == 200
        for task in deaf.server._tasks:
            task.cancel()
        await asyncio.sleep(0.5)
        await house.remove("pub", "one")
        assert (await deaf.web.get(FILE)).status == 404
        assert "one" not in (await deaf.web.get("/api/repo/pub/noarch/repodata.json")).body.decode()


async def test_a_right_read_before_a_change_is_not_remembered_after_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.upload("pub", "one")
    await make(house, description="so that nobody remembers the channel")
    await house.caught_up()
    real, asked, go_on = channels.by_path, asyncio.Event(), asyncio.Event()

    async def late(*arguments: Any) -> Any:
        answer = await real(*arguments)
        if not asked.is_set():
            asked.set()
            await go_on.wait()
        return answer

    monkeypatch.setattr(channels, "by_path", late)
    slow = asyncio.create_task(house.web.get(FILE))
    await asyncio.wait_for(asked.wait(), 60)
    await make(house, privacy="private")
    await house.caught_up()
    go_on.set()
    await slow  # it came before the change
    assert (await house.web.get(FILE)).status == 401


async def test_memory_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "CAPACITY", 3)
    gate = Gate(house.services.db, house.services.feed)
    channel = await house.find("pub")
    for number in range(8):
        await house.upload("pub", f"p{number}")
        await gate.entry(channel, "conda", "noarch", f"p{number}-1.0-0.conda")
        await gate.entry(channel, "conda", "noarch", f"p{number}-1.0-0.conda")
        remembered = [entry for entries in gate._entries.values() for entry in entries]
        assert len(remembered) == gate._count <= 3


async def test_a_role_that_changes_while_its_holder_is_looked_up_counts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is let in once on the word of yesterday must not be remembered as let in."""
    await house.channel("shared", "authenticated")
    await house.upload("shared", "one")
    await house.person("outsider")
    file, outsider = "/api/repo/shared/noarch/one-1.0-0.conda", house.people["outsider"].principal
    edited: list[str] = []

    async def overtaken(reader: Reader, account_id: int | None) -> Holding:
        found = await holding_of(reader, account_id)
        if account_id == outsider.account_id and not edited:
            for role in ("everyone", "author"):
                edited.append(role)
                answer = await call(house.admin, "PUT", f"/api/roles/{role}", {"levels": {"artifact": "none"}})
                assert answer.status == 200
            await house.caught_up()
        return found

    monkeypatch.setattr(authenticator, "holding_of", overtaken)
    await house.as_("outsider").get(file)
    assert edited and (await house.as_("outsider").get(file)).status == 403
