"""What a private channel tells whoever may not know of it: nothing, and in the same words as one that is not there."""

from __future__ import annotations

import json

from tests.kit.calls import call, read, upload
from tests.kit.condapkg import make_conda
from tests.kit.house import House
from tests.kit.mirroring import add_mirror, run_and_wait

SECRET = "projectx"
METHODS = [
    ("GET", "", None), ("PUT", "", {"privacy": "public"}), ("DELETE", "", None),
    ("GET", "/history", None), ("GET", "/changes", None), ("GET", "/subchannels", None),
    ("POST", "/subchannels", {"name": "dev"}), ("GET", "/notices", None), ("POST", "/notices", {"message": "x"}),
    ("DELETE", "/notices/1", None), ("GET", "/artifacts", None),
    ("GET", "/artifacts/conda/a", None), ("DELETE", "/artifacts/conda/a", None),
    ("GET", "/artifacts/conda/a/files", None), ("GET", "/artifacts/conda/a/readme", None),
    ("GET", "/artifacts/conda/a/dependencies", None), ("GET", "/artifacts/conda/a/dependants", None),
    ("PUT", "/artifacts/bulk", {"action": "delete", "items": [{"name": "a"}]}),
]  # fmt: skip


async def test_outsiders_get_the_answer_of_a_missing_channel(house: House) -> None:
    await house.channel(SECRET, "private", "owner")
    await house.upload(SECRET, "a")
    for client in (house.web, house.as_("outsider")):
        for method, tail, body in METHODS:
            hidden = await call(client, method, f"/api/channels/{SECRET}{tail}", body)
            missing = await call(client, method, f"/api/channels/absent{tail}", body)
            assert (hidden.status, hidden.body) == (missing.status, missing.body), (method, tail)
            assert hidden.status == 404, (method, tail, hidden.body)
        put = await upload(client, SECRET, "b-1-0.conda", make_conda("b", "1"))
        assert put.status == 404
    assert (await read(house.as_("owner"), f"/api/channels/{SECRET}"))["file_count"] == 1


async def test_lists_and_search_never_name_it(house: House) -> None:
    await house.channel("pub")
    await house.channel(SECRET, "private", "owner")
    await house.channel(f"pub/{SECRET}", "private")
    await house.upload(SECRET, "a")
    for client in (house.web, house.as_("outsider")):
        for target in (
            "/api/channels", "/api/channels?include_subchannels=true", "/api/channels/pub",
            "/api/channels/pub/subchannels", "/api/artifacts", "/api/artifacts?q=a", f"/api/channels?q={SECRET}",
            "/api/channels?sort=-artifact_count", "/api/openapi.json", "/api/system",
        ):  # fmt: skip
            assert SECRET not in json.dumps(await read(client, target)), target
        assert (await read(client, "/api/channels/pub"))["subchannel_count"] == 0
        assert (await read(client, "/api/artifacts?q=a"))["total_count"] == 0
    assert (await read(house.as_("owner"), "/api/artifacts?q=a"))["total_count"] == 1
    assert (await read(house.admin, "/api/artifacts?q=a"))["total_count"] == 1


async def test_an_authenticated_channel_needs_a_login(house: House) -> None:
    await house.channel("staff", "authenticated", "owner")
    assert (await house.web.get("/api/channels/staff")).status == 404
    assert (await house.as_("outsider").get("/api/channels/staff")).status == 200
    assert (await call(house.as_("outsider"), "PUT", "/api/channels/staff", {"privacy": "public"})).status == 403


async def test_history_does_not_name_the_private_source_of_a_copy(house: House) -> None:
    await house.channel(SECRET, "private", "admin")
    await house.channel("team", "public", "owner")
    await house.upload(SECRET, "a")
    body = {"action": "copy", "items": [{"name": "a"}], "target_channel": "team"}
    assert (await call(house.admin, "PUT", f"/api/channels/{SECRET}/artifacts/bulk", body)).status == 202
    assert SECRET not in json.dumps(await read(house.as_("owner"), "/api/channels/team/history"))
    assert SECRET not in json.dumps(await read(house.as_("owner"), "/api/channels/team/changes"))
    assert SECRET in json.dumps(await read(house.admin, "/api/channels/team/history"))


async def test_history_tells_an_owner_nothing_of_a_mirrors_network(house: House) -> None:
    team = await house.channel("team", "public", "owner")
    mirror = await add_mirror(house.services, team, "http://127.0.0.1:9/inside")
    assert (await run_and_wait(house.services, mirror)).state == "failed"
    assert "127.0.0.1" in json.dumps(await read(house.admin, "/api/channels/team/history"))
    seen = await read(house.as_("owner"), "/api/channels/team/history")
    assert "mirroring_failed" in json.dumps(seen) and "127.0.0.1" not in json.dumps(seen)


async def test_rights_on_one_channel_are_none_on_another(house: House) -> None:
    await house.channel("mine", "public", "owner")
    await house.channel("theirs", "public", "admin")
    await house.upload("mine", "a")
    owner = house.as_("owner")
    copy = {"action": "copy", "items": [{"name": "a"}], "target_channel": "theirs"}
    assert (await call(owner, "PUT", "/api/channels/mine/artifacts/bulk", copy)).status == 403
    await house.upload("theirs", "b")
    take = {"action": "move", "items": [{"name": "b"}], "target_channel": "mine"}
    assert (await call(owner, "PUT", "/api/channels/theirs/artifacts/bulk", take)).status == 403
    take["action"] = "copy"
    assert (await call(owner, "PUT", "/api/channels/theirs/artifacts/bulk", take)).status == 202
    assert (await call(house.web, "PUT", "/api/channels/mine/artifacts/bulk", copy)).status == 401
