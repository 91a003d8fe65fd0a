"""The group of a channel's owners, which begins, is named and ends with it; the owner is always in it.

The owner also stands in the channel's own row, so that nothing that becomes of the group shuts the owner out.
"""

from __future__ import annotations

from sqlalchemy import bindparam, func, null, select, update

from packhouse.catalog import changes
from packhouse.catalog.accounts import store as accounts
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups import grants, store
from packhouse.catalog.groups.group import OWNERS
from packhouse.catalog.groups.store import Person
from packhouse.catalog.people_tables import account
from packhouse.catalog.rights.permissions import MANAGE
from packhouse.catalog.schema import channel
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError

_OF_CHANNEL = update(channel).where(channel.c.id == bindparam("channel_id_"))
_GIVE = _OF_CHANNEL.values(owner_id=bindparam("new_owner"), heir_of=null())
#: through however many hands it goes, it is in the place of the first
_LEAVE = _OF_CHANNEL.values(
    owner_id=bindparam("new_owner"), heir_of=func.coalesce(channel.c.heir_of, bindparam("in_place_of"))
)
_HOLD = select(accounts.CAN_LOG_IN).where(account.c.id == bindparam("account_id")).with_for_update(read=True)


def name_of(path: str) -> str:
    """Return the name of the group of the owners of a channel; no channel's name has a dot."""
    return f"{path.replace('/', '.')}{OWNERS}"


async def begin(unit: Unit, channel_id: int, path: str, owner_id: int | None) -> None:
    """Make the group of a new channel, with its owner in it.

    Raises PackhouseError("conflict") if its name is taken, or the owner cannot log in.

    No process remembers anything about the channel yet, so that none has to be told.
    """
    if owner_id is not None:
        await _hold(unit, owner_id)
    made = await store.insert_group(unit, name_of(path), _about(path), channel_id)
    if made is None:
        raise _taken(path)
    if owner_id is not None:
        await store.set_member(unit, made, owner_id, MANAGE)
    await grants.set_group(unit, channel_id, made, MANAGE)


async def rename(unit: Unit, channel_id: int, path: str) -> None:
    """Let the group follow its channel to `path`. Raises PackhouseError("conflict") if the name is taken."""
    group = await store.of_channel(unit, channel_id)
    if group is None or group.name == name_of(path):
        return
    if await store.by_name(unit, name_of(path)) is not None:
        raise _taken(path)
    description = _about(path) if group.description.startswith(_about("")[:-1]) else group.description
    await store.edit(unit, group.id, name_of(path), description)


async def end(unit: Unit, channel_id: int) -> None:
    """Delete the group of a channel that is deleted."""
    if (group := await store.of_channel(unit, channel_id)) is not None:
        await store.delete_group(unit, group.id)


async def change(unit: Unit, held: Channel, person: Person, actor: str, heir_of: int | None = None) -> None:
    """Make somebody the owner of a channel that the unit holds; whoever was it stays in the group of its owners.

    `heir_of` is the account that leaves it to them, if nobody gave it away. The unit notes a `people` change besides.
    Raises PackhouseError("conflict") for somebody who cannot log in.
    """
    await _hold(unit, person.id)
    former = await accounts.by_id(unit, held.owner_id)
    if heir_of is None:
        await unit.execute(_GIVE, channel_id_=held.id, new_owner=person.id)
    else:
        await unit.execute(_LEAVE, channel_id_=held.id, new_owner=person.id, in_place_of=heir_of)
    if (group := await store.of_channel(unit, held.id)) is not None:
        await store.set_member(unit, group.id, person.id, MANAGE)
    await record_event(
        unit,
        type="channel_owner_changed",
        actor=actor,
        object=held.path,
        channel_id=held.id,
        data={"owner": person.username, "former": former.username if former else None},
    )
    await changes.note(unit, "channel", held.id, held.path)


async def _hold(unit: Unit, account_id: int) -> None:
    """Let nobody disable an account before it owns what the unit gives it: its channels are given away then."""
    if not await unit.fetch_value(_HOLD, account_id=account_id):
        raise PackhouseError("conflict", "The new owner cannot log in.", "Choose somebody who can.")


def _about(path: str) -> str:
    return f"Owners of the channel {path}."


def _taken(path: str) -> PackhouseError:
    return PackhouseError(
        "conflict",
        f"There is a group {name_of(path)!r}, which is no channel's.",
        "Choose another name for the channel.",
    )
