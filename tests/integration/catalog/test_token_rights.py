"""Whatever is granted, taken, given and disabled: at no moment does a token do more than its issuer may then."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhouse.catalog import changes
from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.channels import store as channels
from packhouse.catalog.installation.keys import Keys, load_keys
from packhouse.catalog.rights.permissions import (
    ACTIONS,
    CATEGORIES,
    INSTALLATION,
    Action,
    Decision,
    Level,
    permit,
)
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import target_of
from packhouse.catalog.tokens.reach import Resource
from packhouse.core.db import Database, Unit, open_database
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.admitting.credential import Credential
from packhouse.workflows.people import tokens
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.keys import SEALER

CHANNELS = ("open", "known", "closed", "closed/sub")
PRIVACIES = ("public", "authenticated", "private")
#: what happens -> what it is about: a number of a channel, a level, a category
HAPPENINGS = (
    "grant", "group_grant", "join", "leave", "give_role", "take_role", "role_level", "everyone_level", "own", "privacy",
    "disable", "enable", "resource_token", "scope_token", "whole_token", "delete",
)  # fmt: skip
Step = tuple[str, int, int]


class Life:
    """Ann, her tokens, and what others do to her rights."""

    def __init__(self, db: Database, keys: Keys) -> None:
        self.db, self.keys = db, keys
        self.feed = changes.ChangeFeed(db)
        self.authenticator = Authenticator(db, keys, lambda: self.feed.fresh, self.feed.doubt)
        self.feed.listen(lambda change: self.authenticator.forget(change.kind, change.name), self.authenticator.clear)
        self.values: dict[str, str] = {}  # token id -> value
        self.limits: dict[str, dict[str, int] | frozenset[str] | None] = {}
        self.ann = self.root = 0

    async def begin(self) -> None:
        """Make people, channels and a group that ann is not in."""
        for name, role in (("ann", "author"), ("root", "admin")):  # somebody must be left who may do everything
            account = await staffing.create_user(self.db, name, None, role, "test")
            setattr(self, name, account.id)

        async def work(unit: Unit) -> None:
            made: dict[str, int] = {}
            for path, privacy in zip(CHANNELS, (*PRIVACIES, "private"), strict=True):
                parent = made.get(path.partition("/")[0]) if "/" in path else None
                made[path] = await channels.insert_channel(unit, path, parent, "", privacy, self.root)
            await unit.execute("INSERT INTO user_group (uuid, name, created_at, updated_at) VALUES ('g', 'g', 0, 0)")
            await unit.execute("INSERT INTO group_role (group_id, role_id) SELECT id, 2 FROM user_group")

        await self.db.write(work)
        await self.feed.poll()

    async def happen(self, what: str, place: int, level: int) -> None:
        """Let one thing happen, and everybody hear of it."""
        if what.endswith("_token"):
            await self._token(what, place, level)
        elif what in ("disable", "enable"):
            await staffing.set_disabled(self.db, "ann", what == "disable", "root")
        else:
            await self.db.write(lambda unit: self._do(unit, what, place, level))
        await self.feed.poll()

    async def _do(self, unit: Unit, what: str, place: int, level: int) -> None:
        path, category = CHANNELS[place % len(CHANNELS)], list(CATEGORIES)[place % len(CATEGORIES)]
        channel = await channels.by_path(unit, path)
        number = channel.id if channel else 0
        group = await unit.fetch_value("SELECT id FROM user_group")
        given: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
            "grant": (
                ("DELETE FROM channel_grant WHERE channel_id = :c", {"c": number}),
                (
                    "INSERT INTO channel_grant (channel_id, user_id, level) SELECT id, :a, :l FROM channel"
                    " WHERE id = :c AND :l > 0",
                    {"c": number, "a": self.ann, "l": level},
                ),
            ),
            "group_grant": (
                ("DELETE FROM group_grant WHERE channel_id = :c", {"c": number}),
                (
                    "INSERT INTO group_grant (channel_id, group_id, level) SELECT id, :g, :l FROM channel"
                    " WHERE id = :c AND :l > 0",
                    {"c": number, "g": group, "l": level},
                ),
            ),
            "join": (
                (
                    "INSERT INTO group_member (group_id, account_id, added_at) VALUES (:g, :a, 0)"
                    " ON CONFLICT (group_id, account_id, source_id) DO NOTHING",
                    {"g": group, "a": self.ann},
                ),
            ),
            "leave": (("DELETE FROM group_member WHERE account_id = :a", {"a": self.ann}),),
            "give_role": (
                (
                    "INSERT INTO account_role (account_id, role_id, source_id) VALUES (:a, :r, 0)"
                    " ON CONFLICT (account_id, role_id, source_id) DO NOTHING",
                    {"a": self.ann, "r": 2 + level % 3},
                ),
            ),
            "take_role": (("DELETE FROM account_role WHERE account_id = :a", {"a": self.ann}),),
            "role_level": _set_level(2, category, level),
            "everyone_level": _set_level(1, category, level),
            "own": (
                (
                    "UPDATE channel SET owner_id = :o WHERE id = :c",
                    {"o": self.ann if level else self.root, "c": number},
                ),
            ),
            "privacy": (("UPDATE channel SET privacy = :p WHERE id = :c", {"p": PRIVACIES[level % 3], "c": number}),),
            "delete": (),
        }
        if what == "delete" and number and level == 3:
            await channels.mark_deleted(unit, number)
        for statement, values in given[what]:
            await unit.execute(statement, **values)
        await changes.note(unit, "people")
        await changes.note(unit, "channel", number or None, path)

    async def issuer(self) -> Principal:
        """Ann as she is now, with nothing remembered."""
        return (await holding_of(self.db, self.ann)).principal(self.ann, "ann")

    async def _token(self, what: str, place: int, level: int) -> None:
        scopes: list[str] | None = None
        resources: list[Resource] | None = None
        if what == "resource_token":
            paths = CHANNELS[place % len(CHANNELS) :]
            resources = [Resource(path, Level(1 + (level + n) % 3)) for n, path in enumerate(paths[: 1 + level])]
        elif what == "scope_token":
            scopes = list(get_args(Action))[place::3]
        with suppress(PackhouseError):  # what she may not give, or has under that name
            token, value = await tokens.create(
                self.db, self.keys, await self.issuer(), f"t{len(self.values)}", scopes, None, resources=resources
            )
            self.values[token.id] = value
            self.limits[token.id] = {one.path: one.level for one in resources} if resources else token.scopes

    async def check(self) -> None:
        """Compare what each token may do with what ann may."""
        issuer = await self.issuer()
        account = await store.by_id(self.db, self.ann)
        assert account is not None
        targets = {path: await channels.by_path(self.db, path) for path in CHANNELS}
        for token_id, value in self.values.items():
            try:
                shown = (await self.authenticator.proof(Credential("token", value))).principal
            except PackhouseError as error:
                assert error.code == "unauthenticated" and account.disabled_at is not None
                continue
            assert account.disabled_at is None
            self._compare(issuer, shown, token_id, None, INSTALLATION)
            for path, channel in targets.items():
                if channel is not None:
                    target = await target_of(self.db, issuer, channel)
                    assert target == await target_of(self.db, shown, channel)
                    self._compare(issuer, shown, token_id, path, target)

    def _compare(self, issuer: Principal, shown: Principal, token_id: str, path: str | None, target: Any) -> None:
        limit = self.limits[token_id]
        for action, (_, needed) in ACTIONS.items():
            if permit(shown, action, target) is not Decision.ALLOWED:
                continue
            assert permit(issuer, action, target) is Decision.ALLOWED, (path, action)
            if isinstance(limit, frozenset):
                on_it = "sub" + action if target.subchannel and "sub" + action in ACTIONS else action
                assert on_it in limit or action == "account:view"
            if isinstance(limit, dict) and action != "account:view":
                strangers = permit(shown.stranger, action, target) is Decision.ALLOWED
                assert strangers or (path is not None and needed <= limit.get(path, 0)), (path, action)


def _set_level(role: int, category: str, level: int) -> tuple[tuple[str, dict[str, Any]], ...]:
    return (
        (
            "INSERT INTO role_level (role_id, category, level) VALUES (:r, :n, :l)"
            " ON CONFLICT (role_id, category) DO UPDATE SET level = excluded.level",
            {"r": role, "n": category, "l": level},
        ),
    )


async def live(database_url: str, steps: list[Step]) -> int:
    """Let the steps happen one by one, with a look after each; return how many tokens came of it."""
    db = open_database(database_url)
    try:
        life = Life(db, await load_keys(db, SEALER))
        await life.begin()
        for step in steps:
            await life.happen(*step)
            await life.check()
        return len(life.values)
    finally:
        await db.close()


steps = st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 15), st.integers(0, 3)), max_size=25)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_no_token_does_more_than_its_issuer_may_now(_sqlite_template: Path, happened: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "packhouse.db"
        shutil.copy(_sqlite_template, copy)
        asyncio.run(live(f"sqlite:///{copy}", [("own", 2, 1), ("resource_token", 0, 3), *happened]))


async def test_nor_in_a_long_life(backend: Backend) -> None:
    chance = random.Random(7)
    steps = [(chance.choice(HAPPENINGS), chance.randrange(16), chance.randrange(4)) for _ in range(120)]
    assert await live(backend.database_url, steps) > 5
