"""Policies over the management API: the fields as command lines send them, editing, clearing, and where they hold."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from packhouse.catalog.policies import store
from packhouse.catalog.policies.verdicts import rulesets_in_use
from tests.kit.calls import call, read
from tests.kit.house import House
from tests.kit.mirroring import events

POLICIES = "/api/policies"
STRICT = {"name": "strict", "cve_score": 7, "platform": ["linux-64", "noarch"], "license_not": ["GPL3"]}


async def make(house: House, **fields: Any) -> dict[str, Any]:
    answer = await call(house.admin, "POST", POLICIES, {**STRICT, **fields})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json()
    return made


async def put(house: House, made: dict[str, Any], body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await call(house.admin, "PUT", f"{POLICIES}/{made['id']}", body)
    assert answer.status == status, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def prepared(house: House) -> None:
    """Do what the worker does, once the verdicts are written."""
    db = house.services.db
    for channel, ruleset, number in await store.preparing(db):
        flip = partial(store.flip, channel_id=channel, ruleset_id=ruleset, assignment=number, settle_from=0)
        await db.write(flip)


async def test_a_policy_is_made_shown_listed_edited_and_deleted(house: House) -> None:
    made = await make(house, description="For production")
    assert (made["name"], made["description"], made["state"], made["channel_count"]) == (
        "strict", "For production", "unassigned", 0,
    )  # fmt: skip
    assert (made["cve_score"], made["cve_score_comparator"], made["malware"]) == (7.0, "<=", "hide")
    assert "Files licensed under GPL3 are hidden." in made["summary"]
    assert await read(house.admin, f"{POLICIES}/{made['id']}") == made
    assert (await read(house.admin, POLICIES)) == {"items": [made], "total_count": 1}

    edited = await put(house, made, {"license_not": ["AGPL"], "description": "All"})
    assert (edited["license_not"], edited["platform"], edited["cve_score"]) == (["AGPL"], made["platform"], 7.0)
    assert (edited["name"], edited["description"]) == ("strict", "All")

    gone = await call(house.admin, "DELETE", f"{POLICIES}/{made['id']}")
    assert (gone.status, gone.json()["name"]) == (200, "strict")
    assert (await house.admin.get(f"{POLICIES}/{made['id']}")).status == 404
    kinds = [(kind, data.get("channels")) for kind, _, data in await events(house.services, "policy")]
    assert kinds == [("policy_created", None), ("policy_updated", 0), ("policy_deleted", 0)]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"cve_score": 7}, {"cve_score": 7.0}),
        ({"cve_score": 7.0}, {"cve_score": 7.0}),
        ({"cve_score": "7.0"}, {"cve_score": 7.0}),
        ({"cve_score": " 9.8 "}, {"cve_score": 9.8}),
        ({"platform": "linux-64, osx-64"}, {"platform": ["linux-64", "osx-64"]}),
        ({"package_name": "numpy >=1,<2,scipy,conda:requests"},
         {"package_name": ["conda:requests", "numpy >=1,<2", "scipy"]}),
        ({"package_name": "numpy[version='>=1,<2',build=py*]"},
         {"package_name": ["numpy[version='>=1,<2',build=py*]"]}),
        ({"cve_status": "Active,REPORTED"}, {"cve_status": ["active", "reported"]}),
        ({"python_versions": "3.11,3.12"}, {"python_versions": ["3.11", "3.12"]}),
        ({"cve_allowlist": "cve-2021-44228"}, {"cve_allowlist": ["CVE-2021-44228"]}),
        ({"keep_legacy_packages": "True", "latest_only": "false"},
         {"keep_legacy_packages": True, "latest_only": False}),
        ({"minimum_age_days": "14"}, {"minimum_age_days": 14}),
        ({"cve_link_status_and_score": "OR", "cve_status": ["active"]}, {"cve_link_status_and_score": "or"}),
    ],
)  # fmt: skip
async def test_values_are_taken_as_clients_send_them(house: House, sent: dict[str, Any], shown: dict[str, Any]) -> None:
    made = await make(house, **sent)
    assert {name: made[name] for name in shown} == shown


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"cve_scor": 7}, "Did you mean `cve_score`"),
        ({"cve_score": "seven"}, "cve_score"),
        ({"cve_score": 7.25}, "cve_score"),
        ({"cve_score": "nan"}, "cve_score"),
        ({"cve_score": "1_0"}, "cve_score"),
        ({"cve_score_comparator": "=<"}, "cve_score_comparator"),
        ({"cve_status": ["open"]}, "cve_status"),
        ({"platform": ["linux 64"]}, "platform"),
        ({"platform": ["win-64"], "platform_not": "win-64"}, "stands in platform_not, too"),
        ({"license": "mitt"}, "license"),
        ({"license": ["M" * 1000]}, "license"),
        ({"latest_only": "perhaps"}, "latest_only"),
        ({"minimum_age_days": "3.5"}, "minimum_age_days"),
        ({"minimum_age_days": "1_0"}, "minimum_age_days"),
        ({"package_created_from": "2026-02-30"}, "package_created_from"),
        ({"package_created_from": "2026-02-02", "package_created_to": "2026-01-01"}, "package_created_from"),
        ({"exclude_package_name_exception": "a"}, "exclude_package_name_exception"),
        ({"package_name": ["numpy >>> 3"]}, "package_name"),
        ({"exclude_package_name": ["numpy 1.0 0 junk"]}, "asks for the build '0 junk'"),
        ({"exclude_package_name": ["conda:numpy stable"]}, "asks for '==stable', which is no version"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"description": "x" * 5000}, "description"),
        ({"platform": {"a": 1}}, "platform"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused_and_nothing_is_made(
    house: House, sent: dict[str, Any], said: str
) -> None:
    answer = await call(house.admin, "POST", POLICIES, {**STRICT, **sent})
    assert (answer.status, answer.json()["code"]) == (400, "bad_request"), answer.body
    assert said in answer.json()["message"]
    assert (await read(house.admin, POLICIES))["total_count"] == 0


@pytest.mark.parametrize("nothing", ["", [], None])
async def test_nothing_clears_a_field_and_leaves_the_others(house: House, nothing: object) -> None:
    made = await make(house, package_name=["a"], latest_only=True)
    cleared = await put(house, made, {"platform": nothing, "cve_score": None if nothing == [] else nothing})
    assert (cleared["platform"], cleared["cve_score"]) == ([], None)
    assert (cleared["license_not"], cleared["package_name"], cleared["latest_only"]) == (["GPL3"], ["a"], True)


async def test_a_policy_can_be_sent_back_as_it_was_shown(house: House) -> None:
    made = await make(house)
    before = len(await events(house.services, "policy"))
    assert await put(house, made, made) == made
    assert len(await events(house.services, "policy")) == before, "nothing changed, so nothing happened"


async def test_names_are_unique(house: House) -> None:
    made = await make(house)
    twice = await call(house.admin, "POST", POLICIES, STRICT)
    assert (twice.status, twice.json()["code"]) == (409, "conflict")
    other = await make(house, name="other")
    assert (await put(house, other, {"name": "strict"}, 409))["code"] == "conflict"
    assert (await put(house, made, {"name": "strict"}))["name"] == "strict"
    both = await asyncio.gather(*(call(house.admin, "POST", POLICIES, {"name": "race"}) for _ in range(4)))
    assert sorted(answer.status for answer in both) == [201, 409, 409, 409]


async def test_a_channel_comes_to_its_policy_and_says_how_far_that_is(house: House) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    made = await make(house, channel_name="team")
    assert (made["state"], made["channel_count"]) == ("preparing", 1)
    assert made["channels"] == [{"name": "team", "state": "preparing", "since": None}]
    here = await read(house.web, "/api/channels/team/policy")
    assert (here["policy"]["name"], here["state"]) == ("strict", "preparing")
    assert here["rules"] == {"cve_score": 7.0, "license_not": ["GPL3"], "platform": ["linux-64", "noarch"]}
    assert here["summary"] == made["summary"] and here["warnings"] == made["warnings"]
    assert here["does_not_apply"]["conda"] == []
    channel = await read(house.web, "/api/channels/team")
    assert (channel["policy_id"], channel["policy"]) == (made["id"], "strict")

    await prepared(house)
    shown = await read(house.admin, f"{POLICIES}/{made['id']}")
    assert (shown["state"], shown["channels"][0]["state"]) == ("publishing", "publishing")
    assert shown["channels"][0]["since"] is not None
    held = await house.find("team")
    await house.services.db.write(lambda unit: store.settled(unit, held.id, held.ruleset_id, 0))
    assert (await read(house.admin, f"{POLICIES}/{made['id']}"))["state"] == "in_effect"

    nobody = await read(house.web, "/api/channels/team/subchannels/dev/policy")
    assert (nobody["policy"], nobody["state"], nobody["rules"], nobody["does_not_apply"]) == (
        None, "unassigned", {}, {},
    )  # fmt: skip
    assert "Malware is hidden." in nobody["summary"]


async def test_assignment_by_the_channel_and_by_the_policy(house: House) -> None:
    for path in ("one", "two", "two/sub"):
        await house.channel(path)
    made, other = await make(house), await make(house, name="other", cve_score=9)
    changed = await call(house.admin, "PUT", "/api/channels/one", {"policy_id": made["id"], "description": "x"})
    assert (changed.status, changed.json()["changed"], changed.json()["policy_id"]) == (200, True, made["id"])
    again = await call(house.admin, "PUT", "/api/channels/one", {"policy_id": made["id"]})
    assert again.json()["changed"] is False

    some = {"channels": ["one", "two", "two/sub"]}
    assert (await call(house.admin, "POST", f"{POLICIES}/{other['id']}/assign", some)).json()["channel_count"] == 3
    assert (await read(house.admin, f"{POLICIES}/{made['id']}"))["channel_count"] == 0
    left = await call(house.admin, "POST", f"{POLICIES}/{made['id']}/unassign", {"channels": ["one"]})
    assert left.status == 200
    assert (await read(house.admin, f"{POLICIES}/{other['id']}"))["channel_count"] == 3, "it has another one"
    await call(house.admin, "POST", f"{POLICIES}/{other['id']}/unassign", {"channels": ["one"]})
    none = await call(house.admin, "PUT", "/api/channels/two/subchannels/sub", {"policy_id": None})
    assert (none.status, none.json()["policy_id"], none.json()["changed"]) == (200, None, True)
    assert [one["name"] for one in (await read(house.admin, f"{POLICIES}/{other['id']}"))["channels"]] == ["two"]

    found = await events(house.services, "channel_policy")
    assert [(kind, data.get("policy")) for kind, _, data in found] == [
        ("channel_policy_assigned", "strict"),
        ("channel_policy_assigned", "other"), ("channel_policy_assigned", "other"),
        ("channel_policy_assigned", "other"),
        ("channel_policy_unassigned", "other"), ("channel_policy_unassigned", "other"),
    ]  # fmt: skip
    history = await read(house.admin, "/api/channels/one/history")
    assert history["items"][0]["event_type"] == "channel_policy_unassigned"
    missing = await call(house.admin, "PUT", "/api/channels/one", {"policy_id": "nothing"})
    assert (missing.status, missing.json()["code"]) == (404, "not_found")
    missing = await call(house.admin, "POST", f"{POLICIES}/{made['id']}/assign", {"channels": ["one", "three"]})
    assert missing.status == 404
    assert (await read(house.admin, f"{POLICIES}/{made['id']}"))["channel_count"] == 0


async def test_equal_rules_are_one_ruleset_and_an_edit_prepares_every_channel(house: House) -> None:
    db = house.services.db
    for path in ("one", "two", "three"):
        await house.channel(path)
    made = await make(house, channel_name=["one", "two"])
    twin = await make(house, name="twin", license_not="GPL3", platform="noarch,linux-64", channel_name="three")
    assert len({row[1] for row in await store.preparing(db)}) == 1
    await prepared(house)
    await put(house, made, {"description": "No rule of it changes."})
    assert await store.preparing(db) == []
    edited = await put(house, made, {"cve_score": 5})
    assert edited["state"] == "preparing"
    preparing = await store.preparing(db)
    assert {row[0] for row in preparing} == {(await house.find(path)).id for path in ("one", "two")}
    assert len(await rulesets_in_use(db)) == 3, "none, the former one, and the one to come"
    back = await put(house, made, {"cve_score": 7})
    assert back["state"] == "preparing", "what is being prepared is given up by the worker, not by a guess"
    await prepared(house)
    [event] = [
        data for kind, _, data in await events(house.services, "policy_updated") if "cve_score" in data["changed"]
    ][:1]
    assert event["changed"]["cve_score"] == {"from": 7.0, "to": 5.0}
    assert event["channels"] == 2
    assert twin["summary"] == made["summary"]
    moved = await call(house.admin, "PUT", "/api/channels/three", {"policy_id": made["id"]})
    assert moved.status == 200
    assert await store.preparing(db) == [], "the rules are equal: nothing is to be prepared"


async def test_a_policy_in_use_is_deleted_only_by_force(house: House) -> None:
    await house.channel("open")
    await house.channel("closed", privacy="private")
    made = await make(house, channel_name="open,closed")
    refused = await call(house.admin, "DELETE", f"{POLICIES}/{made['id']}")
    assert (refused.status, refused.json()["code"]) == (409, "conflict")
    assert refused.json()["details"]["channels"] == ["closed", "open"]
    await prepared(house)
    gone = await call(house.admin, "DELETE", f"{POLICIES}/{made['id']}?force=true")
    assert gone.status == 200
    here = await read(house.web, "/api/channels/open/policy")
    assert (here["policy"], here["state"]) == (None, "preparing")
    assert {row[1] for row in await store.preparing(house.services.db)} == {0}
    kinds = [kind for kind, _, _ in await events(house.services, "") if "policy" in kind]
    assert kinds[-3:] == ["policy_deleted", "channel_policy_unassigned", "channel_policy_unassigned"]


async def test_an_owner_cannot_take_away_what_the_organisation_decided(house: House) -> None:
    await house.channel("team", owner="owner")
    made = await make(house, channel_name="team")
    owner = house.as_("owner")
    for nothing in (None, ""):
        refused = await call(owner, "PUT", "/api/channels/team", {"policy_id": nothing})
        assert (refused.status, refused.json()["code"]) == (403, "forbidden"), nothing
    same = await call(owner, "PUT", "/api/channels/team", {"policy_id": made["id"], "description": "Ours"})
    assert same.status == 200, "sent back as it was shown"
    for method, path, body in (
        ("GET", POLICIES, None), ("POST", POLICIES, STRICT), ("GET", f"{POLICIES}/{made['id']}", None),
        ("PUT", f"{POLICIES}/{made['id']}", {"cve_score": 10}), ("DELETE", f"{POLICIES}/{made['id']}", None),
        ("POST", f"{POLICIES}/{made['id']}/unassign", {"channels": ["team"]}),
    ):  # fmt: skip
        assert (await call(owner, method, path, body)).status == 403, (method, path)
    assert (await read(owner, "/api/channels/team/policy"))["policy"]["name"] == "strict"


async def test_edits_and_assignments_at_once_leave_every_channel_under_the_last_rules(house: House) -> None:
    paths = [f"c{number}" for number in range(6)]
    for path in paths:
        await house.channel(path)
    made = await make(house, channel_name=paths[:3])
    edits = [call(house.admin, "PUT", f"{POLICIES}/{made['id']}", {"cve_score": score}) for score in (1, 2, 3, 4)]
    assigns = [call(house.admin, "PUT", f"/api/channels/{path}", {"policy_id": made["id"]}) for path in paths[3:]]
    answers = await asyncio.gather(*edits, *assigns)
    assert {answer.status for answer in answers} <= {200, 409}, [answer.body for answer in answers]
    row = await store.by_uuid(house.services.db, made["id"])
    assert row is not None
    assert {ruleset for _, ruleset, _ in await store.preparing(house.services.db)} == {row.ruleset_id}
    assert len(await store.preparing(house.services.db)) == 6


async def test_a_wrong_word_is_told_the_right_ones_and_one_without_effect_is_warned_of(house: House) -> None:
    wrong = await call(house.admin, "POST", "/api/policies", {"name": "p", "cve_score_comparator": "=<"})
    assert wrong.status == 400 and "<=" in wrong.json()["message"], wrong.body
    made = await call(house.admin, "POST", "/api/policies", {"name": "p", "cve_score_comparator": ">="})
    assert made.status == 201 and "no effect without cve_score" in " ".join(made.json()["warnings"])
