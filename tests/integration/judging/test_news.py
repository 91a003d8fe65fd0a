"""News are told in rounds, each whole, however often one is broken off."""

from __future__ import annotations

from packhouse.catalog.vulnerabilities import news, unjudged
from packhouse.catalog.vulnerabilities.news import Round
from packhouse.core.db import Unit
from tests.conftest import Backend
from tests.kit.mirroring import services_on


async def test_news_are_taken_in_rounds(backend: Backend) -> None:
    async with services_on(backend) as services:
        db = services.db
        assert await news.waiting(db, await db.now()) is None
        rows = [("conda", f"p{number % 7}", "1.0", number) for number in range(1, 2501)]
        await db.write(lambda unit: news.add(unit, rows))
        found = await news.waiting(db, await db.now())
        assert found is not None and found.settled and found.oldest_at == found.newest_at
        assert await db.write(lambda unit: news.begin_round(unit, found.upto)) == Round(found.upto, False)
        await db.write(lambda unit: news.add(unit, [("python", "late", "2.0", 1)]))
        late = await news.waiting(db, await db.now())
        assert late is not None and late.upto > found.upto
        assert await db.write(lambda unit: news.begin_round(unit, late.upto)) == Round(found.upto, False)
        told = [row async for batch in news.of_round(db, found.upto) for row in batch]
        assert sorted(told) == sorted(rows) and [row[1] for row in told] == sorted(row[1] for row in rows)
        await db.write(lambda unit: news.digested(unit, found.upto))
        assert await news.current_round(db) == Round(found.upto, True)
        units = 0
        while await db.write(lambda unit: news.clear_some(unit, found.upto)):
            units += 1
        assert units == 2 and await news.current_round(db) is None
        assert [row async for batch in news.of_round(db, late.upto) for row in batch] == [("python", "late", "2.0", 1)]


async def test_news_are_not_settled_while_names_wait_for_judgement(backend: Backend) -> None:
    async with services_on(backend) as services:

        async def work(unit: Unit) -> None:
            await news.add(unit, [("conda", "a", "1.0", 1)])
            await unjudged.add(unit, [("conda", "a")])

        await services.db.write(work)
        found = await news.waiting(services.db, await services.db.now())
        assert found is not None and not found.settled
