"""A house full of people and channels: everybody who could ask, about every kind of channel they could ask about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packhouse.catalog.accounts import store
from packhouse.catalog.changes import note
from packhouse.catalog.grants.issuing import give_key
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import DAY
from packhouse.core.db import Unit
from packhouse.workflows.people import tokens
from packhouse.workflows.signin.browsing import sign_in
from tests.kit import staffing
from tests.kit.carriers import Credentials
from tests.kit.house import House
from tests.kit.keys import SEALER
from tests.kit.rights import LEVELS, MANAGE, READ, WRITE, Place, Someone

PASSWORD = "correct horse battery staple"
#: what the limited token of everybody may do
SCOPES = frozenset({"channel:view", "subchannel:view", "channel:view-artifacts", "artifact:view", "cve:view"})

_EVERYONE = {category: row[0] for category, row in LEVELS.items()}
_AUTHOR = {category: row[1] for category, row in LEVELS.items()}
_USERS = {category: row[2] for category, row in LEVELS.items()}

#: custom roles -> what they give
ROLES: dict[str, Mapping[str, int]] = {
    "auditor": {"audit": READ, "cve": READ},
    "publisher": {"artifact": WRITE, "channel.group": WRITE},
    "host": {"channel.group": MANAGE},
}
PEOPLE = (
    Someone("plain", _EVERYONE),  # an account without any role
    Someone("service", _EVERYONE),  # of a machine
    Someone("author", _AUTHOR),
    Someone("users", _USERS),
    Someone("auditor", {**_AUTHOR, **ROLES["auditor"]}),
    Someone("publisher", {**_AUTHOR, **ROLES["publisher"]}),
    Someone("host", {**_AUTHOR, **ROLES["host"]}),
    Someone("admin", {}, admin=True),
)
#: everybody's roles beside `everyone`
_HELD = {
    "plain": (),
    "service": (),
    "author": ("author",),
    "users": ("author", "user-administrator"),
    "auditor": ("author", "auditor"),
    "publisher": ("author", "publisher"),
    "host": ("author", "host"),
}
#: what everybody's resource token is for, beside WRITE on their own channel
_LISTED = {
    "public": MANAGE,
    "authenticated": READ,
    "user-manage": READ,
    "group-write": MANAGE,
    "user-manage/mixed": WRITE,
}
#: channels that are the same for everybody: path -> (what they are, level shared with each, level shared with a group)
CHANNELS: dict[str, tuple[str, int, int]] = {
    "public": ("public", 0, 0),
    "authenticated": ("authenticated", 0, 0),
    "private": ("private", 0, 0),
    "frozen": ("public", 0, 0),
    "user-read": ("private", READ, 0),
    "user-write": ("private", WRITE, 0),
    "user-manage": ("private", MANAGE, 0),
    "group-read": ("private", 0, READ),
    "group-write": ("authenticated", 0, WRITE),
    "group-manage": ("private", READ, MANAGE),
    "public/open": ("public", 0, 0),
    "public/hidden": ("private", 0, 0),
    "private/group-write": ("private", 0, WRITE),
    "user-manage/mixed": ("private", WRITE, READ),
}


@dataclass
class Town:
    """The house and what everybody in it can show."""

    house: House
    credentials: dict[str, Credentials] = field(default_factory=dict)
    limited: dict[str, str] = field(default_factory=dict)  #: tokens with SCOPES
    narrow: dict[str, str] = field(default_factory=dict)  #: tokens for what `listed` says

    def places(self, who: Someone, *, below: bool) -> dict[str, Place]:
        """Return path -> what somebody finds there, of channels or of subchannels."""
        found = {
            path: Place(privacy, max(shared) if who.known else 0, below)
            for path, (privacy, *shared) in CHANNELS.items()
            if ("/" in path) == below
        }
        if who.known:
            found |= {f"own-{who.name}/own" if below else f"own-{who.name}": Place("private", MANAGE, below)}
        missing = {"public/missing": Place("missing", 0, below)} if below else {"missing": Place("missing")}
        return found | missing

    def groups(self, who: Someone) -> dict[str, Place]:
        """Return name -> what somebody finds, of groups of people."""
        return {
            "all": Place("group", READ if who.known and not who.admin else 0),
            f"of-{who.name}": Place("group", MANAGE if who.known else 0),
            "strangers": Place("group"),
            "private_owners": Place("group" if who.admin else "missing"),  # named like what nobody else may know of
            "missing": Place("missing"),
        }


def listed(who: Someone, path: str) -> int:
    """Return the level of everybody's resource token on a channel."""
    return {f"own-{who.name}": WRITE, **_LISTED}.get(path, 0)


async def build(house: House) -> Town:
    """Fill an empty house."""
    town = Town(house)
    for who in PEOPLE:
        if who.admin:
            await staffing.set_password(house.services.db, who.name, PASSWORD, "test")
        else:
            await house.person(who.name, password=PASSWORD)
        town.limited[who.name] = await _token(house, who, "limited", SCOPES)
        town.narrow[who.name] = await _token(house, who, "narrow", None)
    paths = [*CHANNELS, *(f"own-{who.name}{tail}" for who in PEOPLE for tail in ("", "/own"))]
    for path in paths:
        await house.channel(path, CHANNELS[path][0] if path in CHANNELS else "private")
    await house.services.db.write(_give)
    await house.caught_up()
    for who in PEOPLE:
        town.credentials[who.name] = await _credentials(house, who.name)
    return town


async def _give(unit: Unit) -> None:
    """Give everybody their roles, their own channels and what is shared with them."""
    await _roles(unit)
    await unit.execute("UPDATE account SET kind = 'service' WHERE username = 'service'")
    await unit.execute("UPDATE channel SET frozen_at = 1 WHERE path = 'frozen'")
    await unit.execute(
        """UPDATE channel SET owner_id = (SELECT id FROM account WHERE path = 'own-' || username
         OR path = 'own-' || username || '/own') WHERE path LIKE 'own-%'"""
    )
    group = await _group(unit, "all", "username <> 'admin'")
    await _group(unit, "strangers", "id < 0")
    await unit.execute("DELETE FROM group_grant")
    await unit.execute("DELETE FROM group_member WHERE group_id IN (SELECT id FROM user_group WHERE channel_id > 0)")
    await unit.execute("DELETE FROM user_group WHERE channel_id > 0")
    await _group(unit, "private_owners", "username = 'admin'", MANAGE, "private")
    for who in PEOPLE:
        await _group(unit, f"of-{who.name}", f"username = '{who.name}'", MANAGE)
        await _narrow(unit, who)
    for path, (_, each, through) in CHANNELS.items():
        if each:
            await unit.execute(
                """INSERT INTO channel_grant (channel_id, user_id, level) SELECT channel.id, account.id,
                 CAST(:level AS INTEGER) FROM channel, account WHERE path = :path AND username <> 'admin'""",
                level=each,
                path=path,
            )
        if through:
            await unit.execute(
                """INSERT INTO group_grant (channel_id, group_id, level) SELECT id, CAST(:group_id AS INTEGER),
                 CAST(:level AS INTEGER) FROM channel WHERE path = :path""",
                group_id=group,
                level=through,
                path=path,
            )
    await note(unit, "people")
    await note(unit, "channel")


async def give_roles(unit: Unit, levels: Mapping[str, Mapping[str, int]]) -> None:
    """Give each of some people a role of their own, beside those they have: person -> category -> level."""
    for name, row in levels.items():
        if row:
            await _role(unit, f"of-{name}", row)
            await _hold(unit, name, f"of-{name}")
    await note(unit, "people")


async def _role(unit: Unit, name: str, levels: Mapping[str, int]) -> None:
    number = await unit.fetch_value(
        "INSERT INTO role (name, created_at, updated_at) VALUES (:name, 0, 0) RETURNING id", name=name
    )
    for category, level in levels.items():
        await unit.execute(
            "INSERT INTO role_level (role_id, category, level) VALUES (:number, :category, :level)",
            number=number,
            category=category,
            level=level,
        )


async def _hold(unit: Unit, username: str, role: str) -> None:
    await unit.execute(
        """INSERT INTO account_role (account_id, role_id) SELECT account.id, role.id FROM account, role
         WHERE username = :username AND role.name = :name""",
        username=username,
        name=role,
    )


async def _roles(unit: Unit) -> None:
    for name, levels in ROLES.items():
        await _role(unit, name, levels)
    await unit.execute(
        "DELETE FROM account_role WHERE account_id IN (SELECT id FROM account WHERE username <> 'admin')"
    )
    for username, names in _HELD.items():
        for name in names:
            await _hold(unit, username, name)


async def _token(house: House, who: Someone, name: str, scopes: frozenset[str] | None) -> str:
    db = house.services.db
    owner = Principal(house.people[who.name].principal.account_id, who.name, "author")
    return (await tokens.create(db, await load_keys(db, SEALER), owner, name, scopes, None))[1]


async def _narrow(unit: Unit, who: Someone) -> None:
    """Make a resource token of somebody's token for anything; that nobody makes one for too much is tried elsewhere."""
    number = await unit.fetch_value(
        """UPDATE token SET kind = 'resource' WHERE name = 'narrow'
         AND account_id = (SELECT id FROM account WHERE username = :name) RETURNING id""",
        name=who.name,
    )
    for path in (f"own-{who.name}", *_LISTED):
        await unit.execute(
            """INSERT INTO token_grant (token_id, channel_id, level) SELECT CAST(:number AS INTEGER), id,
             CAST(:level AS INTEGER) FROM channel WHERE path = :path""",
            number=number,
            level=listed(who, path),
            path=path,
        )


async def _group(unit: Unit, name: str, members: str, level: int = 0, channel: str = "") -> int:
    """Make a group of the accounts that a condition names."""
    number: int = await unit.fetch_value(
        """INSERT INTO user_group (uuid, name, channel_id, created_at, updated_at)
         VALUES (:name, :name, (SELECT id FROM channel WHERE path = :channel), 0, 0) RETURNING id""",
        name=name,
        channel=channel,
    )
    await unit.execute(
        f"""INSERT INTO group_member (group_id, account_id, level, added_at)
         SELECT CAST(:number AS INTEGER), id, CAST(:level AS INTEGER), 0 FROM account WHERE {members}""",
        number=number,
        level=level,
    )
    return number


async def _credentials(house: House, name: str) -> Credentials:
    services = house.services
    account = await store.by_name(services.db, name)
    assert account is not None
    keys = await load_keys(services.db, services.sealer)
    key, _ = await give_key(services.db, services.sealer, keys, account, "key", client="a test", lifetime=DAY)
    cookie = await sign_in(services, keys, account, client="a test", amr=["pwd"])
    return Credentials(name, PASSWORD, house.people[name].token, key, cookie)
