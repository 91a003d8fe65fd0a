"""What a rule hides is not to be had by a detour: a reader cannot take it to another channel and read it there."""

from __future__ import annotations

from typing import Any

from packhouse.workflows.publishing.selection import Item
from tests.kit.asgi import Answer
from tests.kit.calls import call
from tests.kit.house import House
from tests.kit.judging import govern, listed, status_of

BAD, GOOD = "tool-1.0-0.conda", "tool-2.0-0.conda"
TARGET = {"target_channel": "theirs"}


async def half_hidden(house: House) -> None:
    """Make a channel that hides version 1.0 of a package and all of another one, and a reader's own channel."""
    await house.channel("team", owner="owner")
    await house.channel("theirs", owner="outsider")
    for name, version, terms in (("tool", "1.0", "GPL-3.0-only"), ("tool", "2.0", "MIT"), ("gone", "1.0", "GPL-3.0")):
        await house.upload("team", name, version, license=terms)
    await govern(house, "team", license_not=["GPL3"])
    assert await listed(house, "team") == {GOOD}


async def bulk(house: House, who: str, action: str, *items: Item, **more: Any) -> Answer:
    named = [{"name": one.name, **({"ckey": one.ckey} if one.ckey else {})} for one in items]
    return await call(
        house.as_(who), "PUT", "/api/channels/team/artifacts/bulk", {"action": action, "items": named, **more}
    )


async def test_a_reader_cannot_copy_it_and_is_told_what_one_is_told_of_no_file(house: House) -> None:
    await half_hidden(house)
    hidden = await bulk(house, "outsider", "copy", Item("tool", ckey=f"noarch/{BAD}"), **TARGET)
    missing = await bulk(house, "outsider", "copy", Item("tool", ckey="noarch/tool-9.9-0.conda"), **TARGET)
    assert hidden.status == missing.status == 404
    assert hidden.json()["detail"] == missing.json()["detail"].replace("tool-9.9-0.conda", BAD)
    assert (await bulk(house, "outsider", "copy", Item("gone"), **TARGET)).status == 404

    whole = await bulk(house, "outsider", "copy", Item("tool"), **TARGET)
    assert (whole.status, whole.json()["files"]) == (202, 1), "of a package, what readers see is copied"
    assert await listed(house, "theirs") == {GOOD}
    assert (await status_of(house, "theirs", BAD), await status_of(house, "theirs", GOOD)) == (404, 200)


async def test_who_manages_the_channel_can_copy_move_and_remove_it(house: House) -> None:
    await half_hidden(house)
    await house.channel("shelf", owner="owner")
    copied = await bulk(house, "owner", "copy", Item("tool", ckey=f"noarch/{BAD}"), target_channel="shelf")
    assert (copied.status, await status_of(house, "shelf", BAD)) == (202, 200)
    moved = await bulk(house, "owner", "move", Item("tool", ckey=f"noarch/{BAD}"), target_channel="shelf")
    assert (moved.status, await status_of(house, "team", BAD)) == (202, 404)
    removed = await bulk(house, "owner", "delete", Item("gone"))
    assert (removed.status, removed.json()["files"]) == (202, 1)


async def test_no_other_way_leads_a_reader_to_it(house: House) -> None:
    await half_hidden(house)
    reader, at = house.as_("outsider"), "/api/channels/team/artifacts/conda"
    for tail in ("", "/files", "/readme", "/dependencies", "/dependants"):
        answer = await reader.get(f"{at}/gone{tail}")
        assert answer.status == 404 or b"GPL" not in answer.body, tail
    for action in ("move", "delete"):
        assert (await bulk(house, "outsider", action, Item("gone"), **TARGET)).status == 403
    for name in ("noarch/repodata.json", "noarch/current_repodata.json", "noarch/run_exports.json", "channeldata.json"):
        body = (await reader.get(f"/api/repo/team/{name}")).body
        assert b"gone" not in body and BAD.encode() not in body, name
