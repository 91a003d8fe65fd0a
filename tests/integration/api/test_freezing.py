"""A frozen channel: what clients see as its content stays, what is about the channel may be edited."""

from __future__ import annotations

from tests.kit.calls import call
from tests.kit.house import House


async def test_a_channel_with_a_frozen_subchannel_keeps_its_name(house: House) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    await call(house.admin, "PUT", "/api/channels/team/subchannels/dev", {"indexing_behavior": "frozen"})
    answer = await call(house.admin, "PUT", "/api/channels/team", {"name": "crew"})
    assert (answer.status, answer.json()["code"]) == (409, "channel_frozen")
    assert "'team/dev'" in answer.json()["message"]
    assert (await house.web.get("/api/channels/team/subchannels/dev")).status == 200
    assert (await house.web.get("/api/channels/crew")).status == 404
