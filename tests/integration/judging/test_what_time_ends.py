"""What time ends is judged to the last file, however many looks that takes: no age and no waiver outlives its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from packhouse.core.clock import DAY, SECOND
from packhouse.core.db import Unit
from packhouse.workflows.governing.waiving import Wanted, create_waiver
from packhouse.workflows.judging import duty, preparing
from tests.conftest import Backend
from tests.kit.house import House, open_house
from tests.kit.judging import govern, intend, judged, listed, status_of

NAMES = ("p0", "p1", "p2")


@pytest.fixture
async def house(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A server with a public channel `pub`, whose worker looks at a single end at a time."""
    monkeypatch.setattr(duty, "ENDED", 1)
    async with open_house(backend) as opened:
        await opened.channel("pub")
        yield opened


async def stock(house: House, *versions: str) -> None:
    """Give the channel versions of every package, as if a mirror had first seen them an hour ago."""
    for name in NAMES:
        for version in versions:
            await house.upload("pub", name, version)
    seen = await house.services.db.now() - 3600 * SECOND

    async def work(unit: Unit) -> None:
        await unit.execute("UPDATE entry SET uploaded = :no, first_seen_at = :at", no=False, at=seen)

    await house.services.db.write(work)


async def days_pass(house: House) -> None:
    """Let two days have gone by since everything was written."""

    async def work(unit: Unit) -> None:
        await unit.execute("UPDATE entry SET first_seen_at = first_seen_at - :ago", ago=2 * DAY)
        for table in ("overlay", "waiver"):
            await unit.execute(f'UPDATE {table} SET "until" = "until" - :ago', ago=2 * DAY)

    await house.services.db.write(work)


async def handed_out(house: House, version: str) -> set[str]:
    """Return the packages of which a direct request for a version is answered."""
    return {name for name in NAMES if await status_of(house, "pub", f"{name}-{version}-0.conda") == 200}


def files(version: str) -> set[str]:
    """Return the file names of a version of every package."""
    return {f"{name}-{version}-0.conda" for name in NAMES}


async def test_every_file_that_is_old_enough_by_now_is_shown(house: House) -> None:
    await stock(house, "1.0")
    await govern(house, "pub", minimum_age_days=1)
    assert (await listed(house, "pub"), await handed_out(house, "1.0")) == (set(), set())
    await days_pass(house)
    await judged(house)
    assert (await listed(house, "pub"), await handed_out(house, "1.0")) == (files("1.0"), set(NAMES))
    assert await house.services.db.fetch_value("SELECT count(*) FROM overlay") == 0, "nothing is left to look at"


async def test_an_old_enough_file_that_is_not_the_latest_stays_hidden(house: House) -> None:
    await stock(house, "1.0", "2.0")
    await govern(house, "pub", minimum_age_days=1, latest_only=True)
    assert await listed(house, "pub") == set()
    await days_pass(house)
    await judged(house)
    assert await listed(house, "pub") == files("2.0")
    assert (await handed_out(house, "1.0"), await handed_out(house, "2.0")) == (set(), set(NAMES))


async def test_every_file_whose_waiver_ends_is_hidden_again(house: House) -> None:
    await stock(house, "1.0")
    await govern(house, "pub", exclude_package_name=["p*"])
    until = await house.services.db.now() + DAY
    for name in NAMES:
        await create_waiver(
            house.services, "admin", Wanted(family="conda", name=name, reason="needed until then", until=until)
        )
    await judged(house)
    assert (await listed(house, "pub"), await handed_out(house, "1.0")) == (files("1.0"), set(NAMES))
    await days_pass(house)
    await judged(house)
    assert (await listed(house, "pub"), await handed_out(house, "1.0")) == (set(), set())


async def test_what_a_former_policy_hid_is_listed_though_its_time_ends_before_the_index_follows(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is killed once the gate obeys, and the next one finds reasons of the former policy that ended."""
    await stock(house, "1.0")
    await govern(house, "pub", minimum_age_days=1)

    async def killed(*_given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "_settle", killed)
        with pytest.raises(KeyboardInterrupt):
            await govern(house, "pub")
    await days_pass(house)
    await judged(house)
    assert (await listed(house, "pub"), await handed_out(house, "1.0")) == (files("1.0"), set(NAMES))
    assert await house.services.db.fetch_value("SELECT count(*) FROM overlay") == 0, "nothing is left to look at"


async def test_what_ends_before_its_policy_is_in_force_is_judged_by_that_policy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one worker brings a policy into force, files grow old enough for it, and another worker judges them."""
    await stock(house, "1.0", "2.0")
    await intend(house, "pub", minimum_age_days=1, latest_only=True)
    write = preparing._write

    async def long(*given: Any) -> bool:
        written = await write(*given)
        await days_pass(house)
        await duty._end_by_time(house.services)
        return written

    monkeypatch.setattr(preparing, "_write", long)
    await judged(house)
    assert await listed(house, "pub") == files("2.0")
    assert (await handed_out(house, "1.0"), await handed_out(house, "2.0")) == (set(), set(NAMES))
