"""Verify finds channels whose owners are not as they must be."""

from __future__ import annotations

from tests.kit.house import House
from tests.kit.inspection import findings

#: a damage, what takes it back, and what is found
DAMAGES = (
    ("UPDATE account SET disabled_at = 1 WHERE username = 'ann'", "UPDATE account SET disabled_at = NULL",
     "I9 lab/sub: its owner is gone or cannot log in"),
    ("UPDATE account SET password_hash = NULL WHERE username = 'ann'",
     "UPDATE account SET password_hash = 'x' WHERE username = 'ann'", "I9 lab/sub: its owner is gone or cannot log in"),
    ("UPDATE channel SET owner_id = owner_id + 77 WHERE path = 'lab/sub'",
     "UPDATE channel SET owner_id = owner_id - 77 WHERE path = 'lab/sub'", "I9 lab/sub: its owner is gone"),
    ("UPDATE user_group SET channel_id = NULL WHERE name = 'lab.sub_owners'",
     "UPDATE user_group SET channel_id = (SELECT id FROM channel WHERE path = 'lab/sub') WHERE name = 'lab.sub_owners'",
     "I9 lab/sub: the group"),
    ("UPDATE user_group SET name = 'lab.sob_owners' WHERE name = 'lab.sub_owners'",
     "UPDATE user_group SET name = 'lab.sub_owners' WHERE name = 'lab.sob_owners'", "I9 lab/sub: the group"),
    ("UPDATE group_member SET level = 2 WHERE level = 3 AND group_id = (SELECT max(id) FROM user_group)",
     "UPDATE group_member SET level = 3", "I9 lab/sub: its owner is no manager"),
    ("UPDATE group_grant SET level = 1 WHERE group_id = (SELECT max(id) FROM user_group)",
     "UPDATE group_grant SET level = 3", "I9 lab/sub: the group"),
)  # fmt: skip


async def test_finds_owners_who_are_shut_out(house: House) -> None:
    db = house.services.db
    await house.person("ann")
    await house.channel("lab")
    await house.channel("lab/sub", owner="ann")
    assert await findings(house.services) == []
    for damage, undo, says in DAMAGES:
        assert await db.write(lambda unit, statement=damage: unit.execute(statement)) == 1  # type: ignore[misc]  # inference
        [found] = await findings(house.services)
        assert str(found).startswith(says)
        await db.write(lambda unit, statement=undo: unit.execute(statement))  # type: ignore[misc]  # inference
    assert await findings(house.services) == []
