"""What people do with policies: create, edit, delete, assign, unassign. Each is one unit with its audit events.

Nothing is judged here: a channel is told which ruleset shall hold next, and the worker writes that one's verdicts and
lets it hold. Policies are held before channels, and channels in ascending order, so that no two of these deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.policies import store
from packhouse.catalog.policies.store import Held, PolicyRow
from packhouse.catalog.policies.verdicts import NO_POLICY
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid
from packhouse.core.stopping import calculate
from packhouse.security.policies.checking import check_new
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.policy import Rules, decode, digest, edited, encode
from packhouse.workflows.judging.mirror_policies import let_mirrors_follow, unassign_mirrors, users
from packhouse.workflows.services import Services

#: characters of a name and of a description
NAME_LENGTH, DESCRIPTION_LENGTH = 128, 4000
#: how often an edit begins anew because somebody else edited the policy meanwhile
TRIES = 5
#: characters of a value that an audit event shows; longer ones stand in the ruleset, which is kept
_SHOWN = 300
#: channels that a refusal names
_NAMED = 20


class _Outdated(Exception):
    """Somebody else changed the policy after it was read."""


async def get_policy(reader: Reader, uuid: str) -> PolicyRow:
    """Return a policy. Raises PackhouseError("not_found")."""
    return _there(await store.by_uuid(reader, uuid.replace("\0", "")))


async def create_policy(
    services: Services,
    actor: str,
    name: str,
    description: str,
    given: Mapping[str, Any],
    channel_ids: Collection[int] = (),
) -> PolicyRow:
    """Make a policy of the fields `given`, and assign it to channels at once.

    Raises PackhouseError: `bad_request` naming the field, `conflict` for a name that is taken.
    """
    name, description = _check_name(name), _check_description(description)
    rules = await calculate(partial(checked, Rules(), given))
    uuid = new_uuid()

    async def work(unit: Unit) -> PolicyRow:
        await _require_free(unit, name)
        ruleset_id = await store.keep_rules(unit, digest(rules), encode(rules).decode())
        made = await store.add(unit, uuid, name, description, ruleset_id)
        data = {"policy_id": uuid, "ruleset": ruleset_id, "fields": sorted(_set(rules))}
        await record_event(unit, type="policy_created", actor=actor, object=name, data=data)
        policy = _there(await store.by_id(unit, made))
        await _assign_all(unit, actor, channel_ids, policy)
        return policy

    return await services.db.write(work)


async def edit_policy(
    services: Services,
    actor: str,
    uuid: str,
    given: Mapping[str, Any],
    *,
    name: str | None = None,
    description: str | None = None,
) -> PolicyRow:
    """Change a policy: a field that is named replaces its former value, "" or null clears it, others stay.

    Every channel it is assigned to follows. Raises PackhouseError: `bad_request`, `not_found`, `conflict`.
    """
    name = None if name is None else _check_name(name)
    description = None if description is None else _check_description(description)
    for _ in range(TRIES):
        known = await get_policy(services.db, uuid)
        rules = await calculate(partial(checked, decode(known.rules), given))  # thousands of specs take their time

        async def work(unit: Unit, known: PolicyRow = known, rules: Rules = rules) -> PolicyRow:
            now = _there(await store.hold(unit, known.id))
            if now.ruleset_id != known.ruleset_id:
                raise _Outdated
            return await _edit(unit, actor, now, rules, name or now.name, description)

        try:
            return await services.db.write(work)
        except _Outdated:
            continue
    raise PackhouseError("conflict", "Others edit this policy at the same time.", "Look at it, and try again.")


async def delete_policy(services: Services, actor: str, uuid: str, visible: Collection[str], *, force: bool) -> None:
    """Delete a policy; with `force` also one that channels or mirrors have, which unassigns it everywhere.

    `visible` are the paths that the refusal may name. Raises PackhouseError: `not_found`, `conflict`.
    """
    known = await get_policy(services.db, uuid)

    async def work(unit: Unit) -> None:
        now = _there(await store.hold(unit, known.id))
        assigned, mirrors = await store.assigned(unit, now.id), await users(unit, now.uuid)
        if assigned and not force:
            raise _assigned(now, [one.path for one in assigned], visible)
        if mirrors and not force:
            raise _mirrored(now, [one.path for one in mirrors if one.channel.path in visible])
        data = {"policy_id": now.uuid, "ruleset": now.ruleset_id, "channels": len(assigned), "mirrors": len(mirrors)}
        await record_event(unit, type="policy_deleted", actor=actor, object=now.name, data=data)
        await store.hold_channels(unit, {one.channel_id for one in assigned} | {one.channel.id for one in mirrors})
        await unassign_mirrors(unit, actor, now)
        for held in await _held_of(unit, now):
            await _assign(unit, actor, held, None, now)
        await store.drop(unit, now.id)

    await services.db.write(work)


async def assign_policy(services: Services, actor: str, uuid: str | None, channel_ids: Collection[int]) -> int:
    """Let channels have a policy, or with None none; return how many of them had another one, or none.

    Raises PackhouseError("not_found").
    """

    async def work(unit: Unit) -> int:
        policy = None if uuid is None else await hold_policy(unit, uuid)
        return await _assign_all(unit, actor, channel_ids, policy)

    return await services.db.write(work)


async def unassign_policy(services: Services, actor: str, uuid: str, channel_ids: Collection[int]) -> int:
    """Take a policy away from those of the channels that have it; return how many these are.

    Raises PackhouseError("not_found").
    """

    async def work(unit: Unit) -> int:
        policy = await hold_policy(unit, uuid)
        held = [one for one in await store.hold_channels(unit, channel_ids) if one.policy_id == policy.id]
        for one in held:
            await _assign(unit, actor, one, None, policy)
        return len(held)

    return await services.db.write(work)


async def hold_policy(unit: Unit, uuid: str) -> PolicyRow:
    """Return a policy that stays as it is until the unit has ended. Raises PackhouseError("not_found")."""
    return _there(await store.hold(unit, (await get_policy(unit, uuid)).id))


async def assign_in(unit: Unit, actor: str, channel_id: int, policy: PolicyRow | None) -> bool:
    """Let one channel have a policy that is held, or none, in the unit of a larger change; False when it has already.

    Whoever calls this has the channel held after the policy, not before it.
    """
    return await _assign_all(unit, actor, [channel_id], policy) > 0


def checked(before: Rules, given: Mapping[str, Any]) -> Rules:
    """Return the rules after an edit if they make sense. Raises PackhouseError("bad_request") naming the field."""
    rules = edited(before, given)
    compile_rules(rules)
    check_new(rules)
    return rules


async def _edit(unit: Unit, actor: str, now: PolicyRow, rules: Rules, name: str, description: str | None) -> PolicyRow:
    about = now.description if description is None else description
    changed = _differences(decode(now.rules), rules)
    for field, old, new in (("name", now.name, name), ("description", now.description, about)):
        if old != new:
            changed[field] = {"from": old, "to": _short(new)}
    if not changed:
        return now
    if name != now.name:
        await _require_free(unit, name)
    ruleset_id = await store.keep_rules(unit, digest(rules), encode(rules).decode())
    await store.edit(unit, now.id, name, about, ruleset_id)
    held = await _held_of(unit, now) if ruleset_id != now.ruleset_id else []
    data = {
        "policy_id": now.uuid,
        "changed": changed,
        "ruleset": {"from": now.ruleset_id, "to": ruleset_id},
        "channels": len(held),
    }
    await record_event(unit, type="policy_updated", actor=actor, object=name, data=data)
    for one in held:
        await _follow(unit, one, now.id, ruleset_id)
    if ruleset_id != now.ruleset_id:
        await let_mirrors_follow(unit, now)
    return _there(await store.by_id(unit, now.id))


async def _assign_all(unit: Unit, actor: str, channel_ids: Collection[int], policy: PolicyRow | None) -> int:
    number = 0
    for held in await store.hold_channels(unit, channel_ids):
        if held.policy_id != (policy.id if policy else None):
            before = None if held.policy_id is None else await store.by_id(unit, held.policy_id)
            await _assign(unit, actor, held, policy, before)
            number += 1
    return number


async def _assign(unit: Unit, actor: str, held: Held, policy: PolicyRow | None, before: PolicyRow | None) -> None:
    """Let a held channel have a policy, or none, instead of another one, with the event that says so."""
    data: dict[str, Any] = {}
    if policy is not None:
        data |= {"policy": policy.name, "policy_id": policy.uuid, "ruleset": policy.ruleset_id}
    if before is not None:
        data["instead_of" if policy else "policy"] = before.name
    kind = "channel_policy_assigned" if policy else "channel_policy_unassigned"
    await record_event(unit, type=kind, actor=actor, object=held.path, channel_id=held.id, data=data)
    await _follow(unit, held, policy.id if policy else None, policy.ruleset_id if policy else NO_POLICY)


async def _follow(unit: Unit, held: Held, policy_id: int | None, ruleset_id: int) -> None:
    """Let a held channel come to a ruleset, unless that holds and no other one is being prepared."""
    there = held.next_ruleset_id is None and held.ruleset_id == ruleset_id
    await store.assign(unit, held.id, policy_id, None if there else ruleset_id)
    await changes.note(unit, "channel", held.id, held.path)


async def _held_of(unit: Unit, policy: PolicyRow) -> list[Held]:
    """Return the channels that have a held policy; that stays so until the unit has ended."""
    ids = [one.channel_id for one in await store.assigned(unit, policy.id)]
    return [one for one in await store.hold_channels(unit, ids) if one.policy_id == policy.id]


async def _require_free(unit: Unit, name: str) -> None:
    if await store.by_name(unit, name) is not None:
        raise PackhouseError("conflict", f"There is a policy named {name!r} already.", "Choose another name.")


def _assigned(policy: PolicyRow, paths: Sequence[str], visible: Collection[str]) -> PackhouseError:
    """Return the refusal to delete what is in use: it names what the caller may know of."""
    known = [path for path in paths if path in visible]
    named = known[:_NAMED]
    if len(known) > _NAMED:
        named.append(f"{len(known) - _NAMED:,} more")
    if len(known) < len(paths):
        named.append("channels that you may not see")
    return PackhouseError(
        "conflict",
        f"The policy {policy.name!r} is assigned to {', '.join(named)}.",
        "Unassign it there first, or delete it with `force`, which does that.",
        channels=known,
    )


def _mirrored(policy: PolicyRow, known: Sequence[str]) -> PackhouseError:
    """Return the refusal to delete what mirrors have; `known` are those that the caller may know of."""
    named = ", ".join(known[:_NAMED]) or "mirrors that you may not see"
    return PackhouseError(
        "conflict",
        f"The policy {policy.name!r} is used by {named}.",
        "Let these mirrors have the policies of their channels first, or delete it with `force`, which does that.",
        mirrors=list(known),
    )


def _check_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise PackhouseError(
            "bad_request", f"`name`: a policy needs one of 1 to {NAME_LENGTH} printable characters.", field="name"
        )
    return name


def _check_description(description: str) -> str:
    if len(description) > DESCRIPTION_LENGTH or "\0" in description:
        raise PackhouseError(
            "bad_request",
            f"`description` is longer than {DESCRIPTION_LENGTH:,} characters or holds a NUL.",
            "Shorten it.",
            field="description",
        )
    return description


def _set(rules: Rules) -> set[str]:
    return {name for name in Rules.__struct_fields__ if getattr(rules, name) != getattr(Rules(), name)}


def _differences(before: Rules, after: Rules) -> dict[str, Any]:
    """Return field → what it was and what it is."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in Rules.__struct_fields__}
    return {name: {"from": _short(old), "to": _short(new)} for name, (old, new) in pairs.items() if old != new}


def _short(value: Any) -> Any:
    """Return a value for an audit event; a long one is told by its size."""
    if len(msgspec.json.encode(value)) <= _SHOWN:
        return value
    return {"entries": len(value)} if isinstance(value, list) else f"{value[:_SHOWN]}…"


def _there(policy: PolicyRow | None) -> PolicyRow:
    if policy is None:
        raise PackhouseError("not_found", "There is no such policy.", "List the policies to find its id.")
    return policy
