"""Verify judges every file again: what is hidden or shown otherwise than rules say is found, and repair mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhouse.workflows.feeding import run
from packhouse.workflows.feeding.turn import Turn
from packhouse.workflows.maintaining.repair import repair
from packhouse.workflows.publishing.moving import remove
from packhouse.workflows.publishing.selection import Item
from tests.integration.maintaining.test_verify import change
from tests.kit.feeding import osv, take
from tests.kit.house import House
from tests.kit.inspection import findings, information, seal_all
from tests.kit.judging import advise, govern, index_of, judged, listed, status_of

_OF = "(SELECT id FROM record WHERE name = 'lib' AND version = '{}')"
#: one damage each, and the file that it hides or shows
DAMAGES = {
    "a verdict that is gone": "DELETE FROM verdict WHERE rule = 'cve'",
    "a verdict of another rule": "UPDATE verdict SET rule = 'license' WHERE rule = 'cve'",
    "a verdict of nobody": "INSERT INTO verdict (record_id, content_id, ruleset_id, rule, since)"
    " SELECT entry.record_id, content_id, ruleset_id, 'cve', 0 FROM entry JOIN channel ON channel.id = channel_id"
    f" WHERE record_id = {_OF.format('2.0')}",
    "a reason that is gone": "DELETE FROM overlay WHERE rule = 'legacy_packages'",
    "a reason that shows what is hidden": "UPDATE overlay SET rule = '' WHERE rule = 'legacy_packages'",
    "a reason of nobody": "INSERT INTO overlay (channel_id, ruleset_id, record_id, content_id, rule, missing, since)"
    " SELECT channel_id, ruleset_id, entry.record_id, content_id, 'latest_only', '', 0 FROM entry"
    f" JOIN channel ON channel.id = channel_id WHERE record_id = {_OF.format('2.0')}",
    "a finding that is gone": "DELETE FROM finding WHERE version = '1.0'",
    "a finding of another version": "UPDATE finding SET version = '2.0' WHERE version = '1.0'",
}


@pytest.fixture
async def governed(house: House, tmp_path: Path) -> House:
    """A channel under a policy that hides a vulnerable file and one of the older form; nothing is amiss."""
    await house.channel("pub")
    for version, kind in (("1.0", "conda"), ("2.0", "conda"), ("3.0", "conda"), ("3.0", "tar.bz2")):
        await house.upload("pub", "lib", version, kind=kind, depends=["python >=3.8"])
    await govern(house, "pub", cve_score=7)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    assert await listed(house, "pub") == {"lib-2.0-0.conda", "lib-3.0-0.conda"}
    await seal_all(house.services)
    assert await findings(house.services) == []
    return house


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_is_judged_wrongly_is_found_and_mended(governed: House, damage: str) -> None:
    before = await index_of(governed, "pub")
    await change(governed, DAMAGES[damage])
    found = await findings(governed.services)
    assert [one.object for one in found if one.invariant == "I6"] == ["pub lib"], found
    mended = [one async for one in repair(governed.services)]
    assert [one.object for one in mended if one.invariant == "I6"] == ["pub lib"], mended
    await governed.caught_up()
    assert await index_of(governed, "pub") == before
    assert await status_of(governed, "pub", "lib-1.0-0.conda") == 403
    assert await status_of(governed, "pub", "lib-2.0-0.conda") == 200
    await seal_all(governed.services)
    assert await findings(governed.services) == []


async def test_what_waits_to_be_judged_is_no_fault(governed: House, tmp_path: Path) -> None:
    await advise(governed.services, tmp_path, osv(2, "other"))
    await seal_all(governed.services)
    assert await findings(governed.services) == []
    assert any("wait to be judged" in said for said in await information(governed.services))
    await judged(governed)
    assert await findings(governed.services) == []
    assert len(await listed(governed, "pub")) == 3


async def test_a_package_that_waits_for_ever_keeps_no_other_from_being_looked_at(governed: House) -> None:
    await governed.upload("pub", "other")
    await seal_all(governed.services)
    await change(governed, "INSERT INTO unjudged (family, name) VALUES ('conda', 'other')")
    assert await findings(governed.services) == []
    await change(governed, DAMAGES["a verdict that is gone"])
    found = await findings(governed.services)
    assert [one.object for one in found if one.invariant == "I6"] == ["pub lib"], found
    await change(governed, "INSERT INTO unjudged (family, name) VALUES ('conda', 'lib')")
    assert not [one for one in await findings(governed.services) if one.invariant == "I6"], "it waits itself"


async def test_what_a_feed_says_and_nobody_has_worked_off_yet_is_no_fault(
    governed: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def later(turn: Turn) -> None:
        """Be killed between the flip and what follows from it."""

    with monkeypatch.context() as patch:
        patch.setattr(run, "settle", later)
        await advise(governed.services, tmp_path, osv(1, "lib", affected=[]))
    await seal_all(governed.services)
    assert await findings(governed.services) == []
    assert any("wait to be judged" in said for said in await information(governed.services))
    await take(governed.services, "ours")
    await judged(governed)
    await seal_all(governed.services)
    assert (await findings(governed.services), await information(governed.services)) == ([], [])
    assert len(await listed(governed, "pub")) == 3


async def test_what_was_found_in_a_version_that_is_gone_is_no_fault(governed: House) -> None:
    item = Item("lib", ckey="noarch/lib-1.0-0.conda")
    await remove(governed.services, await governed.find("pub"), "admin", [item])
    await seal_all(governed.services)
    assert await findings(governed.services) == []


async def test_closures_and_waivers_are_judged_again_too(governed: House) -> None:
    await governed.upload("pub", "uses", "1.0", depends=["lib <2"])
    await govern(governed, "pub", cve_score=7, whole_closure=True)
    await seal_all(governed.services)
    assert await findings(governed.services) == []
    assert await status_of(governed, "pub", "uses-1.0-0.conda", "noarch") == 403
    await change(governed, "DELETE FROM overlay WHERE rule = 'whole_closure'")
    assert [one.object for one in await findings(governed.services) if one.invariant == "I6"] == ["pub uses"]
    assert [one async for one in repair(governed.services)]
    await governed.caught_up()
    assert await status_of(governed, "pub", "uses-1.0-0.conda", "noarch") == 403
