"""Where a decision holds: in one channel, or everywhere."""

from __future__ import annotations

from packhouse.catalog.channels import store as channels
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError


async def path_of(unit: Unit, channel_id: int | None) -> str | None:
    """Return the path of a channel, which stays until the unit has ended; None for everywhere.

    Raises PackhouseError("not_found") when the channel is gone.
    """
    if channel_id is None:
        return None
    held = await channels.hold(unit, channel_id)
    if held is None:
        raise PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
    return held.path
