"""Judged at once, everywhere: what advisories, policies and time change, readers see at the gate and in the index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.workflows.channels.deleting import clear_deleted, delete_channel
from packhouse.workflows.channels.editing import Edit, edit_channel
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.feeding import HIGH, LOW, osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, index_of, judged, listed, status_of


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with one public channel, `pub`."""
    async with open_house(backend) as opened:
        await opened.channel("pub")
        yield opened


async def put(house: House, *versions: str, name: str = "lib", channel: str = "pub", **more: Any) -> None:
    """Upload versions of a Python package."""
    for version in versions:
        await house.upload(channel, name, version, depends=["python >=3.8"], **more)


async def test_an_advisory_hides_what_a_policy_forbids_and_its_end_brings_the_former_bytes_back(
    house: House, tmp_path: Path
) -> None:
    await put(house, "1.0", "1.5", "2.0")
    await govern(house, "pub", cve_score=7, cve_score_comparator="<=")
    before = await index_of(house, "pub")
    await advise(house.services, tmp_path, osv(1, "lib"))
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 200, "nobody judged yet"
    await judged(house)
    assert await listed(house, "pub") == {"lib-2.0-0.conda"}
    assert await status_of(house, "pub", "lib-1.5-0.conda") == 403
    assert await status_of(house, "pub", "lib-2.0-0.conda") == 200
    await advise(house.services, tmp_path, osv(2, "other"))
    await judged(house)
    assert await index_of(house, "pub") == before
    assert await status_of(house, "pub", "lib-1.5-0.conda") == 200


async def test_who_uploads_what_is_known_to_be_vulnerable_sees_it_hidden_at_once(house: House, tmp_path: Path) -> None:
    await advise(house.services, tmp_path, osv(1, "lib"), osv(2, "tame", severity=[{"type": "CVSS_V3", "score": LOW}]))
    await govern(house, "pub", cve_score=7, cve_score_comparator="<=")
    await put(house, "1.0", "2.0")
    await put(house, "1.0", name="tame")
    await house.caught_up()
    assert await listed(house, "pub") == {"lib-2.0-0.conda", "tame-1.0-0.conda"}
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 403


async def test_malware_is_hidden_without_any_policy(house: House, tmp_path: Path) -> None:
    await put(house, "1.0")
    await put(house, "1.0", name="fine")
    await advise(house.services, tmp_path, osv(1, "lib", id="MAL-2024-1", aliases=[], severity=[]))
    await judged(house)
    assert await listed(house, "pub") == {"fine-1.0-0.conda"}
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 403


async def test_malware_is_cleared_by_a_user_and_never_by_who_built_it(house: House, tmp_path: Path) -> None:
    said = {"info/security.json": b'{"vulns_cleared": [{"id": "CVE-2024-0001"}]}'}
    await advise(house.services, tmp_path, osv(1, "lib", id="MAL-2024-1"))
    await put(house, "1.0", info=said)
    await put(house, "1.5")
    await judged(house)
    assert await listed(house, "pub") == set()
    body = {"cve": "CVE-2024-0001", "family": "conda", "name": "lib", "spec": "1.5", "status": "cleared"}
    answer = await call(house.admin, "POST", "/api/statements", body)
    assert answer.status == 200, answer.body
    await judged(house)
    assert await listed(house, "pub") == {"lib-1.5-0.conda"}


async def test_a_first_upload_cannot_name_itself_away_from_its_advisory(house: House, tmp_path: Path) -> None:
    await advise(house.services, tmp_path, osv(1, "lib", id="MAL-2024-1"))
    await put(house, "1.0", purls=["pkg:pypi/harmless@1"])
    await judged(house)
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 403


@pytest.mark.parametrize("gone", ["a file", "its channel"])
async def test_what_a_file_said_of_a_name_holds_for_others_when_it_is_gone_at_once(
    house: House, tmp_path: Path, gone: str
) -> None:
    await house.channel("brief")
    await house.upload("pub", "lib", "1.0")  # which does not say that it is Python's
    await govern(house, "pub", cve_score=7)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    assert await listed(house, "pub") == {"lib-1.0-0.conda"}, "nobody knows that it is meant"
    await put(house, "9.0", channel="brief")
    if gone == "a file":
        await house.remove("brief", "lib")
    else:
        await delete_channel(house.services, await house.find("brief"), "admin")
        await clear_deleted(house.services)
    await judged(house)
    assert await listed(house, "pub") == set()
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 403


async def test_a_policy_holds_from_one_moment_on_and_without_it_the_former_index_is_back(house: House) -> None:
    await put(house, "1.0", "2.0")
    await put(house, "1.0", name="other")
    before = await index_of(house, "pub")
    await govern(house, "pub", exclude_package_name=["lib <2"])
    assert await listed(house, "pub") == {"lib-2.0-0.conda", "other-1.0-0.conda"}
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 403
    await govern(house, "pub", exclude_package_name=["other"])
    assert await listed(house, "pub") == {"lib-1.0-0.conda", "lib-2.0-0.conda"}
    await govern(house, "pub")
    assert await index_of(house, "pub") == before


async def test_channels_under_one_policy_share_verdicts_and_another_channel_is_not_touched(
    house: House, tmp_path: Path
) -> None:
    await house.channel("strict")
    for channel in ("pub", "strict"):
        await put(house, "1.0", "2.0", channel=channel)
    await govern(house, "strict", cve_score=7)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    assert await listed(house, "strict") == {"lib-2.0-0.conda"}
    assert await listed(house, "pub") == {"lib-1.0-0.conda", "lib-2.0-0.conda"}


async def test_older_archive_forms_are_hidden_where_the_newer_one_stands_and_come_back_without_it(house: House) -> None:
    await put(house, "1.0", kind="tar.bz2")
    await govern(house, "pub", package_name=["lib"])
    assert await listed(house, "pub") == {"lib-1.0-0.tar.bz2"}
    await put(house, "1.0")
    await house.caught_up()
    assert await listed(house, "pub") == {"lib-1.0-0.conda"}
    assert await status_of(house, "pub", "lib-1.0-0.tar.bz2") == 403
    item = Item("lib", ckey="noarch/lib-1.0-0.conda")
    await remove(house.services, await house.find("pub"), "admin", [item])
    await house.caught_up()
    assert await listed(house, "pub") == {"lib-1.0-0.tar.bz2"}


async def test_a_closure_is_kept_whole(house: House) -> None:
    await house.upload("pub", "base", "1.0")
    await house.upload("pub", "base", "2.0")
    await house.upload("pub", "needs1", "1.0", depends=["base <2"])
    await house.upload("pub", "on", "1.0", depends=["needs1"])
    await govern(house, "pub", exclude_package_name=["base <2"], whole_closure=True)
    assert await listed(house, "pub") == {"base-2.0-0.conda"}
    await govern(house, "pub", package_name=["on"], include_dependencies=True)
    assert await listed(house, "pub") == {"base-1.0-0.conda", "needs1-1.0-0.conda", "on-1.0-0.conda"}
    await house.upload("pub", "base", "1.1")
    await judged(house)
    assert "base-1.1-0.conda" in await listed(house, "pub")


@pytest.mark.parametrize("severity", [HIGH, LOW])
async def test_what_arrives_while_a_policy_is_prepared_is_judged_by_it(
    house: House, tmp_path: Path, severity: str
) -> None:
    await advise(house.services, tmp_path, osv(1, "lib", severity=[{"type": "CVSS_V3", "score": severity}]))
    await judged(house)
    await house.channel("dev")
    await put(house, "1.0", channel="dev")
    await govern(house, "pub", cve_score=7)
    await copy(house.services, await house.find("dev"), await house.find("pub"), "admin", [Item("lib")])
    await house.caught_up()
    assert await listed(house, "pub") == (set() if severity == HIGH else {"lib-1.0-0.conda"})


async def test_a_frozen_channel_loses_what_is_hidden_and_nothing_else_changes(house: House, tmp_path: Path) -> None:
    await put(house, "1.0", "2.0")
    await put(house, "1.0", name="other")
    await govern(house, "pub", cve_score=7)
    before = await index_of(house, "pub")
    await freeze(house, True)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    assert await listed(house, "pub") == {"lib-2.0-0.conda", "other-1.0-0.conda"}
    assert await status_of(house, "pub", "lib-1.0-0.conda") == 403
    await govern(house, "pub", exclude_package_name=["other"])
    assert await listed(house, "pub") == {"lib-1.0-0.conda", "lib-2.0-0.conda"}
    await govern(house, "pub", cve_score=10)
    assert await index_of(house, "pub") == before
    await govern(house, "pub", cve_score=7)
    await freeze(house, False)
    assert await listed(house, "pub") == {"lib-2.0-0.conda", "other-1.0-0.conda"}


async def freeze(house: House, frozen: bool) -> None:
    """Pin the index of the channel, or release it."""
    await edit_channel(
        house.services, await house.find("pub"), house.people["admin"].principal, Edit(frozen=frozen), frozenset()
    )
    await house.caught_up()


async def test_a_refusal_tells_the_rule_what_it_saw_since_when_and_what_may_be_had(
    house: House, tmp_path: Path
) -> None:
    await put(house, "1.0", "1.5", "2.0")
    await govern(house, "pub", cve_score=7)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    answer = await house.web.get("/api/repo/pub/noarch/lib-1.5-0.conda")
    assert answer.status == 403
    body = answer.json()
    assert "CVE-2024-0001" in answer.headers["x-packhouse-reason"]
    assert "CVE-2024-0001 (9.8, reported)" in body["message"] and "Version 2.0 may be had" in body["message"]
    details = body["details"]
    assert (details["rule"], details["newest_passing"]) == ("cve", "2.0")
    assert details["newest_file"] == "noarch/lib-2.0-0.conda"
    assert details["evidence"]["cves"] == [{"cve": "CVE-2024-0001", "score": 9.8, "status": "reported"}]
    assert details["since"] and details["until"] is None


async def test_what_nobody_can_know_is_hidden_where_asked_for_until_advisories_cover_it(
    house: House, tmp_path: Path
) -> None:
    await put(house, "1.0")
    await house.upload("pub", "libfoo", "1.0")  # depends on nothing: no advisory could be about it
    await govern(house, "pub", unknown_vulnerabilities="hide")
    assert await listed(house, "pub") == set()
    await advise(house.services, tmp_path, osv(1, "another"))
    await judged(house)
    await judged(house)
    assert await listed(house, "pub") == {"lib-1.0-0.conda"}
    assert await status_of(house, "pub", "libfoo-1.0-0.conda") == 403
