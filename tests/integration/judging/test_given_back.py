"""A policy that is taken away from a channel and given back while it is prepared: nothing slips past it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from packhouse.workflows.judging import preparing
from tests.conftest import Backend
from tests.kit.feeding import osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, intend, judged, listed, status_of

PYTHON = ["python >=3.8"]
LATER = "lib-1.2-0.conda"


@pytest.fixture
async def house(backend: Backend, tmp_path: Path) -> AsyncIterator[House]:
    """A server with two public channels, of which `pub` has a vulnerable package."""
    async with open_house(backend) as opened:
        for channel in ("pub", "other"):
            await opened.channel(channel)
        await opened.upload("pub", "lib", "1.0", depends=PYTHON)
        await advise(opened.services, tmp_path, osv(1, "lib"))
        await judged(opened)
        yield opened


def once(
    monkeypatch: pytest.MonkeyPatch, name: str, *, before: Callable[[], Awaitable[None]] | None = None,
    after: Callable[[], Awaitable[None]] | None = None,
) -> None:  # fmt: skip
    """Let something happen before or after the first call of a step of preparing."""
    step = getattr(preparing, name)

    async def interrupted(*given: Any) -> Any:
        monkeypatch.setattr(preparing, name, step)
        if before:
            await before()
        answer = await step(*given)
        if after:
            await after()
        return answer

    monkeypatch.setattr(preparing, name, interrupted)


async def test_what_arrived_while_the_policy_was_taken_away_is_hidden(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def meanwhile() -> None:
        await intend(house, "pub")
        await house.upload("pub", "lib", "1.2", depends=PYTHON)
        await intend(house, "pub", cve_score=7)

    once(monkeypatch, "_write", after=meanwhile)
    await govern(house, "pub", cve_score=7)
    assert (await listed(house, "pub"), await status_of(house, "pub", LATER)) == (set(), 403)


async def test_what_arrived_while_another_channel_still_wanted_the_policy_is_hidden(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def meanwhile() -> None:
        await intend(house, "pub", cve_score=9)
        await house.upload("pub", "lib", "1.2", depends=PYTHON)
        await intend(house, "pub", cve_score=7)

    await house.upload("other", "lib", "1.0", depends=PYTHON)
    await intend(house, "other", cve_score=7)
    once(monkeypatch, "_write", after=meanwhile)
    await govern(house, "pub", cve_score=7)
    assert (await listed(house, "pub"), await listed(house, "other")) == (set(), set())
    assert await status_of(house, "pub", LATER) == 403


async def test_reasons_of_a_channel_are_written_though_it_did_not_want_the_policy_when_they_were_due(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for channel in ("pub", "other"):
        await house.upload(channel, "lib", "1.2", depends=PYTHON)
    await intend(house, "other", latest_only=True)
    await intend(house, "pub", latest_only=True)
    once(
        monkeypatch, "_write", before=lambda: intend(house, "pub"),
        after=lambda: intend(house, "pub", latest_only=True),
    )  # fmt: skip
    await judged(house)
    assert await listed(house, "pub") == {LATER}
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 403
