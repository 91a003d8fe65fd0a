"""A frozen channel: what clients see as its content stays, what is about the channel may be edited."""

from __future__ import annotations

from typing import Any

from tests.kit.calls import call, read, upload
from tests.kit.condapkg import make_conda
from tests.kit.house import House
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

COPY: dict[str, Any] = {"action": "copy", "items": [{"name": "a"}], "target_channel": "else"}
MIRROR = {"mirror_name": "two", "source_root": "https://conda.example.org/x", "filters": {"subdirs": ["noarch"]}}


async def test_a_channel_with_a_frozen_subchannel_keeps_its_name(house: House) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    await call(house.admin, "PUT", "/api/channels/team/subchannels/dev", {"indexing_behavior": "frozen"})
    answer = await call(house.admin, "PUT", "/api/channels/team", {"name": "crew"})
    assert (answer.status, answer.json()["code"]) == (409, "channel_frozen")
    assert "'team/dev'" in answer.json()["message"]
    assert (await house.web.get("/api/channels/team/subchannels/dev")).status == 200
    assert (await house.web.get("/api/channels/crew")).status == 404


async def test_what_clients_of_a_frozen_channel_would_miss_is_refused_and_the_rest_is_not(house: House) -> None:
    """As docs/decisions/0008 lists it."""
    source = CondaSource()
    source.add("m")
    for name in ("team", "else"):
        await house.channel(name)
    await house.upload("team", "a")
    await house.upload("team", "gone")
    await house.remove("team", "gone")
    await house.upload("else", "b")
    async with Upstream(source.files()) as upstream:
        mirror = await add_mirror(house.services, await house.find("team"), upstream.url)
        await run_and_wait(house.services, mirror)
        await house.caught_up()
        pinned = (await house.web.get("/api/repo/team/noarch/repodata.json")).body
        assert (await call(house.admin, "PUT", "/api/channels/team", {"indexing_behavior": "frozen"})).status == 200

        team, one = "/api/channels/team", f"/api/channels/team/mirrors/{mirror.uuid}"
        refused: list[tuple[str, str, Any]] = [
            ("PUT", team, {"name": "crew"}), ("DELETE", team, None), ("DELETE", one, None),
            ("DELETE", f"{team}/artifacts/conda/a", None),
            ("PUT", f"{team}/artifacts/bulk", {**COPY, "action": "delete"}),
            ("PUT", f"{team}/artifacts/bulk", {**COPY, "action": "move"}),
            ("PUT", "/api/channels/else/artifacts/bulk", {**COPY, "items": [{"name": "b"}], "target_channel": "team"}),
        ]  # fmt: skip
        for method, address, body in refused:
            answer = await call(house.admin, method, address, body)
            assert answer.json()["code"] == "channel_frozen", (method, address, answer.body)
        data = make_conda("c", "1")
        assert (await upload(house.admin, "team", "c-1-0.conda", data)).json()["code"] == "channel_frozen"
        put = await house.admin.put("/api/repo/team/noarch/c-1-0.conda", data)
        assert put.json()["code"] == "channel_frozen"

        source.add("n")
        upstream.files = source.files()
        restored = {"items": [{"name": "gone"}]}
        allowed: list[tuple[str, str, Any]] = [
            ("PUT", team, {"description": "Frozen till Friday", "privacy": "authenticated"}),
            ("PUT", team, {"privacy": "public"}), ("POST", f"{team}/notices", {"message": "Till Friday"}),
            ("POST", f"{team}/subchannels", {"name": "dev"}), ("POST", f"{team}/mirrors", MIRROR),
            ("PUT", one, {"cron": "0 3 * * *"}), ("POST", f"{team}/kept_out/restore", restored),
            ("PUT", f"{team}/artifacts/bulk", COPY),
        ]  # fmt: skip
        for method, address, body in allowed:
            answer = await call(house.admin, method, address, body)
            assert answer.status in (200, 201, 202), (method, address, answer.body)
        await run_and_wait(house.services, mirror)
    assert (await house.web.get("/api/repo/team/noarch/repodata.json")).body == pinned
    assert (await house.web.get("/api/repo/team/noarch/a-1.0-0.conda")).status == 200
    assert (await call(house.admin, "PUT", team, {"indexing_behavior": "default"})).status == 200
    shown = (await house.web.get("/api/repo/team/noarch/repodata.json")).json()["packages.conda"]
    assert set(shown) == {"a-1.0-0.conda", "m-1.0-0.conda", "n-1.0-0.conda"}
    assert [item["message"] for item in (await read(house.web, f"{team}/notices"))["items"]] == ["Till Friday"]
