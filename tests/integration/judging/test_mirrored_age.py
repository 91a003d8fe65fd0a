"""Minimum age through mirrors: by whose clock a file is old, who need not wait, and what a copy brings along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.core.clock import DAY
from packhouse.workflows.publishing.moving import copy
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.kit.feeding import add_feed, kev, osv, take
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server whose public channel `pub` shows nothing mirrored that is younger than three days."""
    async with open_house(backend) as opened:
        await opened.channel("pub")
        await govern(opened, "pub", minimum_age_days=3)
        yield opened


async def claimed(house: House, days: float) -> int:
    """Return a record's time of so many days ago, in milliseconds."""
    return int(await house.services.db.now() - days * DAY) // 1000


async def mirror(house: House, up: Upstream) -> Mirror:
    """Let `pub` mirror a server."""
    return await run(house, await add_mirror(house.services, await house.find("pub"), up.url))


async def run(house: House, one: Mirror) -> Mirror:
    """Run a mirror, and judge what follows."""
    ran = await run_and_wait(house.services, one)
    assert ran.state == "completed", ran.progress.last_exception
    await judged(house)
    return ran


def files(*names: str) -> set[str]:
    """Return the file names of these, given as name and version."""
    return {f"{name}-0.conda" for name in names}


async def seen_since(house: House, name: str) -> list[int | None]:
    """Return when files of a package were first seen upstream, in all channels."""
    rows = await house.services.db.fetch_all("SELECT first_seen_at FROM entry WHERE name = :name", name=name)
    return [row[0] for row in rows]


async def test_the_first_index_counts_by_its_claims_and_what_comes_later_by_our_clock(house: House) -> None:
    source = CondaSource()
    source.add("old", timestamp=await claimed(house, 30))
    source.add("young", timestamp=await claimed(house, 1))
    source.add("undated", timestamp=None)
    async with Upstream(source.files()) as up:
        one = await mirror(house, up)
        assert await listed(house, "pub") == files("old-1.0", "undated-1.0")
        assert await status_of(house, "pub", "young-1.0-0.conda") == 403
        source.add("backdated", timestamp=await claimed(house, 30))
        up.files = source.files()
        await run(house, one)
        assert await listed(house, "pub") == files("old-1.0", "undated-1.0")
        refusal = (await house.web.get("/api/repo/pub/noarch/backdated-1.0-0.conda")).json()["details"]
        assert refusal["rule"] == "minimum_age", refusal
        assert up.hits("noarch/backdated-1.0-0.conda") == 0
        await days_pass(house, "backdated")
        assert await listed(house, "pub") == files("old-1.0", "undated-1.0", "backdated-1.0")
        assert await status_of(house, "pub", "backdated-1.0-0.conda") == 200


async def days_pass(house: House, name: str) -> None:
    """Let four days have gone by for a package."""
    at = {"ago": 4 * DAY, "name": name}

    async def work(unit: Any) -> None:
        await unit.execute("UPDATE entry SET first_seen_at = first_seen_at - :ago WHERE name = :name", **at)
        await unit.execute(
            'UPDATE overlay SET "until" = "until" - :ago WHERE record_id IN (SELECT id FROM record WHERE name = :name)',
            **at,
        )

    await house.services.db.write(work)
    await judged(house)


async def test_own_uploads_do_not_wait_and_copies_keep_their_time(house: House) -> None:
    source = CondaSource()
    source.add("tea", timestamp=await claimed(house, 30))
    async with Upstream(source.files()) as up:
        one = await mirror(house, up)
        source.add("late", timestamp=await claimed(house, 30))
        up.files = source.files()
        await run(house, one)
        await house.upload("pub", "ours", "1.0", timestamp=await claimed(house, 0))
        assert await listed(house, "pub") == files("tea-1.0", "ours-1.0")
        await house.channel("prod")
        await govern(house, "prod", minimum_age_days=3)
        pub, prod = await house.find("pub"), await house.find("prod")
        await copy(house.services, pub, prod, "admin", [Item("late"), Item("tea"), Item("ours")], hidden=True)
        await judged(house)
        assert await listed(house, "prod") == files("tea-1.0", "ours-1.0")
        first, second = await seen_since(house, "late")
        assert first == second is not None
        assert await seen_since(house, "tea") == [None, None]
        await days_pass(house, "late")
        assert await listed(house, "prod") == files("tea-1.0", "ours-1.0", "late-1.0")


async def test_the_fix_of_a_known_exploited_vulnerability_does_not_wait_and_what_follows_it_does(
    house: House, tmp_path: Path
) -> None:
    (tmp_path / "kev.json").write_bytes(kev("CVE-2024-0001"))
    await add_feed(house.services, (tmp_path / "kev.json").as_uri(), "kev")
    await take(house.services, "kev")
    await advise(house.services, tmp_path, osv(1, "lib"), osv(2, "other"))
    source = CondaSource()
    for name in ("lib", "other"):
        source.add(name, "1.0", depends=["python >=3.8"], timestamp=await claimed(house, 30))
    async with Upstream(source.files()) as up:
        one = await mirror(house, up)
        for name in ("lib", "other"):
            for version in ("2.0", "3.0"):
                source.add(name, version, depends=["python >=3.8"], timestamp=await claimed(house, 30))
        up.files = source.files()
        await run(house, one)
        assert await listed(house, "pub") == files("lib-1.0", "lib-2.0", "other-1.0")
