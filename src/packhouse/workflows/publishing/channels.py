"""What every write to a channel asks first, and again inside its own unit of work."""

from __future__ import annotations

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


async def writable(reader: Reader, channel_id: int) -> Channel:
    """Return the channel as it is now; in a unit of work that holds until its end.

    Raises PackhouseError: `not_found` when it was deleted meanwhile, `channel_frozen` when its index is pinned.
    """
    channel = await channels.by_id(reader, channel_id)
    if channel is None:
        raise PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
    refuse_frozen(channel)
    return channel


def refuse_frozen(channel: Channel) -> None:
    """Raise PackhouseError("channel_frozen") when the index of the channel is pinned."""
    if channel.frozen_at is not None:
        raise PackhouseError(
            "channel_frozen",
            f"The channel {channel.path!r} is frozen: its published index is pinned.",
            "Unfreeze it, then try again.",
        )
