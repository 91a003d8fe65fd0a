"""How routes are written down: one handler for a channel and a subchannel alike."""

from __future__ import annotations


def of_channel(tail: str = "") -> list[str]:
    """Return the paths of a route below a channel and below a subchannel."""
    channel = "/api/channels/{channel:str}"
    return [channel + tail, channel + "/subchannels/{subchannel:str}" + tail]
