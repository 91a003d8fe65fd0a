"""A channel's name, description, privacy, freeze and policy change; unsent fields stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel, check_privacy
from packhouse.catalog.groups import owners
from packhouse.catalog.groups import store as groups
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.packages import renaming
from packhouse.catalog.packages.renaming import Compared
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.creating import check_description, gone, taken
from packhouse.workflows.channels.names import check_channel_name, check_subchannel_name
from packhouse.workflows.channels.store import lock
from packhouse.workflows.governing.policies import assign_in, hold_policy
from packhouse.workflows.indexing.store import lock_head
from packhouse.workflows.publishing.channels import refuse_frozen
from packhouse.workflows.services import Services

BEHAVIORS = ("default", "frozen")
#: how often a channel that changes meanwhile is compared before its rename is refused
COMPARISONS = 3
#: by (channel id, path)
Comparisons = Mapping[tuple[int, str], Compared]


class _Outdated(Exception):
    """What a rename would bring together is not what was compared."""


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be otherwise; None: as it is."""

    name: str | None = None
    description: str | None = None
    privacy: str | None = None
    frozen: bool | None = None
    owner: str | None = None  #: user name
    policy: str | UnsetType | None = UNSET  #: its public id; None: no policy; UNSET: as it is


def frozen_of(behavior: str) -> bool:
    """Return whether `indexing_behavior` means frozen. Raises PackhouseError("bad_request")."""
    if behavior not in BEHAVIORS:
        raise PackhouseError(
            "bad_request", f"`indexing_behavior`: {behavior[:40]!r} is unknown.", f"Use one of {', '.join(BEHAVIORS)}."
        )
    return behavior == "frozen"


async def edit_channel(
    services: Services, channel: Channel, caller: Principal, edit: Edit, reserved: frozenset[str]
) -> tuple[Channel, bool]:
    """Apply an edit; return the channel as it is now and whether anything changed.

    Raises PackhouseError: `bad_request`, `name_reserved`, `conflict` (the name is taken, or others published there and
    files come faster than they are compared with theirs), `not_found`,
    `channel_frozen` for a new name while the index of the channel or of a subchannel is pinned, `different_content`
    when other bytes were published at the new name under one of its coordinates.
    """
    _check(channel, edit, reserved)
    changed = await _edit(services, channel, caller, edit)
    if edit.frozen is False:
        changed |= await _unfreeze(services, channel.id, caller.username)
    now = await channels.by_id(services.db, channel.id)
    if now is None:
        raise gone()
    return now, changed


async def _edit(services: Services, channel: Channel, caller: Principal, edit: Edit) -> bool:
    """Apply all but the end of a freeze in one unit, for which a new name has been compared beforehand."""
    actor = caller.username
    for _ in range(COMPARISONS):
        compared = await _compared(services.db, channel.id, edit.name) if edit.name is not None else {}

        async def work(unit: Unit, compared: Comparisons = compared) -> bool:
            await require_standing(unit, caller)
            policy = await hold_policy(unit, edit.policy) if edit.policy else None  # before any channel
            held = await lock(unit, channel.id)
            if held is None:
                raise gone()
            changed = await _edit_fields(unit, held, actor, edit, compared)
            if edit.owner is not None:
                changed |= await _give_away(unit, channel, held, actor, edit.owner)
            if edit.frozen and held.frozen_at is None:
                changed |= await _freeze(unit, held, actor)
            if edit.policy is not UNSET:
                changed |= await assign_in(unit, actor, held.id, policy)
            return changed

        try:
            return await services.db.write(work)
        except _Outdated:
            continue
    raise PackhouseError(
        "conflict",
        f"Files come to {channel.path!r} while it is compared with what others published at {edit.name!r}.",
        "Try again when nothing is uploaded to it and none of its mirrors runs.",
    )


async def _compared(db: Database, channel_id: int, name: str) -> Comparisons:
    """Compare what a rename would move with what stood there, without holding anything up meanwhile."""
    channel = await channels.by_id(db, channel_id)
    if channel is None or channel.name == name:
        return {}
    moved = await _moved(db, channel, name)
    return {(one.id, path): await renaming.compare(db, one.id, path) for one, path in moved.items()}


def _check(channel: Channel, edit: Edit, reserved: frozenset[str]) -> None:
    if edit.description is not None:
        check_description(edit.description)
    if edit.privacy is not None:
        check_privacy(edit.privacy)
    if edit.name is not None and edit.name != channel.name:
        if channel.parent_id is None:
            check_channel_name(edit.name, reserved)
        else:
            check_subchannel_name(edit.name)


async def _edit_fields(unit: Unit, held: Channel, actor: str, edit: Edit, compared: Comparisons) -> bool:
    """Write name, description and privacy where they differ, with one event that says what was and what is."""
    differences: dict[str, Any] = {}
    for field, old, new in (
        ("name", held.name, edit.name),
        ("description", held.description, edit.description),
        ("privacy", held.privacy, edit.privacy),
    ):
        if new is not None and new != old:
            differences[field] = {"from": old, "to": new}
    if not differences:
        return False
    if "name" in differences:
        await _rename(unit, held, edit.name or "", compared)
    if edit.description is not None or edit.privacy is not None:
        description = held.description if edit.description is None else edit.description
        await channels.edit(unit, held.id, description, edit.privacy or held.privacy)
    await record_event(
        unit, type="channel_updated", actor=actor, object=held.path, channel_id=held.id, data={"changed": differences}
    )
    await changes.note(unit, "channel", held.id, held.path)
    return True


async def _give_away(unit: Unit, seen: Channel, held: Channel, actor: str, username: str) -> bool:
    """Make somebody the owner; whoever was it stays among the owners. `seen` is the channel whose owner may do this."""
    person = await groups.person(unit, username)
    if person.id == held.owner_id:
        return False
    if seen.owner_id != held.owner_id:
        raise PackhouseError("conflict", "The channel has got another owner meanwhile.", "Look at the channel again.")
    await owners.change(unit, held, person, actor)
    await changes.note(unit, "people")
    return True


async def _rename(unit: Unit, held: Channel, name: str, compared: Comparisons) -> None:
    """Move a channel, and its subchannels with it. What was bound to the old path stays bound there."""
    for child in sorted(await channels.children(unit, held.id), key=lambda child: child.id):
        await lock(unit, child.id)  # what is read of them from here on stays
    moved = await _moved(unit, held, name)
    if await channels.by_path(unit, moved[held]) is not None:
        raise taken(moved[held])
    for one, path in moved.items():
        refuse_frozen(one)
        await _refuse_other_content(unit, one, path, compared.get((one.id, path)))
    for one, path in moved.items():
        await channels.rename(unit, one.id, one.path, path)
        await owners.rename(unit, one.id, path)
        await changes.note(unit, "channel", one.id, one.path)


async def _moved(reader: Reader, channel: Channel, name: str) -> dict[Channel, str]:
    """Return the path that a channel and each of its subchannels would have."""
    new = f"{channel.parent}/{name}" if channel.parent else name
    return {channel: new} | {child: f"{new}/{child.name}" for child in await channels.children(reader, channel.id)}


async def _refuse_other_content(unit: Unit, channel: Channel, path: str, compared: Compared | None) -> None:
    """Refuse a path at which clients may have got other bytes under an address of this channel (invariant I3).

    Raises _Outdated when that was compared before something came.
    """
    if compared is None or not await renaming.holds(unit, channel.id, path, compared):
        raise _Outdated
    if found := compared.clashes:
        raise PackhouseError(
            "different_content",
            f"{path!r} was published with other bytes under {', '.join(found)}, and a file never changes.",
            "Choose another name.",
            ckeys=found,
        )


async def _freeze(unit: Unit, held: Channel, actor: str) -> bool:
    """Pin the index. The publish lock is taken first: a revision is before or after the freeze, never across it."""
    revision = await lock_head(unit, held.id)
    await channels.set_frozen(unit, held.id, unit.now, revision)
    await record_event(unit, type="channel_frozen", actor=actor, object=held.path, channel_id=held.id)
    await changes.note(unit, "channel", held.id, held.path)
    return True


async def _unfreeze(services: Services, channel_id: int, actor: str) -> bool:
    """Publish what accumulated in one flip, and say so once; False when the channel was not frozen."""
    held = await channels.by_id(services.db, channel_id)
    if held is None or held.frozen_at is None:
        return False

    async def end(unit: Unit) -> None:
        await record_event(unit, type="channel_unfrozen", actor=actor, object=held.path, channel_id=channel_id)
        # the same unit shows everything
        await record_event(unit, type="channel_refresh_complete", actor=actor, object=held.path, channel_id=channel_id)
        await changes.note(unit, "channel", channel_id, held.path)

    return await services.publisher.unfreeze(channel_id, end)
