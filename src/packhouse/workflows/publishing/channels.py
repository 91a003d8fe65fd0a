"""What every write to a channel asks: beforehand, and again inside its own unit of work."""

from __future__ import annotations

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


async def writable(reader: Reader, channel_id: int) -> Channel:
    """Return the channel as it is at this moment. Raises like `hold_writable`."""
    channel = _found(await channels.by_id(reader, channel_id))
    refuse_frozen(channel)
    return channel


async def hold_writable(unit: Unit, channel_id: int) -> Channel:
    """Return the channel and keep it as it is until the unit has ended.

    Raises PackhouseError: `not_found` when it was deleted meanwhile, `channel_frozen` when its index is pinned.
    """
    channel = await hold_readable(unit, channel_id)
    refuse_frozen(channel)
    return channel


async def hold_readable(unit: Unit, channel_id: int) -> Channel:
    """Return the channel, frozen or not, and keep it as it is until the unit has ended. Raises `not_found`."""
    return _found(await channels.hold(unit, channel_id))


def _found(channel: Channel | None) -> Channel:
    if channel is None:
        raise PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
    return channel


def refuse_frozen(channel: Channel) -> None:
    """Raise PackhouseError("channel_frozen") when the index of the channel is pinned."""
    if channel.frozen_at is not None:
        raise PackhouseError(
            "channel_frozen",
            f"The channel {channel.path!r} is frozen: its published index is pinned.",
            "Unfreeze it, then try again.",
        )
