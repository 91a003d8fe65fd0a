"""Many channels and groups, for what must stay quick when somebody is in hundreds of them."""

from __future__ import annotations

import random

from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database, Unit


async def many_channels(db: Database, count: int, groups: int) -> Principal:
    """Make channels, eight in ten of them private, and somebody in that many of five times as many groups."""
    chance = random.Random(1)

    async def work(unit: Unit) -> None:
        people = [{"id": one, "uuid": f"u{one}", "name": f"p{one}"} for one in range(1000, 1500)]
        await unit.execute_many(
            "INSERT INTO account (id, uuid, username, created_at) VALUES (:id, :uuid, :name, 0)", people
        )
        kinds = ["private"] * 8 + ["public", "authenticated"]
        channels = [
            {"id": one, "path": f"c{one:06}", "privacy": chance.choice(kinds), "owner": chance.randrange(1001, 1500)}
            for one in range(1, count + 1)
        ]
        await unit.execute_many(
            "INSERT INTO channel (id, path, description, privacy, owner_id, created_at, updated_at)"
            " VALUES (:id, :path, '', :privacy, :owner, 0, 0)",
            channels,
        )
        every = range(1, 5 * groups + 1)
        await unit.execute_many(
            "INSERT INTO user_group (id, uuid, name, created_at, updated_at) VALUES (:id, :uuid, :name, 0, 0)",
            [{"id": one, "uuid": f"g{one}", "name": f"g{one}"} for one in every],
        )
        members = [{"g": one, "a": who} for one in every for who in chance.sample(range(1001, 1500), 20)]
        members += [{"g": one, "a": 1000} for one in every[:groups]]
        await unit.execute_many("INSERT INTO group_member (group_id, account_id, added_at) VALUES (:g, :a, 0)", members)
        grants = {(one, chance.choice(every)): chance.randrange(1, 4) for one in range(1, count + 1) for _ in range(3)}
        await unit.execute_many(
            "INSERT INTO group_grant (channel_id, group_id, level) VALUES (:c, :g, :level)",
            [{"c": c, "g": g, "level": level} for (c, g), level in grants.items()],
        )

    await db.write(work)
    return (await holding_of(db, 1000)).principal(1000, "p1000")
