"""Rules that need a whole channel, such as a closure kept whole: worked out from all its files, soon after a change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
import numpy as np

from packhouse.catalog.channels import store as channels
from packhouse.catalog.policies.overlays import Overlay
from packhouse.catalog.policies.verdicts import Pair
from packhouse.core.db import Database, Unit
from packhouse.core.stopping import calculate
from packhouse.formats import registry
from packhouse.security.policies.batch import Batch, Coder
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.needs import Needs
from packhouse.security.policies.survey import needs_whole_channel, survey
from packhouse.workflows.indexing.subtracting import show_anew
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of_channel
from packhouse.workflows.judging.columns import Files, files_in
from packhouse.workflows.judging.contexts import Circumstances, circumstances_of_channel
from packhouse.workflows.judging.reasons import wanted_reasons, write_reasons
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.verdicts import policies

#: files written in one unit, and records read at a time
FILES = 2000


async def judge_whole(db: Database, channel_id: int, family: str) -> set[int]:
    """Let the overlays of a channel be what its closures say now; return it if something of its index changes."""
    channel = await channels.by_id(db, channel_id)
    if channel is None:
        return set()
    rules = await policies(db, channel.rulesets)
    closures = {number: policy for number, policy in rules.items() if needs_whole_channel(policy)}
    changed = False
    for number, policy in closures.items():
        changed |= await _judge(db, channel_id, family, number, policy)
    return {channel_id} if changed else set()


async def _judge(db: Database, channel_id: int, family: str, number: int, policy: Policy) -> bool:
    files = await files_in(db, channel_id, family)
    batch = await batch_of_channel(db, files, [policy])
    now = await db.now()
    found = await circumstances_of_channel(db, channel_id, files, now)
    demands = await demands_of(db, batch, files.record_id.tolist())
    wanted = await calculate(partial(_reasons, channel_id, number, files, demands, policy, found, now))
    changed = False
    for start in range(0, len(files), FILES):
        part = await store.here_of_entries(db, family, files.entry_id[start : start + FILES].tolist())
        work = partial(_write, channel_id=channel_id, number=number, rows=list(part.values()), wanted=wanted)
        changed |= await db.write(work)
    return changed


def _reasons(
    channel_id: int,
    number: int,
    files: Files,
    demands: Demands,
    policy: Policy,
    found: Circumstances,
    now: int,
) -> dict[Pair, Overlay]:
    context = survey(demands.batch, policy, now, demands, found.reserved, waivers=found.waivers)
    return wanted_reasons(channel_id, number, files.pair, demands.batch, context, policy, found.waivers, now)


async def _write(
    unit: Unit, channel_id: int, number: int, rows: Sequence[FileRow], wanted: dict[Pair, Overlay]
) -> bool:
    channel = await channels.hold(unit, channel_id)
    if channel is None or number not in channel.rulesets:
        return False
    keys = await write_reasons(unit, channel_id, number, rows, wanted)
    if not keys or number != channel.ruleset_id:
        return False
    await show_anew(unit, channel, keys)
    return True


async def demands_of(db: Database, batch: Batch, records: Sequence[int]) -> Demands:
    """Return what the files of a batch, given by their records too, ask of each other."""
    needs = await needs_of(db, batch.family, records)
    return await calculate(partial(Demands, batch, needs))


async def needs_of(db: Database, family: str, records: Sequence[int]) -> Needs:
    """Return the dependencies of files, given by their records, in their order."""
    depends = registry.get(family).depends_of
    specs, sizes = Coder(), [0]
    for start in range(0, len(records), FILES):
        part = records[start : start + FILES]
        bodies = await store.bodies(db, set(part))
        asked = {number: depends(msgspec.json.decode(body)) for number, body in bodies.items()}
        specs.add(spec for number in part for spec in asked.get(number, ()))
        sizes += [len(asked.get(number, ())) for number in part]
        await asyncio.sleep(0)  # SQLite answers without a turn of the event loop
    return Needs(np.cumsum(sizes, dtype=np.int64), specs.coded())
