"""A past of downloads, written as processes write it, so that reports have much to tell."""

from __future__ import annotations

import random
from functools import partial

from packhouse.catalog.downloads import dictionaries
from packhouse.catalog.downloads.items import File, Items, ItemStore
from packhouse.catalog.downloads.store import open_items
from packhouse.core.clock import DAY
from packhouse.core.db import Database, Unit
from packhouse.core.randomness import random_bytes

#: different files, accounts and clients
FILES, PEOPLE, AGENTS = 1000, 200, 50
BATCH = 10_000
_FILES = """INSERT INTO downloaded (entry_id, record_id, sha256, channel_id, channel, family, partition, name,
 version, filename) VALUES (:n, :n, :sha256, 1, 'pub', 'conda', 'linux-64', :name, '1.0', :filename)"""


async def seed_downloads(db: Database, count: int, first: int, last: int) -> None:
    """Add so many downloads, evenly between two times (µs)."""
    dice, store = random.Random(count), open_items(db)
    files, agents, cves = await db.write(_names)
    await store.make_room(first // DAY, last // DAY)
    for begin in range(0, count, BATCH):
        size = min(BATCH, count - begin)
        items = Items(
            [File(file, 1, dice.randrange(PEOPLE), None, dice.choice([None, cves])) for file in files],
            [f"192.0.2.{number}" for number in range(256)],
            agents,
            [first + (last - first) * number // count for number in range(begin, begin + size)],
            dice.choices(range(FILES), k=size),
            dice.choices(range(256), k=size),
            dice.choices(range(AGENTS), k=size),
        )
        await db.write(partial(_within, store, items))
        await store.add_after(random_bytes(12).hex(), items, lambda: True)
    await store.close()


async def _names(unit: Unit) -> tuple[list[int], list[int], int]:
    """Return the numbers of files and clients, and of a set of vulnerabilities."""
    rows = [
        {"n": 10**9 + n, "sha256": n.to_bytes(32), "name": f"lib{n}", "filename": f"lib{n}-1.0-0.conda"}
        for n in range(FILES)
    ]
    await unit.execute_many(_FILES, rows)
    found = await unit.fetch_all("SELECT id FROM downloaded WHERE entry_id >= 1000000000 ORDER BY id")
    names = [f"conda/26.9.{n} requests/2.32.5 aau/0.7.2 c/client{n} s/session{n}" for n in range(AGENTS)]
    day = unit.now // DAY
    await dictionaries.put_agents(unit, {name: {"client": name[-3:]} for name in names}, day)
    known = ("CVE-2026-0001", "CVE-2026-0002")
    sets = await dictionaries.put_sets(unit, [known], day)
    return [row[0] for row in found], [dictionaries.number_of(name) for name in names], sets[known] or 0


async def _within(store: ItemStore, items: Items, unit: Unit) -> None:
    await store.add_within(unit, items)
