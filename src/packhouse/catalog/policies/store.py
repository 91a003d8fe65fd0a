"""Queries of policies and of the rulesets they share."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, null, or_, select, update

from packhouse.catalog.judgement_tables import policy, ruleset
from packhouse.catalog.schema import channel
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader


class PolicyRow(NamedTuple):
    """A policy with its rules. Times are microseconds."""

    id: int
    uuid: str
    name: str
    description: str
    ruleset_id: int
    rules: str  #: JSON of security.policies.policy.Rules
    created_at: int
    updated_at: int


class Assigned(NamedTuple):
    """A channel with its policy, and how far that has come. Times are microseconds."""

    policy_id: int | None  #: None: none is assigned
    channel_id: int
    path: str
    ruleset_id: int  #: whose verdicts hold
    next_ruleset_id: int | None
    settle_from: int | None
    since: int | None  #: since when they hold; None: they always did

    @property
    def state(self) -> str:
        """Say whether the gate obeys the policy as it is now, and whether the index follows already: of STATES."""
        if self.next_ruleset_id is not None:
            return "preparing"
        return "in_effect" if self.settle_from is None else "publishing"


#: the verdicts are being written; the gate obeys and the index follows; both obey
STATES = ("preparing", "publishing", "in_effect")


class Held(NamedTuple):
    """What a channel has for a policy, as it stays until the unit has ended."""

    id: int
    path: str
    policy_id: int | None
    ruleset_id: int
    next_ruleset_id: int | None
    settle_from: int | None


_COLUMNS = (
    *(policy.c[name] for name in PolicyRow._fields[:5]),
    ruleset.c.rules,
    policy.c.created_at,
    policy.c.updated_at,
)
_WITH_RULES = select(*_COLUMNS).join_from(policy, ruleset, ruleset.c.id == policy.c.ruleset_id)
_BY_UUID = _WITH_RULES.where(policy.c.uuid == bindparam("uuid"))
_BY_ID = _WITH_RULES.where(policy.c.id == bindparam("policy_id"))
_BY_NAME = _WITH_RULES.where(policy.c.name == bindparam("name"))
_PAGE = _WITH_RULES.order_by(policy.c.name).limit(bindparam("limit")).offset(bindparam("offset"))
_COUNT = select(func.count()).select_from(policy)
_HOLD = select(policy.c.id).where(policy.c.id == bindparam("policy_id")).with_for_update()
_ADD = (
    insert(policy)
    .values({name: bindparam(name) for name in ("uuid", "name", "description", "ruleset_id")})
    .values(created_at=bindparam("now"), updated_at=bindparam("now"))
    .returning(policy.c.id)
)
_EDIT = (
    update(policy)
    .where(policy.c.id == bindparam("policy_id"))
    .values(
        name=bindparam("new_name"),
        description=bindparam("new_description"),
        ruleset_id=bindparam("new_ruleset"),
        updated_at=bindparam("now"),
    )
)
_DROP = delete(policy).where(policy.c.id == bindparam("policy_id"))
_KEEP_RULES = """INSERT INTO ruleset (digest, rules, created_at) VALUES (:digest, :rules, :now)
 ON CONFLICT (digest) DO NOTHING"""
_RULES_ID = select(ruleset.c.id).where(ruleset.c.digest == bindparam("digest"))
_WITH_STATE = select(
    channel.c.policy_id,
    channel.c.id,
    channel.c.path,
    channel.c.ruleset_id,
    channel.c.next_ruleset_id,
    channel.c.settle_from,
    channel.c.ruleset_since,
).where(channel.c.path.is_not(None))
_ASSIGNED = _WITH_STATE.where(channel.c.policy_id.is_not(None)).order_by(channel.c.path)
_ASSIGNED_TO = _ASSIGNED.where(channel.c.policy_id == bindparam("policy_id"))
_OF_CHANNEL = _WITH_STATE.where(channel.c.id == bindparam("channel_id"))
_HOLD_CHANNELS = (
    select(*(channel.c[name] for name in Held._fields))
    .where(any_of(channel.c.id, "ids"), channel.c.path.is_not(None))
    .order_by(channel.c.id)
    .with_for_update()
)
_ASSIGN = (
    update(channel)
    .where(channel.c.id == bindparam("channel_id_"))
    .values(
        policy_id=bindparam("new_policy"),
        next_ruleset_id=bindparam("next_ruleset"),
        assignment=channel.c.assignment + 1,
        updated_at=bindparam("now"),
    )
)
_UNDER = select(channel.c.id).where(any_of(channel.c.ruleset_id, "rulesets"), channel.c.path.is_not(None))
_PREPARING = select(channel.c.id, channel.c.next_ruleset_id, channel.c.assignment).where(
    channel.c.next_ruleset_id.is_not(None), channel.c.path.is_not(None)
)
_WANTED = (
    select(channel.c.id)
    .where(
        or_(channel.c.next_ruleset_id == bindparam("ruleset"), channel.c.ruleset_id == bindparam("ruleset")),
        channel.c.path.is_not(None),
    )
    .limit(1)
)
_FLIP = (
    update(channel)
    .where(
        channel.c.id == bindparam("channel_id_"),
        channel.c.next_ruleset_id == bindparam("ruleset"),
        channel.c.assignment == bindparam("assignment_"),
    )
    .values(
        ruleset_id=bindparam("ruleset"),
        next_ruleset_id=null(),
        settle_from=bindparam("from_ruleset"),
        ruleset_since=bindparam("now"),
    )
)

_SETTLED = (
    update(channel)
    .where(
        channel.c.id == bindparam("channel_id_"),
        channel.c.ruleset_id == bindparam("ruleset"),
        channel.c.settle_from == bindparam("from_ruleset"),
    )
    .values(settle_from=null())
)
_SETTLING = select(channel.c.id, channel.c.ruleset_id, channel.c.settle_from).where(
    channel.c.settle_from.is_not(None), channel.c.path.is_not(None)
)

#: in the place of the ruleset that held before: any name may differ from the index
EVERYTHING = -1


async def by_uuid(reader: Reader, uuid: str) -> PolicyRow | None:
    """Return the policy with this public id."""
    row = await reader.fetch_one(_BY_UUID, uuid=uuid)
    return PolicyRow(*row) if row else None


async def by_id(reader: Reader, policy_id: int) -> PolicyRow | None:
    """Return the policy that a channel refers to."""
    row = await reader.fetch_one(_BY_ID, policy_id=policy_id)
    return PolicyRow(*row) if row else None


async def by_name(reader: Reader, name: str) -> PolicyRow | None:
    """Return the policy of this name."""
    row = await reader.fetch_one(_BY_NAME, name=name)
    return PolicyRow(*row) if row else None


async def page(reader: Reader, limit: int, offset: int) -> tuple[list[PolicyRow], int]:
    """Return policies by name, and how many there are in all."""
    rows = await reader.fetch_all(_PAGE, limit=limit, offset=offset)
    return [PolicyRow(*row) for row in rows], int(await reader.fetch_value(_COUNT) or 0)


async def hold(unit: Unit, policy_id: int) -> PolicyRow | None:
    """Return a policy that nobody else changes before the unit has ended."""
    await unit.fetch_all(_HOLD, policy_id=policy_id)
    return await by_id(unit, policy_id)


async def keep_rules(unit: Unit, digest: bytes, rules: str) -> int:
    """Return the number of the ruleset with these rules, which is made unless it is there."""
    await unit.execute(_KEEP_RULES, digest=digest, rules=rules, now=unit.now)
    return int(await unit.fetch_value(_RULES_ID, digest=digest))


async def add(unit: Unit, uuid: str, name: str, description: str, ruleset_id: int) -> int:
    """Make a policy of a name that is free; return its id."""
    values = {"uuid": uuid, "name": name, "description": description, "ruleset_id": ruleset_id}
    return int(await unit.fetch_value(_ADD, now=unit.now, **values))


async def edit(unit: Unit, policy_id: int, name: str, description: str, ruleset_id: int) -> None:
    """Change a policy."""
    await unit.execute(
        _EDIT, policy_id=policy_id, new_name=name, new_description=description, new_ruleset=ruleset_id, now=unit.now
    )


async def drop(unit: Unit, policy_id: int) -> None:
    """Delete a policy that is assigned to no channel."""
    await unit.execute(_DROP, policy_id=policy_id)


async def assigned(reader: Reader, policy_id: int | None = None) -> list[Assigned]:
    """Return the channels to which a policy is assigned (or any), by path."""
    if policy_id is None:
        return [Assigned(*row) for row in await reader.fetch_all(_ASSIGNED)]
    return [Assigned(*row) for row in await reader.fetch_all(_ASSIGNED_TO, policy_id=policy_id)]


async def of_channel(reader: Reader, channel_id: int) -> Assigned | None:
    """Return how far the policy of a channel, or that it has none any more, has come; None when it is deleted."""
    row = await reader.fetch_one(_OF_CHANNEL, channel_id=channel_id)
    return Assigned(*row) if row else None


async def hold_channels(unit: Unit, channel_ids: Collection[int]) -> list[Held]:
    """Return those of the channels that are not deleted, ascending; nobody else changes them before the unit has ended.

    Whoever holds a policy, too, does that first.
    """
    return [Held(*row) for row in await unit.fetch_all(_HOLD_CHANNELS, ids=list(channel_ids))]


async def assign(unit: Unit, channel_id: int, policy_id: int | None, ruleset_id: int | None) -> None:
    """Let a channel have a policy, or none; its ruleset holds once its verdicts are written: see `flip`.

    None for the ruleset: the one that holds is that of the policy already. Each call is an assignment of its own: what
    was prepared for the one before does not count, even if it was of the same ruleset.
    """
    await unit.execute(_ASSIGN, channel_id_=channel_id, new_policy=policy_id, next_ruleset=ruleset_id, now=unit.now)


async def under(reader: Reader, rulesets: Collection[int]) -> list[int]:
    """Return the channels in which one of these rulesets holds."""
    return [row[0] for row in await reader.fetch_all(_UNDER, rulesets=list(rulesets))] if rulesets else []


async def preparing(reader: Reader) -> list[tuple[int, int, int]]:
    """Return (channel, ruleset, assignment) where the verdicts of a ruleset are to be written before it holds."""
    return [(row[0], row[1], row[2]) for row in await reader.fetch_all(_PREPARING)]


async def is_wanted(reader: Reader, ruleset_id: int) -> bool:
    """Say whether a ruleset holds in any channel, or is about to."""
    return await reader.fetch_one(_WANTED, ruleset=ruleset_id) is not None


async def flip(unit: Unit, channel_id: int, ruleset_id: int, assignment: int, settle_from: int) -> bool:
    """Let a ruleset hold in a channel; False when it was not wanted there all the time since this assignment of it.

    Files that arrived while it was not wanted are not judged by it.

    `settle_from` is the ruleset that held before, or EVERYTHING: what differs from it is not in the index yet.
    """
    values = {
        "channel_id_": channel_id, "ruleset": ruleset_id, "assignment_": assignment, "from_ruleset": settle_from,
    }  # fmt: skip
    return bool(await unit.execute(_FLIP, now=unit.now, **values))


async def settled(unit: Unit, channel_id: int, ruleset_id: int, settle_from: int) -> None:
    """Say that all names that differ are dirty by now, unless the ruleset changed again meanwhile."""
    await unit.execute(_SETTLED, channel_id_=channel_id, ruleset=ruleset_id, from_ruleset=settle_from)


async def settling(reader: Reader) -> list[tuple[int, int, int]]:
    """Return (channel, ruleset that holds, the one before) where the index does not follow yet."""
    return [(row[0], row[1], row[2]) for row in await reader.fetch_all(_SETTLING)]
