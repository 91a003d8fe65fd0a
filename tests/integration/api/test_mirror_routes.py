"""What each route of mirrors does to the channel, looked at from outside, with a real upstream and real runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.mirrors import store
from tests.kit.calls import call, read
from tests.kit.house import House
from tests.kit.mirroring import CondaSource, wait
from tests.kit.tls import Authority
from tests.kit.upstream import Basic, Header, Upstream

TEAM = "/api/channels/team"


def source_of(*names: str) -> CondaSource:
    source = CondaSource()
    for name in names:
        source.add(name)
    return source


async def make(house: House, source: str, **more: Any) -> str:
    """Create a mirror, let it run, and return its address."""
    body = {"mirror_name": "forge", "source_root": source, "run_now": True, **more}
    made = await call(house.admin, "POST", f"{TEAM}/mirrors", body)
    assert made.status == 201, made.body
    one = f"{TEAM}/mirrors/{made.json()['mirror_id']}"
    await ended(house, one)
    return one


async def ended(house: House, one: str) -> dict[str, Any]:
    """Let a run come to its end and return the mirror as it is shown then."""
    mirror = await store.by_uuid(house.services.db, one.rpartition("/")[2])
    assert mirror is not None
    await wait(house.services, mirror)
    await house.caught_up()
    shown: dict[str, Any] = await read(house.admin, one)
    return shown


async def run(house: House, one: str, **how: Any) -> dict[str, Any]:
    """Restart a mirror and return it once it has run."""
    answer = await call(house.admin, "POST", f"{one}/restart_mirror_sync", how or None)
    assert answer.status == 202, answer.body
    return await ended(house, one)


async def names(house: House, channel: str = "team", subdir: str = "noarch") -> set[str]:
    """Return the names of the packages that clients see in a subdir."""
    await house.caught_up()
    found = await read(house.web, f"/api/repo/{channel}/{subdir}/repodata.json")
    return {record["name"] for record in (found["packages"] | found["packages.conda"]).values()}


async def freeze(house: House, frozen: bool, channel: str = TEAM) -> None:
    answer = await call(house.admin, "PUT", channel, {"indexing_behavior": "frozen" if frozen else "default"})
    assert answer.status < 300, answer.body
    await house.caught_up()


async def test_a_shrinking_upstream_waits_for_somebody_to_accept_it(house: House) -> None:
    await house.channel("team")
    source = source_of("a", "b", "c", "d")
    async with Upstream(source.files()) as up:
        one = await make(house, up.url)
        for name in ("b", "c", "d"):
            source.drop(f"noarch/{name}-1.0-0.conda")
        up.files = source.files()
        for how in ({}, {"accept_shrink": False}):
            assert (await run(house, one, **how))["sync_state"]["asks"] == "shrink"
            assert await names(house) == {"a", "b", "c", "d"}
        assert (await run(house, one, accept_shrink=True))["state"] == "completed"
        assert await names(house) == {"a"}


@pytest.mark.parametrize(("query", "left"), [("", {"a"}), ("?files=true", set())])
async def test_deleting_a_mirror_takes_its_fetched_files_only_when_asked(
    house: House, query: str, left: set[str]
) -> None:
    await house.channel("team")
    async with Upstream(source_of("a", "b").files()) as up:
        one = await make(house, up.url)
        assert (await house.web.get("/api/repo/team/noarch/a-1.0-0.conda")).status == 200
        await freeze(house, True)
        refused = await call(house.admin, "DELETE", one + query)
        assert (refused.status, refused.json()["code"]) == (409, "channel_frozen")
        assert (await read(house.admin, one))["mirror_name"] == "forge"
        assert await names(house) == {"a", "b"}
        await freeze(house, False)
        assert (await call(house.admin, "DELETE", one + query)).status == 204
        assert await names(house) == left


@pytest.mark.parametrize(
    ("credential", "required"),
    [({"token": "hush"}, Header("authorization", "Bearer hush")),
     ({"username": "me", "password": "hush"}, Basic("me", "hush")),
     ({"headers": {"X-Auth": "hush"}}, Header("x-auth", "hush"))],
    ids=["token", "basic", "headers"],
)  # fmt: skip
async def test_a_credential_opens_the_source_and_is_never_shown(
    house: House, credential: dict[str, Any], required: Basic | Header
) -> None:
    await house.channel("team")
    async with Upstream(source_of("a").files(), require=required) as up:
        one = await make(house, up.url)
        assert (await read(house.admin, one))["state"] == "failed"
        edited = await call(house.admin, "PUT", one, {"credential": credential, "run_now": True})
        assert edited.status == 202 and b"hush" not in edited.body
        assert (await ended(house, one))["state"] == "completed"
        assert (await house.web.get("/api/repo/team/noarch/a-1.0-0.conda")).status == 200
        assert b"hush" not in (await house.admin.get(one)).body
        await call(house.admin, "PUT", one, {"mirror_name": "renamed"})
        assert (await run(house, one))["state"] == "completed", "unsent, it is kept"
        await call(house.admin, "PUT", one, {"credential": {}})
        assert (await run(house, one))["state"] == "failed", "sent empty, it is dropped"


async def test_certificates_are_those_of_the_mirror(house: House, tmp_path: Path) -> None:
    await house.channel("team")
    authority = Authority(tmp_path)
    cert, key = authority.issue("client")
    async with Upstream(source_of("a").files(), tls=authority.server(want_client=True)) as up:
        one = await make(house, up.url)
        for options, state in (
            ({"ca_bundle": str(authority.ca)}, "failed"),
            ({"client_cert": str(cert), "client_key": str(key)}, "completed"),
            ({"ca_bundle": None}, "failed"),
            ({"verify_tls": False}, "completed"),
            ({"client_cert": None, "client_key": None}, "failed"),
        ):
            edited = await call(house.admin, "PUT", one, {**options, "run_now": True})
            assert edited.status == 202, edited.body
            assert (await ended(house, one))["state"] == state, options
            assert {name: edited.json()["options"].get(name) for name in options} == options


async def test_dependencies_come_with_what_needs_them_on_request(house: House) -> None:
    await house.channel("team")
    source = source_of("click", "other")
    source.add("flask", depends=["click"])
    async with Upstream(source.files()) as up:
        one = await make(house, up.url, filters={"only_specs": ["flask"]}, include_dependencies=True)
        assert await names(house) == {"flask", "click"}
        await call(house.admin, "PUT", one, {"include_dependencies": False})
        assert (await run(house, one))["state"] == "completed"
        assert await names(house) == {"flask"}


async def test_an_edit_can_be_looked_at_before_it_is_saved(house: House) -> None:
    await house.channel("team")
    async with Upstream(source_of("a", "b").files()) as up, Upstream(source_of("b", "c").files()) as other:
        one = await make(house, up.url)
        before = await read(house.admin, one)
        for edit, add, remove in (
            (None, [], []),
            ({"filters": {"exclude_specs": ["a"]}}, [], ["a"]),
            ({"source_root": other.url}, ["c"], ["a"]),
            ({**before, "filters": {"only_specs": ["a"]}}, [], ["b"]),
        ):
            dry = await call(house.admin, "POST", f"{one}/dry_run", edit)
            assert dry.status == 200, dry.body
            found = [[ckey.split("/")[1].split("-")[0] for ckey in dry.json()[kind]] for kind in ("add", "remove")]
            assert found == [add, remove], edit
        assert (await read(house.admin, one)) == before
        wrong = await call(house.admin, "POST", f"{one}/dry_run", {"filters": {"exclude_licenses": ["-mit"]}})
        assert (wrong.status, wrong.json()["code"]) == (400, "bad_request")
        assert "exclude_licenses" in wrong.json()["message"]


async def test_what_people_took_out_is_listed_and_comes_back_when_restored(house: House) -> None:
    await house.channel("team")
    source = source_of("a", "b", "c")
    async with Upstream(source.files()) as up:
        one = await make(house, up.url)
        for name in ("a", "b"):
            await house.remove("team", name)
        source.drop("noarch/c-1.0-0.conda")
        source.add("c", "2.0")
        up.files = source.files()
        assert (await run(house, one))["sync_state"]["count"]["kept_out"] == 2
        assert await names(house) == {"c"}
        listed = await read(house.admin, f"{TEAM}/kept_out?limit=1")
        assert (listed["total_count"], len(listed["items"])) == (2, 1)
        assert (listed["items"][0]["name"], listed["items"][0]["ckey"]) == ("a", "noarch/a-1.0-0.conda")
        assert (await read(house.admin, f"{TEAM}/kept_out?limit=0"))["total_count"] == 2
        restored = await call(house.admin, "POST", f"{TEAM}/kept_out/restore", {"items": [{"name": "a"}]})
        assert (restored.status, restored.json()) == (202, {"files": 1})
        assert (await run(house, one))["state"] == "completed"
        assert await names(house) == {"a", "c"}
        assert [item["name"] for item in (await read(house.admin, f"{TEAM}/kept_out"))["items"]] == ["b"]
        nothing = await call(house.admin, "POST", f"{TEAM}/kept_out/restore", {"items": [{"name": "a"}]})
        assert nothing.status == 404


async def test_a_conflict_is_listed_decided_and_carried_out(house: House) -> None:
    await house.channel("team")
    source = source_of("a", "b")
    async with Upstream(source.files()) as up:
        one = await make(house, up.url, mirror_mode="active")
        held = {ckey: hashlib.sha256(data).hexdigest() for ckey, data in source.bytes.items()}
        for name in ("a", "b"):
            source.add(name, depends=["changed"])
        up.files = source.files()
        await run(house, one)
        listed = await read(house.admin, f"{one}/conflicts")
        assert {item["ckey"]: item["held_sha256"] for item in listed["items"]} == held
        assert {item["decision"] for item in listed["items"]} == {None}
        remove = {"ckey": "noarch/b-1.0-0.conda", "decision": "remove"}
        await freeze(house, True)
        refused = await call(house.admin, "POST", f"{one}/conflicts", remove)
        assert (refused.status, refused.json()["code"]) == (409, "channel_frozen")
        assert await read(house.admin, f"{one}/conflicts") == listed
        await freeze(house, False)
        for body, decisions in (
            ({"ckey": "noarch/a-1.0-0.conda", "decision": "keep"}, ["keep", None]),
            (remove, ["keep", "remove"]),
        ):
            answer = await call(house.admin, "POST", f"{one}/conflicts", body)
            assert (answer.status, [item["decision"] for item in answer.json()["items"]]) == (200, decisions)
        assert await names(house) == {"a"}
        assert (await call(house.admin, "POST", f"{one}/conflicts", {**remove, "ckey": "noarch/x"})).status == 404
