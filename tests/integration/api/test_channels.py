"""Channels over the management API: the shapes clients read, the names, privacy, freezing, and the end of a channel."""

from __future__ import annotations

import asyncio

from packhouse.workflows.channels.deleting import clear_deleted
from tests.kit.calls import call, read
from tests.kit.house import House

SHAPE = {
    "name", "parent", "privacy", "description", "owners", "artifact_count", "file_count", "download_count",
    "mirror_count", "subchannel_count", "channel_count", "indexing_behavior", "policy_id", "policy", "created",
    "updated",
}  # fmt: skip


async def test_a_member_given_twice_is_refused(house: House) -> None:
    text = b'{"name": "dup", "privacy": "private", "privacy": "public"}'
    answer = await house.admin.request("POST", "/api/channels", {"content-type": "application/json"}, [text])
    assert answer.status == 400 and "`privacy` twice" in answer.json()["message"]
    assert (await house.admin.get("/api/channels/dup")).status == 404


async def test_a_channel_is_created_shown_edited_and_deleted(house: House) -> None:
    owner = house.as_("owner")
    made = await call(owner, "POST", "/api/channels", {"name": "team", "description": "Ours", "privacy": "private"})
    assert made.status == 201
    body = made.json()
    assert set(body) == SHAPE
    assert (body["name"], body["parent"], body["privacy"], body["owners"]) == ("team", None, "private", ["owner"])
    assert body["created"].endswith("Z")

    edited = await call(owner, "PUT", "/api/channels/team", {"privacy": "public"})
    assert edited.status == 200
    assert set(edited.json()) == SHAPE | {"changed"}
    assert edited.json()["changed"] is True
    assert edited.json()["description"] == "Ours", "what was not sent stays"
    again = await call(owner, "PUT", "/api/channels/team", {"privacy": "public"})
    assert (again.status, again.json()["changed"]) == (200, False)

    gone = await call(owner, "DELETE", "/api/channels/team")
    assert (gone.status, gone.json()["name"]) == (202, "team")
    assert (await owner.get("/api/channels/team")).status == 404
    assert (await read(owner, "/api/channels"))["total_count"] == 0


async def test_everything_is_also_below_api_repo(house: House) -> None:
    owner = house.as_("owner")
    assert (await call(owner, "POST", "/api/repo/channels", {"name": "team"})).status == 201
    assert (await read(house.web, "/api/repo/channels/team"))["name"] == "team"
    assert (await read(house.web, "/api/repo/system"))["service_name"] == "repo"


async def test_a_misspelt_member_is_refused_and_nothing_is_made(house: House) -> None:
    owner = house.as_("owner")
    answer = await call(owner, "POST", "/api/channels", {"name": "team", "privcy": "private"})
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert "`privcy`" in answer.json()["message"] and "`privacy`" in answer.json()["message"]
    assert (await owner.get("/api/channels/team")).status == 404


async def test_ill_formed_names_are_refused(house: House) -> None:
    for name in ("", "A", "1a", "a b", "a/b", "ä", "a" * 65, "a.b", "-a", "a\n", "\u0000"):
        answer = await call(house.admin, "POST", "/api/channels", {"name": name})
        assert (answer.status, answer.json()["code"]) == (400, "bad_request"), name


RESERVED = """channels account artifacts mirrors users system auth t api static label cran pypi gra badges trust get
search groups feeds jobs namespaces namespace-channels cves reports diagnose policies noarch linux-64 zos-z"""


async def test_names_of_addresses_are_reserved(house: House) -> None:
    for name in RESERVED.split():
        answer = await call(house.admin, "POST", "/api/channels", {"name": name})
        assert (answer.status, answer.json()["code"]) == (400, "name_reserved"), name


async def test_content_segments_are_reserved_in_a_channel(house: House) -> None:
    await house.channel("team")
    for name in ("simple", "src", "bin", "noarch", "jupyter", "artifacts", "linux-64", "win-arm64"):
        answer = await call(house.admin, "POST", "/api/channels/team/subchannels", {"name": name})
        assert (answer.status, answer.json()["code"]) == (400, "name_reserved"), name


async def test_a_taken_name_is_a_conflict(house: House) -> None:
    await house.channel("team")
    for path, body in (("/api/channels", {"name": "team"}), ("/api/channels/team/subchannels", {"name": "dev"})):
        if "sub" in path:
            assert (await call(house.admin, "POST", path, body)).status == 201
        answer = await call(house.admin, "POST", path, body)
        assert (answer.status, answer.json()["code"]) == (409, "conflict")


async def test_a_subchannel_is_a_channel_of_its_own(house: House) -> None:
    owner = house.as_("owner")
    await call(owner, "POST", "/api/channels", {"name": "team", "privacy": "private"})
    made = await call(owner, "POST", "/api/channels/team/subchannels", {"name": "dev-1", "privacy": "public"})
    assert (made.status, made.json()["name"], made.json()["parent"]) == (201, "dev-1", "team")
    listed = await read(owner, "/api/channels/team/subchannels")
    assert [item["name"] for item in listed["items"]] == ["dev-1"]
    assert (await read(owner, "/api/channels/team"))["subchannel_count"] == 1
    assert (await read(house.web, "/api/channels/team/subchannels/dev-1"))["privacy"] == "public"
    assert (await house.web.get("/api/channels/team")).status == 404
    names = [(item["parent"], item["name"]) for item in (await read(owner, "/api/channels"))["items"]]
    assert names == [(None, "team")]
    both = await read(owner, "/api/channels?include_subchannels=True")
    assert [(item["parent"], item["name"]) for item in both["items"]] == [(None, "team"), ("team", "dev-1")]


async def test_a_subchannel_is_at_first_as_open_as_its_channel(house: House) -> None:
    owner = house.as_("owner")
    for privacy in ("private", "authenticated", "public"):
        await call(owner, "POST", "/api/channels", {"name": f"team-{privacy}", "privacy": privacy})
        made = await call(owner, "POST", f"/api/channels/team-{privacy}/subchannels", {"name": "dev"})
        assert (made.status, made.json()["privacy"]) == (201, privacy)
    index = "/api/repo/team-private/dev/noarch/repodata.json"
    assert ((await house.web.get(index)).status, (await owner.get(index)).status) == (401, 200)
    await call(owner, "PUT", "/api/channels/team-private", {"privacy": "public"})
    assert (await read(owner, "/api/channels/team-private/subchannels/dev"))["privacy"] == "private", (
        "its own from then"
    )
    assert (await house.web.get(index)).status == 401


async def test_channels_can_be_listed_by_privacy(house: House) -> None:
    for name, privacy in (("open", "public"), ("staff", "authenticated"), ("mine", "private"), ("free", "public")):
        await house.channel(name, privacy, "owner")
    for privacy, names in (
        ("public", ["free", "open"]), ("authenticated", ["staff"]), ("private", ["mine"])
    ):  # fmt: skip
        listed = await read(house.as_("owner"), f"/api/channels?privacy={privacy}")
        assert [item["name"] for item in listed["items"]] == names, privacy
        assert listed["total_count"] == len(names), privacy
    unknown = await house.web.get("/api/channels?privacy=secret")
    assert (unknown.status, unknown.json()["code"]) == (400, "bad_request")


async def test_a_renamed_channel_takes_its_subchannels_along(house: House) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    answer = await call(house.admin, "PUT", "/api/channels/team", {"name": "crew"})
    assert (answer.status, answer.json()["name"], answer.json()["changed"]) == (200, "crew", True)
    assert (await house.web.get("/api/channels/crew/subchannels/dev")).status == 200
    assert (await house.web.get("/api/channels/team")).status == 404


async def test_a_frozen_channel_refuses_uploads_until_it_is_unfrozen(house: House) -> None:
    await house.channel("team")
    frozen = await call(house.admin, "PUT", "/api/channels/team", {"indexing_behavior": "frozen"})
    assert (frozen.json()["indexing_behavior"], frozen.json()["changed"]) == ("frozen", True)
    put = await house.admin.put("/api/repo/team/noarch/a-1-0.conda", b"x")
    assert put.status in (409, 422)
    bulk = {"action": "delete", "items": [{"name": "a"}]}
    for path, body, status in (("", {"name": "crew"}, 409),):
        answer = await call(house.admin, "PUT", f"/api/channels/team{path}", body)
        assert (answer.status, answer.json()["code"]) == (status, "channel_frozen")
    assert (await call(house.admin, "DELETE", "/api/channels/team")).json()["code"] == "channel_frozen"
    thawed = await call(house.admin, "PUT", "/api/channels/team", {"indexing_behavior": "default"})
    assert (thawed.json()["indexing_behavior"], thawed.json()["changed"]) == ("default", True)
    await house.upload("team", "a")
    assert (await call(house.admin, "PUT", "/api/channels/team", {"indexing_behavior": "frozen"})).status == 200
    refused = await call(house.admin, "PUT", "/api/channels/team/artifacts/bulk", bulk)
    assert (refused.status, refused.json()["code"], refused.json()["status"]) == (400, "channel_frozen", 400)
    types = [event["event_type"] for event in (await read(house.admin, "/api/channels/team/history"))["items"]]
    assert types == [
        "channel_frozen", "artifact_registered", "channel_refresh_complete", "channel_unfrozen", "channel_frozen",
        "channel_created",
    ]  # fmt: skip


async def test_a_deleted_channel_is_cleared_and_its_name_is_free(house: House) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    for number in range(3):
        await house.upload("team", f"a{number}", depends=["python"])
    await house.upload("team/dev", "b")
    await call(house.admin, "DELETE", "/api/channels/team")
    assert (await house.web.get("/api/channels/team/subchannels/dev")).status == 404
    assert (await read(house.admin, "/api/artifacts?q=a1"))["total_count"] == 0
    assert await clear_deleted(house.services) == 2
    assert await clear_deleted(house.services) == 0
    for table in ("entry", "package", "need", "shelf", "dirty", "revision"):
        assert await house.services.db.fetch_value(f"SELECT count(*) FROM {table}") == 0, table
    assert await house.services.db.fetch_value("SELECT sum(packages) FROM package_total") == 0
    assert (await call(house.admin, "POST", "/api/channels", {"name": "team"})).status == 201
    assert (await read(house.admin, "/api/channels/team"))["artifact_count"] == 0


async def test_notices_reach_conda(house: House) -> None:
    await house.channel("team")
    body = {"message": "Moving on Friday ü", "level": "warning", "expires_at": "2999-01-01T00:00:00Z"}
    made = await call(house.admin, "POST", "/api/channels/team/notices", body)
    assert made.status == 201
    assert set(made.json()) == {"id", "message", "level", "created_at", "expires_at"}
    listed = await read(house.web, "/api/channels/team/notices")
    assert [item["message"] for item in listed["items"]] == ["Moving on Friday ü"]
    assert (await call(house.as_("outsider"), "POST", "/api/channels/team/notices", body)).status == 403
    for wrong in ({"message": ""}, {"message": "a\u001b[31m"}, {"message": "a", "level": "loud"}, {}):
        assert (await call(house.admin, "POST", "/api/channels/team/notices", wrong)).status == 400
    gone = await call(house.admin, "DELETE", f"/api/channels/team/notices/{made.json()['id']}")
    assert (gone.status, gone.body) == (204, b"")
    assert (await call(house.admin, "DELETE", f"/api/channels/team/notices/{2**70}")).status in (400, 404)


async def test_pages_are_complete_and_never_overlap(house: House) -> None:
    for number in range(7):
        await house.channel(f"c{number}")
    seen = []
    for offset in range(0, 7, 3):
        page = await read(house.web, f"/api/channels?limit=3&offset={offset}&sort=-created")
        assert page["total_count"] == 7
        seen += [item["name"] for item in page["items"]]
    assert seen == [f"c{number}" for number in reversed(range(7))]
    assert await read(house.web, "/api/channels?limit=0") == {"items": [], "total_count": 7}
    assert len((await read(house.web, "/api/channels?limit=100000"))["items"]) == 7


async def test_of_several_who_create_one_name_at_once_one_wins(house: House) -> None:
    answers = await asyncio.gather(
        *(call(house.admin, "POST", "/api/channels", {"name": "team"}) for _ in range(6)),
        *(call(house.as_("owner"), "POST", "/api/channels", {"name": "team"}) for _ in range(6)),
    )
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11


async def test_of_several_who_unfreeze_at_once_one_says_so(house: House) -> None:
    await house.channel("team")
    await call(house.admin, "PUT", "/api/channels/team", {"indexing_behavior": "frozen"})
    thaw = {"indexing_behavior": "default"}
    answers = await asyncio.gather(*(call(house.admin, "PUT", "/api/channels/team", thaw) for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    events = (await read(house.admin, "/api/channels/team/history"))["items"]
    types = [event["event_type"] for event in events]
    assert (types.count("channel_unfrozen"), types.count("channel_refresh_complete")) == (1, 1)
