"""The audit log over the management API: administrators read all of it, by type, actor, object and time."""

from __future__ import annotations

from urllib.parse import quote

from tests.kit.calls import call, read
from tests.kit.house import House


async def test_administrators_read_and_filter_every_event(house: House) -> None:
    owner = house.as_("owner")
    assert (await call(owner, "POST", "/api/channels", {"name": "team", "privacy": "private"})).status == 201
    await house.upload("team", "a")
    assert (await call(owner, "DELETE", "/api/channels/team")).status == 202

    everything = await read(house.admin, "/api/events")
    types = [item["event_type"] for item in everything["items"]]
    assert types[:3] == ["channel_deleted", "artifact_registered", "channel_created"], (
        "newest first, deleted channels too"
    )
    assert everything["total_count"] == len(types)
    one = everything["items"][2]
    assert (one["meta"], one["data"]["privacy"]) == ({"actor": "owner", "object": "team"}, "private")

    async def found(query: str) -> list[str]:
        answer = await read(house.admin, f"/api/events?{query}")
        assert answer["total_count"] >= len(answer["items"])
        return [item["event_type"] for item in answer["items"]]

    assert await found("type=channel_created") == ["channel_created"]
    assert await found("actor=owner&object=team") == ["channel_deleted", "channel_created"]
    since = quote(one["created"])
    assert "channel_created" in await found(f"since={since}&until=2999-01-01")
    assert "channel_created" not in await found(f"until={since}")
    assert await found("limit=1&offset=1") == ["artifact_registered"]
    assert await found("limit=0") == []
    for path in ("events", "events/export"):
        refused = await house.admin.get(f"/api/{path}?type=chanel_created")
        assert refused.status == 400 and "Did you mean channel_created or " in refused.json()["message"]
        refused = await house.admin.get(f"/api/{path}?type=xyz")
        assert refused.status == 400 and "docs/reference/events.md lists all" in refused.json()["message"]


async def test_nobody_else_reads_them(house: House) -> None:
    assert (await house.web.get("/api/events")).status == 401
    refused = await house.as_("owner").get("/api/events")
    assert (refused.status, refused.json()["code"]) == (403, "forbidden")
    wrong = await house.admin.get("/api/events?since=yesterday")
    assert (wrong.status, "`since`" in wrong.json()["message"]) == (400, True)
