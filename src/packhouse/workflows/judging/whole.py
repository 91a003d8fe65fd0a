"""Rules that need a whole channel, such as a closure kept whole: worked out from all its files, soon after a change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from packhouse.catalog.channels import store as channels
from packhouse.catalog.policies.overlays import Overlay
from packhouse.catalog.policies.verdicts import Pair
from packhouse.core.db import Database, Unit
from packhouse.formats import registry
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.needs import Needs
from packhouse.security.policies.survey import needs_whole_channel, survey
from packhouse.workflows.indexing.subtracting import show_anew
from packhouse.workflows.judging import store
from packhouse.workflows.judging.arriving import rulesets_of
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.contexts import circumstances
from packhouse.workflows.judging.knowing import recall
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
    rules = await policies(db, rulesets_of(channel))
    closures = {number: policy for number, policy in rules.items() if needs_whole_channel(policy)}
    changed = False
    for number, policy in closures.items():
        changed |= await _judge(db, channel_id, family, number, policy)
    return {channel_id} if changed else set()


async def _judge(db: Database, channel_id: int, family: str, number: int, policy: Policy) -> bool:
    rows = await store.all_here(db, channel_id, family)
    names = sorted({row.name for row in rows})
    batch = batch_of(rows, await recall(db, family, rows), await python_of(db, family, rows, [policy]))
    now = await db.now()
    found = await circumstances(db, channel_id, family, names, now)
    context = survey(batch, policy, now, await needs_of(db, family, rows), found.reserved, waivers=found.waivers)
    wanted = wanted_reasons(channel_id, number, rows, batch, context, policy, found.waivers, now)
    changed = False
    for start in range(0, len(rows), FILES):
        part = rows[start : start + FILES]
        work = partial(_write, channel_id=channel_id, number=number, rows=part, wanted=wanted)
        changed |= await db.write(work)
    return changed


async def _write(
    unit: Unit, channel_id: int, number: int, rows: Sequence[FileRow], wanted: dict[Pair, Overlay]
) -> bool:
    channel = await channels.hold(unit, channel_id)
    if channel is None or number not in rulesets_of(channel):
        return False
    keys = await write_reasons(unit, channel_id, number, rows, wanted)
    if not keys or number != channel.ruleset_id:
        return False
    await show_anew(unit, channel, keys)
    return True


async def needs_of(db: Database, family: str, rows: Sequence[FileRow]) -> Needs:
    """Return the dependencies of files, in their order."""
    depends = registry.get(family).depends_of
    ids = sorted({row.record_id for row in rows})
    asked: dict[int, list[str]] = {}
    for start in range(0, len(ids), FILES):
        for number, body in (await store.bodies(db, ids[start : start + FILES])).items():
            asked[number] = depends(msgspec.json.decode(body))
    return Needs.of([asked.get(row.record_id, ()) for row in rows])
