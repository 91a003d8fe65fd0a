"""Waivers and reservations over the API: what they change for readers, until when, and who may make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packhouse.core.clock import DAY, SECOND, to_iso
from tests.kit.calls import call, read
from tests.kit.feeding import osv
from tests.kit.house import House
from tests.kit.judging import advise, govern, index_of, judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, events, run_and_wait
from tests.kit.upstream import Upstream

WAIVERS, RESERVATIONS = "/api/waivers", "/api/reservations"
OLD, NEW = "acme-1.0-0.conda", "acme-2.0-0.conda"


async def later(house: House, micros: int = DAY) -> str:
    return to_iso(await house.services.db.now() + micros) or ""


async def waive(house: House, status: int = 201, **fields: Any) -> dict[str, Any]:
    body = {"name": "acme", "reason": "The fix is being tested.", "until": await later(house), **fields}
    answer = await call(house.admin, "POST", WAIVERS, body)
    assert answer.status == status, answer.body
    await judged(house)
    made: dict[str, Any] = answer.json()
    return made


async def vulnerable(house: House, folder: Path, *paths: str) -> None:
    """Make channels in which version 1.0 of a package is hidden for a vulnerability."""
    await advise(house.services, folder, osv(1, "acme"))
    for path in paths:
        await house.channel(path)
        for version in ("1.0", "2.0"):
            await house.upload(path, "acme", version, depends=["python >=3.8"])
        await govern(house, path, cve_score=7.0)
        assert await listed(house, path) == {NEW}


async def test_a_waiver_shows_what_a_rule_hides_and_its_end_restores_the_bytes(house: House, tmp_path: Path) -> None:
    await vulnerable(house, tmp_path, "one", "two")
    before = await index_of(house, "one")
    made = await waive(house, channel="one", spec="<2", cves=["cve-2024-0001"])
    assert (made["state"], made["channel"], made["cves"], made["created_by"]) == (
        "active", "one", ["CVE-2024-0001"], "admin",
    )  # fmt: skip
    assert await listed(house, "one") == {OLD, NEW}
    assert await listed(house, "two") == {NEW}, "a waiver of one channel is for no other one"
    assert (await status_of(house, "one", OLD), await status_of(house, "two", OLD)) == (200, 403)

    ended = await call(house.admin, "DELETE", f"{WAIVERS}/{made['id']}")
    assert (ended.status, ended.json()["state"]) == (200, "ended")
    await judged(house)
    assert await listed(house, "one") == {NEW}
    assert await index_of(house, "one") == before
    assert await status_of(house, "one", OLD) == 403
    again = await call(house.admin, "DELETE", f"{WAIVERS}/{made['id']}")
    assert (again.status, again.json()["code"]) == (409, "conflict")
    kinds = [(kind, data["name"], data["cves"]) for kind, _, data in await events(house.services, "waiver")]
    assert kinds == [("waiver_created", "acme", ["CVE-2024-0001"]), ("waiver_ended", "acme", ["CVE-2024-0001"])]
    assert (await read(house.admin, f"{WAIVERS}/{made['id']}"))["reason"] == "The fix is being tested."


async def test_a_waiver_says_how_many_files_it_selects_and_holds_through_its_last_day(house: House) -> None:
    for path in ("one", "two"):
        await house.channel(path)
        await house.upload(path, "acme", "1.0")
    await house.upload("two", "acme", "2.0")
    made = await waive(house, spec=">=1 0", until="2999-01-31")
    assert (made["matches"], made["until"]) == ({"files": 3, "channels": 2}, "2999-02-01T00:00:00.000Z")
    assert (await waive(house, spec="<2", channel="two"))["matches"] == {"files": 1, "channels": 1}
    assert (await waive(house, name="acmee"))["matches"] == {"files": 0, "channels": 0}
    assert (await read(house.admin, f"{WAIVERS}/{made['id']}"))["matches"] == made["matches"]


async def test_a_waiver_for_everywhere_ends_by_itself(house: House, tmp_path: Path) -> None:
    await vulnerable(house, tmp_path, "one", "two")
    await waive(house, until=await later(house, 2 * SECOND), rules=["cve"])
    assert await listed(house, "one") == await listed(house, "two") == {OLD, NEW}
    await house.services.db.write(lambda unit: unit.execute("UPDATE waiver SET until = :now", now=unit.now))
    await house.services.db.write(lambda unit: unit.execute("UPDATE overlay SET until = :now", now=unit.now))
    await judged(house)
    assert await listed(house, "one") == await listed(house, "two") == {NEW}


async def test_waivers_are_listed_by_state_package_and_channel(house: House) -> None:
    await house.channel("one")
    await house.channel("two")
    here = await waive(house, channel="one", name="Acme")
    everywhere = await waive(house, name="other")
    await call(house.admin, "DELETE", f"{WAIVERS}/{here['id']}")

    async def ids(query: str) -> list[str]:
        page = await read(house.admin, f"{WAIVERS}?{query}")
        assert page["total_count"] == len(page["items"])
        return [item["id"] for item in page["items"]]

    assert await ids("active=true") == [everywhere["id"]]
    assert await ids("active=false") == [here["id"]]
    assert await ids("") == [everywhere["id"], here["id"]]
    assert await ids("name=acme&family=conda") == [here["id"]]
    assert await ids("channel=two") == [everywhere["id"]]
    assert await ids("channel=one&active=false") == [here["id"]]
    assert (await house.admin.get(f"{WAIVERS}?active=perhaps")).status == 400
    assert (await house.admin.get(f"{WAIVERS}?channel=none")).status == 404


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"reason": " "}, "bad_request", "reason"),
        ({"until": "2020-01-01"}, "bad_request", "ended already"),
        ({"until": "soon"}, "bad_request", "until"),
        ({"rules": ["everything"]}, "bad_request", "rules"),
        ({"spec": ">>> 3"}, "bad_request", ""),
        ({"spec": "acme==2.0"}, "bad_request", "repeats the name"),
        ({"spec": "lalala("}, "bad_request", "no version"),
        ({"spec": ">=banana"}, "bad_request", "no version"),
        ({"spec": "1.0 0 junk"}, "bad_request", "build '0 junk'"),
        ({"spec": "acme==2.0", "family": "python"}, "bad_request", "repeats the name"),
        ({"spec": ">=banana", "family": "python"}, "bad_request", "cannot be understood"),
        ({"name": "acme >2"}, "bad_request", "name"),
        ({"name": "*"}, "bad_request", "name"),
        ({"family": "cobol"}, "unsupported_type", "cobol"),
        ({"channel": "nowhere"}, "not_found", "channel"),
        ({"cves": [f"CVE-2024-{number}" for number in range(101)]}, "bad_request", "cves"),
        ({"whom": "me"}, "bad_request", "whom"),
    ],
)
async def test_a_waiver_that_makes_no_sense_is_refused(
    house: House, fields: dict[str, Any], code: str, said: str
) -> None:
    body = {"name": "acme", "reason": "Tested.", "until": await later(house), **fields}
    answer = await call(house.admin, "POST", WAIVERS, body)
    assert (answer.status >= 400, answer.json()["code"]) == (True, code), answer.body
    assert said in answer.json()["message"]
    assert (await read(house.admin, WAIVERS))["total_count"] == 0
    assert await events(house.services, "waiver") == []


async def test_a_reserved_name_is_not_offered_from_a_mirror(house: House) -> None:
    channel = await house.channel("team")
    await house.upload("team", "acme-core", "1.0")
    source = CondaSource()
    for name in ("acme-core", "acme-tools", "numpy"):
        source.add(name, "9.0")
    async with Upstream(source.files()) as up:
        mirror = await run_and_wait(house.services, await add_mirror(house.services, channel, up.url))
        await judged(house)
        all_but_ours = {"acme-core-1.0-0.conda", "acme-tools-9.0-0.conda", "numpy-9.0-0.conda"}
        assert await listed(house, "team") == all_but_ours, "a name that was uploaded is reserved by itself"

        made = await call(house.admin, "POST", RESERVATIONS, {"pattern": "acme-*"})
        assert made.status == 201, made.body
        assert (made.json()["channel"], made.json()["family"], made.json()["created_by"]) == (None, "", "admin")
        await judged(house)
        assert await listed(house, "team") == {"acme-core-1.0-0.conda", "numpy-9.0-0.conda"}
        assert await status_of(house, "team", "acme-tools-9.0-0.conda") == 403

        source.add("acme-more", "9.0")
        up.files = source.files()
        await run_and_wait(house.services, mirror)
        await judged(house)
        assert "acme-more-9.0-0.conda" not in await listed(house, "team"), "what comes later, too"

        gone = await call(house.admin, "DELETE", f"{RESERVATIONS}/{made.json()['id']}")
        assert gone.status == 204
        await judged(house)
        assert await listed(house, "team") == {*all_but_ours, "acme-more-9.0-0.conda"}
    found_events = [(kind, data["pattern"]) for kind, _, data in await events(house.services, "reservation")]
    assert found_events == [("reservation_created", "acme-*"), ("reservation_deleted", "acme-*")]


async def test_a_reservation_of_one_channel_leaves_others_alone(house: House) -> None:
    source = CondaSource()
    source.add("acme-tools", "9.0")
    async with Upstream(source.files()) as up:
        for path in ("one", "two"):
            channel = await house.channel(path)
            await run_and_wait(house.services, await add_mirror(house.services, channel, up.url))
    body = {"pattern": "acme-tools", "family": "conda", "channel": "one"}
    made = await call(house.admin, "POST", RESERVATIONS, body)
    assert made.status == 201
    await judged(house)
    assert await listed(house, "one") == set()
    assert await listed(house, "two") == {"acme-tools-9.0-0.conda"}
    assert (await read(house.admin, RESERVATIONS))["items"] == [made.json()]
    twice = await call(house.admin, "POST", RESERVATIONS, body)
    assert (twice.status, twice.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        {"pattern": "*"}, {"pattern": ""}, {"pattern": "a b"}, {"pattern": "a", "family": "x"},
        {"pattern": "a", "channel": "none"}, {},
    ],
)  # fmt: skip
async def test_a_reservation_that_makes_no_sense_is_refused(house: House, body: dict[str, Any]) -> None:
    answer = await call(house.admin, "POST", RESERVATIONS, body)
    assert answer.status in (400, 404, 415), answer.body
    assert (await read(house.admin, RESERVATIONS))["total_count"] == 0


async def test_only_who_decides_policies_waives_and_reserves(house: House) -> None:
    await house.channel("team", owner="owner")
    made = await waive(house, channel="team")
    owner = house.as_("owner")
    for method, path, body in (
        ("GET", WAIVERS, None),
        ("POST", WAIVERS, {"name": "a", "reason": "b", "until": await later(house)}),
        ("GET", f"{WAIVERS}/{made['id']}", None),
        ("DELETE", f"{WAIVERS}/{made['id']}", None),
        ("GET", RESERVATIONS, None),
        ("POST", RESERVATIONS, {"pattern": "a"}),
        ("DELETE", f"{RESERVATIONS}/1", None),
    ):
        assert (await call(owner, method, path, body)).status == 403, (method, path)
    assert (await call(house.admin, "DELETE", f"{RESERVATIONS}/1")).status == 404
    assert (await call(house.admin, "DELETE", f"{WAIVERS}/none")).status == 404


async def test_the_number_of_a_reservation_is_given_once(house: House) -> None:
    first = (await call(house.admin, "POST", RESERVATIONS, {"pattern": "acme-one"})).json()
    assert (await call(house.admin, "DELETE", f"{RESERVATIONS}/{first['id']}")).status == 204
    second = (await call(house.admin, "POST", RESERVATIONS, {"pattern": "acme-two"})).json()
    assert second["id"] != first["id"]
    assert (await call(house.admin, "DELETE", f"{RESERVATIONS}/{first['id']}")).status == 404
    assert [one["pattern"] for one in (await read(house.admin, RESERVATIONS))["items"]] == ["acme-two"]
