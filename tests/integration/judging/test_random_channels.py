"""Whatever people do, in whatever order: what readers are shown is what the manual says, at the gate and in the index.

One life of a server looks at three channels in a dozen quiet moments. By default there are few lives; `pytest -m full`
looks at 10,000 channels under policies.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from packhouse.security.policies.policy import Rules, edited
from packhouse.workflows.answering.explaining import explain_file, explain_package
from packhouse.workflows.answering.simulating import simulate_policy
from packhouse.workflows.maintaining.judgements import waiting
from tests.conftest import Backend
from tests.kit.chances import SUBDIRS
from tests.kit.channel_reader import read_subdir
from tests.kit.house import open_house
from tests.kit.inspection import findings
from tests.kit.judging import judged
from tests.kit.oracle import Case, allowed
from tests.kit.world import CHANNELS, World

#: quiet moments in one life of a server, and lives
ROUNDS, FEW, LIVES = 12, 2, 280


@pytest.mark.parametrize("life", [*range(FEW), *(pytest.param(n, marks=pytest.mark.full) for n in range(FEW, LIVES))])
async def test_readers_are_shown_what_the_manual_says(backend: Backend, tmp_path: Path, life: int) -> None:
    hidden = 0
    async with open_house(backend) as house:
        world = World(house, tmp_path, life)
        await world.open()
        for _ in range(ROUNDS):
            for _ in range(world.rng.choice((1, 2, 4, 8))):
                at_once = world.rng.random() < 0.25  # a worker is at it while people are
                await world.act(partial(judged, house) if at_once else None)
            await judged(house)
            for path, case in (await world.cases()).items():
                wanted = allowed(case)
                hidden += len(case.files) - len(wanted)
                await _is_shown(world, path, case, wanted)
                await _is_explained(world, path, case, wanted)
        await _simulates(world)
        await house.server._counter.fold()  # else that happens while verify looks, which then looks at nothing
        await judged(house)
        assert not await waiting(house.services.db)
        assert not [str(one) for one in await findings(house.services) if not one.information]
    assert hidden, "there was something to hide"


async def _is_shown(world: World, path: str, case: Case, wanted: set[str]) -> None:
    """Every encoding of the index, and the gate, show just what is wanted."""
    where = (path, case.fields, world)
    for subdir in SUBDIRS:
        here = {ckey.rpartition("/")[2] for ckey in wanted if ckey.startswith(f"{subdir}/")}
        if not here and (await world.house.web.get(f"/api/repo/{path}/{subdir}/repodata.json")).status == 404:
            continue
        reading = await read_subdir(world.house.web, path, subdir)
        assert set(reading.monolithic) == here, (*map(str, where), set(reading.monolithic) ^ here)
        assert reading.shards == reading.monolithic
        assert set(reading.current) <= here
    for file in case.files:
        if file.held or file.ckey not in wanted:  # to ask for others would fetch them
            answer = await world.house.web.get(f"/api/repo/{path}/{file.ckey}")
            assert (answer.status == 200) == (file.ckey in wanted), (*map(str, where), file, answer.status)


async def _is_explained(world: World, path: str, case: Case, wanted: set[str]) -> None:
    """Explanations of packages and of single files come to the decision that holds (I6)."""
    db, channel = world.house.services.db, await world.house.find(path)
    for name in sorted({file.name for file in case.files}):
        told = await explain_package(db, channel, "conda", name, 1000)
        shown = [f"{one.gate.partition}/{one.gate.filename}" for one in told.files if one.seen]
        assert told.newest == next((one.gate for one in told.files if one.seen), None)
        assert set(shown) == {file.ckey for file in case.files if file.name == name} & wanted, (path, name, str(world))
        for whole in told.files:
            where = f"{whole.gate.partition}/{whole.gate.filename}"
            one = await explain_file(db, channel, "conda", where)
            assert one.files[0].settled and one.files[0].seen == (where in wanted), (path, where, one, str(world))
            beside = [each for each in shown if each.startswith(f"{whole.gate.partition}/")]
            assert (one.newest and f"{one.newest.partition}/{one.newest.filename}") == next(iter(beside), None)


async def _simulates(world: World) -> None:
    """What a policy is said to do is what it then does."""
    for path in CHANNELS:
        fields = world.chance.fields()
        channel = await world.house.find(path)
        outcomes = await simulate_policy(world.house.services.db, channel, edited(Rules(), fields))
        foreseen = {
            f"{row.partition}/{row.filename}"
            for outcome in outcomes
            for row in (await outcome.rows(world.house.services.db, outcome.after.seen.nonzero()[0])).values()
        }
        await world.assign(path, fields=fields)
        await judged(world.house)
        case = (await world.cases())[path]
        assert foreseen == allowed(case), (path, fields, str(world))
        await _is_shown(world, path, case, foreseen)
