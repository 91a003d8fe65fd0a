"""Every call by which something is decided or judged counts: without it, a scenario here fails.

`CAUGHT_BY` says which for each call; one that is not in the table fails the first test. `pytest -m full` takes them
out, one by one.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from packhouse.security.policies.policy import Rules, edited
from packhouse.workflows.answering.explaining import explain_package
from packhouse.workflows.answering.simulating import simulate_policy
from packhouse.workflows.governing.reserving import create_reservation
from packhouse.workflows.governing.waiving import Wanted, create_waiver
from packhouse.workflows.judging import duty, preparing
from packhouse.workflows.maintaining.repair import repair
from packhouse.workflows.mirroring.editing import decide_conflict, delete_mirror
from packhouse.workflows.mirroring.preview import preview
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.integration.judging import test_judging
from tests.kit.feeding import osv
from tests.kit.house import House, open_house
from tests.kit.inspection import findings, seal_all
from tests.kit.judging import advise, govern, judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.oracle import DAY
from tests.kit.removing import Site, removed, sites
from tests.unit.security.policies import test_random_decisions

Scenario = Callable[..., Awaitable[None]]  # of a house, and of a folder if it wants one
ONE, TWO = "lib-1.0-0.conda", "lib-2.0-0.conda"


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with one public channel, `pub`."""
    async with _open(backend) as opened:
        yield opened


@asynccontextmanager
async def _open(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        await opened.channel("pub")
        yield opened


async def put(house: House, *versions: str, channel: str = "pub", **more: Any) -> None:
    """Upload versions of a Python package."""
    for version in versions:
        await house.upload(channel, "lib", version, depends=["python >=3.8"], **more)


async def mirrored(house: House, folder: Path, source: CondaSource, **spec: Any) -> Any:
    """Mirror a source into the channel and let this process hear of it; nobody judges anything besides."""
    write(folder, source)
    mirror = await add_mirror(house.services, await house.find("pub"), folder.as_uri(), mode="passive", **spec)
    await run_and_wait(house.services, mirror)
    await published(house)
    return mirror


def write(folder: Path, source: CondaSource) -> None:
    """Let the folder of a source hold just what it has."""
    for place, data in source.files().items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)


async def published(house: House) -> None:
    """Publish what is dirty; nothing is judged."""
    await house.services.publisher.publish_waiting()
    await house.caught_up()


async def newest_passing(house: House) -> str | None:
    """Return what an explanation of the package says may be had of it."""
    told = await explain_package(house.services.db, await house.find("pub"), "conda", "lib", 10)
    return told.newest.version if told.newest else None


async def passes(house: House, days: float) -> None:
    """Let time pass."""
    back = int(days * DAY)

    async def work(unit: Any) -> None:
        for statement in (
            "UPDATE overlay SET until = until - :back WHERE until IS NOT NULL",
            "UPDATE waiver SET until = until - :back",
            "UPDATE entry SET first_seen_at = first_seen_at - :back",
        ):
            await unit.execute(statement, back=back)

    await house.services.db.write(work)


# ---------------------------------------------------------------- files come and go


async def copied_in(house: House, folder: Path) -> None:
    await advise(house.services, folder, osv(1, "lib"))
    await govern(house, "pub", cve_score=7)
    await house.channel("dev")
    await put(house, "1.0", "2.0", channel="dev")
    await copy(house.services, await house.find("dev"), await house.find("pub"), "ann", [Item("lib")])
    await house.caught_up()
    assert await listed(house, "pub") == {TWO}


async def policy_after_findings(house: House, folder: Path) -> None:
    await put(house, "1.0", "2.0")
    await advise(house.services, folder, osv(1, "lib"))
    await judged(house)
    await govern(house, "pub", cve_score=7)
    assert await listed(house, "pub") == {TWO}


async def copied_before_it_is_judged(house: House, folder: Path) -> None:
    await house.channel("other")
    for path in ("pub", "other"):
        await govern(house, path, cve_score=7)
    await put(house, "1.0", "2.0")
    await advise(house.services, folder, osv(1, "lib"))
    await copy(house.services, await house.find("pub"), await house.find("other"), "ann", [Item("lib")])
    await judged(house)
    assert await listed(house, "pub") == await listed(house, "other") == {TWO}


async def mirror_brings(house: House, folder: Path) -> None:
    await advise(house.services, folder, osv(1, "lib"))
    await govern(house, "pub", cve_score=7)
    source = CondaSource()
    for version in ("1.0", "2.0"):
        source.add("lib", version, depends=["python >=3.8"])
    await mirrored(house, folder / "source", source)
    assert await listed(house, "pub") == {TWO}
    assert await status_of(house, "pub", ONE) == 403


async def reserved_elsewhere(house: House, folder: Path) -> None:
    source = CondaSource()
    source.add("lib", "1.0", subdir="linux-64")
    source.add("fine", "1.0", subdir="linux-64")
    await mirrored(house, folder / "source", source)
    assert await listed(house, "pub", "linux-64") == {ONE, "fine-1.0-0.conda"}
    await put(house, "2.0")
    await published(house)
    assert await listed(house, "pub", "linux-64") == {"fine-1.0-0.conda"}
    await remove(house.services, await house.find("pub"), "ann", [Item("lib", ckey=f"noarch/{TWO}")])
    await published(house)
    assert await listed(house, "pub", "linux-64") == {ONE, "fine-1.0-0.conda"}


async def _twins(house: House, folder: Path) -> tuple[CondaSource, Any]:
    """Bring a newer form of an uploaded file from a mirror, so that both are hidden."""
    await put(house, "1.0", kind="tar.bz2")
    await govern(house, "pub", package_name=["lib"])
    source = CondaSource()
    source.add("lib", "1.0")
    mirror = await mirrored(house, folder / "source", source)
    assert await listed(house, "pub") == set()
    return source, mirror


async def mirror_loses(house: House, folder: Path) -> None:
    source, mirror = await _twins(house, folder)
    source.drop(f"noarch/{ONE}")
    write(folder / "source", source)
    await run_and_wait(house.services, mirror, accept_shrink=True)
    await published(house)
    assert await listed(house, "pub") == {"lib-1.0-0.tar.bz2"}


async def mirror_deleted(house: House, folder: Path) -> None:
    _, mirror = await _twins(house, folder)
    await delete_mirror(house.services, await house.find("pub"), mirror, "ann")
    await published(house)
    assert await listed(house, "pub") == {"lib-1.0-0.tar.bz2"}


async def conflict_removed(house: House, folder: Path) -> None:
    await put(house, "1.0")
    source = CondaSource()
    source.add("lib", "1.0", files={"other": b"bytes"})
    source.add("lib", "2.0")
    mirror = await mirrored(house, folder / "source", source)
    assert await listed(house, "pub") == {ONE}
    channel = await house.find("pub")
    await decide_conflict(house.services, channel, mirror, "ann", "noarch", ONE, "remove")
    await published(house)
    assert await listed(house, "pub") == {TWO}


async def fetched(house: House, folder: Path) -> None:
    source = CondaSource()
    source.add("lib", files={"bin/.lib-post-link.sh": b"echo"})
    await govern(house, "pub", install_time_code="hide")
    await mirrored(house, folder / "source", source)
    assert await listed(house, "pub") == {ONE}
    assert await status_of(house, "pub", ONE) == 403, "not one byte is sent"
    await published(house)
    assert await listed(house, "pub") == set()


# ---------------------------------------------------------------- what is decided


async def _young(house: House, folder: Path, **fields: Any) -> None:
    """Mirror an old file, and then a young one that has to wait."""
    await govern(house, "pub", minimum_age_days=5, **fields)
    source = CondaSource()
    source.add("lib", "1.0")
    source.add("uses", "1.0", depends=["lib >=2"])
    mirror = await mirrored(house, folder / "source", source)
    source.add("lib", "2.0")
    write(folder / "source", source)
    await run_and_wait(house.services, mirror)
    await judged(house)


async def time_ends(house: House, folder: Path) -> None:
    await _young(house, folder, latest_only=True)
    assert await listed(house, "pub") == {ONE, "uses-1.0-0.conda"}
    await passes(house, 6)
    await judged(house)
    assert await listed(house, "pub") == {TWO, "uses-1.0-0.conda"}


async def time_ends_for_a_closure(house: House, folder: Path) -> None:
    await _young(house, folder, whole_closure=True)
    assert await listed(house, "pub") == {ONE}
    await passes(house, 6)
    await duty.judge(house.services)  # one round is enough: nothing is forgotten before closures were asked
    await published(house)
    assert await listed(house, "pub") == {ONE, TWO, "uses-1.0-0.conda"}


async def waived(house: House, folder: Path) -> None:
    await put(house, "1.0", "1.5")
    await govern(house, "pub", cve_score=7)
    await advise(house.services, folder, osv(1, "lib"))
    await judged(house)
    until = await house.services.db.now() + DAY
    wanted = Wanted(family="conda", name="lib", spec="1.5", reason="patched", until=until)
    await create_waiver(house.services, "ann", wanted)
    await judged(house)
    assert await listed(house, "pub") == {"lib-1.5-0.conda"}
    refused = (await house.web.get(f"/api/repo/pub/noarch/{ONE}")).json()
    assert refused["details"]["newest_passing"] == await newest_passing(house) == "1.5"
    [said] = await simulate_policy(house.services.db, await house.find("pub"), edited(Rules(), {"cve_score": 8}))
    assert said.counts == (2, 1, 1)
    [said] = await simulate_policy(house.services.db, await house.find("pub"), edited(Rules(), {"cve_score": 10}))
    assert said.counts == (2, 1, 2)


async def waived_and_newest(house: House) -> None:
    await put(house, "1.0", "1.5")
    await govern(house, "pub", exclude_package_name=["lib 1.5"], latest_only=True)
    assert await listed(house, "pub") == {ONE}
    until = await house.services.db.now() + DAY
    rules = ("exclude_package_name",)
    wanted = Wanted(family="conda", name="lib", spec="1.5", rules=rules, reason="ours", until=until)
    await create_waiver(house.services, "ann", wanted)
    await judged(house)
    assert await listed(house, "pub") == {"lib-1.5-0.conda"}


async def waived_but_unneeded(house: House, folder: Path) -> None:
    await house.upload("pub", "wanted")
    await put(house, "1.0")
    await advise(house.services, folder, osv(1, "lib"))
    await govern(house, "pub", cve_score=7, package_name=["wanted"], include_dependencies=True)
    db = house.services.db
    until = await db.now() + DAY
    wanted = Wanted(family="conda", name="lib", cves=("CVE-2024-0001",), reason="patched", until=until)
    await create_waiver(house.services, "ann", wanted)
    await judged(house)
    assert await listed(house, "pub") == {"wanted-1.0-0.conda"}
    told = await explain_package(db, await house.find("pub"), "conda", "lib", 10)
    assert not any(one.seen for one in told.files)


async def refused(house: House) -> None:
    await put(house, "1.0", "2.0", "2.5")
    await govern(house, "pub", exclude_package_name=["lib >=2"])
    answer = await house.web.get(f"/api/repo/pub/noarch/{TWO}")
    assert answer.status == 403 and answer.json()["details"]["newest_passing"] == "1.0"
    assert await newest_passing(house) == "1.0"


async def reasons_of_a_new_policy(house: House) -> None:
    await put(house, "1.0", "2.0")
    await judged(house)  # a new installation's engine has taken over
    await govern(house, "pub", latest_only=True)
    assert await listed(house, "pub") == {TWO}


async def reserved(house: House, folder: Path) -> None:
    source = CondaSource()
    source.add("lib", "1.0")
    await mirrored(house, folder / "source", source)
    await create_reservation(house.services, "ann", "l*", "", None)
    await judged(house)
    assert await listed(house, "pub") == set()


async def shared_verdicts_alone(house: House, folder: Path) -> None:
    await put(house, "1.0", "2.0")
    await govern(house, "pub", cve_score=7, latest_only=True)
    await advise(house.services, folder, osv(1, "lib"))
    await judged(house)
    assert await listed(house, "pub") == {TWO}
    assert not await house.services.db.fetch_value("SELECT count(*) FROM overlay"), "the ruleset says it for all"


async def in_force_from_the_first_moment(house: House, folder: Path) -> None:
    """An advisory that comes while a ruleset is prepared holds when that does."""
    await put(house, "1.0", "2.0")
    told: list[int] = []
    write, flip = preparing._write, preparing._flip

    async def late(*given: Any) -> bool:
        written = await write(*given)
        await advise(house.services, folder, osv(1, "lib"))
        return written

    async def look(*given: Any, **named: Any) -> None:
        await flip(*given, **named)
        told.append(await named_verdicts(given[0]))

    async def named_verdicts(unit: Any) -> int:
        return int(await unit.fetch_value("SELECT count(*) FROM verdict WHERE rule = 'cve'"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "_write", late)
        patch.setattr(preparing, "_flip", look)
        await govern(house, "pub", cve_score=7)
    assert told and told[0] > 0


async def filtered(house: House, folder: Path) -> None:
    source = CondaSource()
    source.add("lib", "1.0")
    source.add("uses", "1.0", depends=["other"])
    source.add("other", "1.0")
    source.add("other", "2.0", license="GPL-3.0-only")
    filters = {"only_specs": ["uses"], "exclude_licenses": ["gpl3"]}
    await mirrored(house, folder / "source", source, filters=filters, options={"include_dependencies": True})
    assert await listed(house, "pub") == {"uses-1.0-0.conda", "other-1.0-0.conda"}


async def foretold(house: House, folder: Path) -> None:
    await govern(house, "pub", exclude_package_name=["lib <2"])
    source = CondaSource()
    for version in ("1.0", "2.0"):
        source.add("lib", version)
    write(folder, source)
    channel = await house.find("pub")
    mirror = await add_mirror(house.services, channel, folder.as_uri(), mode="active")
    assert (await preview(house.services, channel, mirror)).counts.held_back == 1


async def verified(house: House, folder: Path) -> None:
    """Verify and repair see what is judged wrongly, and nothing where all is right."""
    await put(house, "1.0", "2.0")
    await put(house, "2.0", kind="tar.bz2")
    await govern(house, "pub", cve_score=7)
    await advise(house.services, folder, osv(1, "lib"))
    await judged(house)
    await seal_all(house.services)
    assert await findings(house.services) == []
    await house.services.db.write(lambda unit: unit.execute("DELETE FROM verdict WHERE rule = 'cve'"))
    assert [one async for one in repair(house.services)]
    await house.caught_up()
    assert await status_of(house, "pub", ONE) == 403


async def engine(house: House, folder: Path) -> None:
    test_random_decisions.test_what_may_be_seen_is_what_the_manual_says(400)


#: call → what fails without it
CAUGHT_BY: dict[str, Scenario] = {
    "security.policies.explain:explain → lifted": engine,
    "security.policies.survey:_seen → decide": engine,
    "security.policies.survey:_seen → lifted": waived_and_newest,
    "workflows.judging.arriving:judge_arrivals → write_verdicts": copied_in,
    "workflows.judging.arriving:judge_arrivals → judge_reasons": reserved_elsewhere,
    "workflows.judging.arriving:judge_arrivals → show_anew": reserved_elsewhere,
    "workflows.judging.arriving:judge_departures → judge_reasons": reserved_elsewhere,
    "workflows.judging.arriving:judge_departures → show_anew": reserved_elsewhere,
    "workflows.judging.contexts:context_of → lifted": waived_but_unneeded,
    "workflows.judging.duty:judge → judge_waiting": waived,
    "workflows.judging.duty:judge → prepare_again":
        test_judging.test_what_nobody_can_know_is_hidden_where_asked_for_until_advisories_cover_it,
    "workflows.judging.duty:judge → prepare_rulesets": waived,
    "workflows.judging.duty:_end_by_time → judge_waiting": time_ends_for_a_closure,
    "workflows.judging.duty:_judge → judge_reasons": time_ends,
    "workflows.judging.duty:_judge → show_anew": time_ends,
    "workflows.judging.preparing:_prepare → judge_whole": test_judging.test_a_closure_is_kept_whole,
    "workflows.judging.preparing:_prepare → judge_waiting": in_force_from_the_first_moment,
    "workflows.judging.preparing:_judge → write_verdicts":
        test_judging.test_a_policy_holds_from_one_moment_on_and_without_it_the_former_index_is_back,
    "workflows.judging.preparing:_reason → judge_reasons": reasons_of_a_new_policy,
    "workflows.judging.preparing:_show_anew → show_anew":
        test_judging.test_a_policy_holds_from_one_moment_on_and_without_it_the_former_index_is_back,
    "workflows.judging.reasons:judge_reasons → wanted_reasons": reserved_elsewhere,
    "workflows.judging.reasons:judge_reasons → write_reasons": reserved_elsewhere,
    "workflows.judging.reasons:wanted_reasons → decide": reserved_elsewhere,
    "workflows.judging.reasons:wanted_reasons → hidden_by": shared_verdicts_alone,
    "workflows.judging.reasons:wanted_reasons → lifted": waived,
    "workflows.judging.rejudging:judge_waiting → judge_whole": test_judging.test_a_closure_is_kept_whole,
    "workflows.judging.rejudging:_judge → write_verdicts": waived,
    "workflows.judging.rejudging:_judge → judge_reasons": reserved,
    "workflows.judging.rejudging:_judge → show_anew": reserved,
    "workflows.judging.rejudging:_tell → show_anew": copied_before_it_is_judged,
    "workflows.answering.simulating:_decided → decide": waived,
    "workflows.answering.simulating:_decided → lifted": waived,
    "workflows.judging.verdicts:_hidden_pairs → hidden_by": waived,
    "workflows.judging.verdicts:hidden_by → decide": shared_verdicts_alone,
    "workflows.judging.versions:judge_versions → hidden_by": policy_after_findings,
    "workflows.judging.whole:_reasons → wanted_reasons": test_judging.test_a_closure_is_kept_whole,
    "workflows.judging.whole:_write → write_reasons": test_judging.test_a_closure_is_kept_whole,
    "workflows.judging.whole:_write → show_anew": time_ends_for_a_closure,
    "workflows.maintaining.judgements:judge_again → judge_waiting": verified,
    "workflows.maintaining.judgements:_wanted → wanted_reasons": verified,
    "workflows.maintaining.judgements:_wanted → hidden_by": verified,
    "workflows.mirroring.applying:take_in_batch → judge_arrivals": mirror_brings,
    "workflows.mirroring.applying:take_out_batch → judge_departures": mirror_loses,
    "workflows.mirroring.clearing:_in_channel → judge_departures": mirror_deleted,
    "workflows.mirroring.closure:_Offers._judged → decide": filtered,
    "workflows.mirroring.downloading:activate → judge_arrivals": fetched,
    "workflows.mirroring.editing:_take_out → judge_departures": conflict_removed,
    "workflows.mirroring.plan:select → decide": filtered,
    "workflows.mirroring.withholding:foretold → decide": foretold,
    "workflows.publishing.moving:_put_in → judge_arrivals": copied_in,
    "workflows.publishing.moving:_take_out → judge_departures": reserved_elsewhere,
    "workflows.publishing.upload:_register → judge_arrivals":
        test_judging.test_who_uploads_what_is_known_to_be_vulnerable_sees_it_hidden_at_once,
}  # fmt: skip
#: calls without which all comes to the same end, only later: they let what is urgent pass a large channel
SOONER = {
    "workflows.maintaining.judgements:finish_taking_over → judge_waiting",
    "workflows.judging.duty:judge → judge_waiting #1",
    "workflows.judging.preparing:_write → judge_waiting",
    "workflows.judging.preparing:_settle → judge_waiting",
}
SCENARIOS = {scenario.__name__: scenario for scenario in CAUGHT_BY.values() if scenario.__module__ == __name__}


async def play(scenario: Scenario, house: House, folder: Path) -> None:
    """Play it, with what it asks for."""
    given = {"house": house, "folder": folder, "tmp_path": folder}
    await scenario(**{name: given[name] for name in inspect.signature(scenario).parameters})


def test_every_call_is_in_the_table() -> None:
    assert {str(site) for site in sites()} == CAUGHT_BY.keys() | SOONER


@pytest.mark.parametrize("name", SCENARIOS)
async def test_what_must_hold(house: House, tmp_path: Path, name: str) -> None:
    await play(SCENARIOS[name], house, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("site", [site for site in sites() if str(site) in CAUGHT_BY], ids=str)
@pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)
async def test_without_it_something_fails(backend: Backend, tmp_path: Path, site: Site) -> None:
    async with _open(backend) as house:
        with removed(site), pytest.raises(AssertionError):
            await play(CAUGHT_BY[str(site)], house, tmp_path)
