"""What the bench of judgement does to an installation: rulesets assigned, worked off, and when the gate obeys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from packhouse.catalog.policies import store as policies
from packhouse.core.db import Unit
from packhouse.security.policies.checking import check
from packhouse.security.policies.policy import Rules, digest, encode
from packhouse.workflows.judging.preparing import prepare_rulesets
from packhouse.workflows.services import Services

_OBEYING = "SELECT count(*) FROM channel WHERE ruleset_id = :ruleset"
# the names of a channel, dealt out
_DEAL = """INSERT INTO entry (channel_id, family, partition, name, filename, record_id, content_id, uploaded,
 first_seen_at, visible_at, event_id)
 SELECT :target, family, partition, name, filename, record_id, content_id, uploaded, first_seen_at, visible_at, event_id
 FROM entry WHERE channel_id = :source AND name IN (SELECT value FROM json_each(:names))"""
_DIRTY = """INSERT INTO dirty (channel_id, partition, name)
 SELECT DISTINCT channel_id, partition, name FROM entry WHERE channel_id = :target"""


class Took(NamedTuple):
    """Seconds from the assignment."""

    gate: float  #: until every channel obeys
    indexes: float  #: until every index does, too


async def enforce(services: Services, channel_ids: Sequence[int], **fields: Any) -> Took:
    """Let channels have these rules, and do the worker's part at once."""
    rules = check(Rules(**fields))

    async def work(unit: Unit) -> int:
        number = await policies.keep_rules(unit, digest(rules), encode(rules).decode())
        for one in channel_ids:
            await policies.assign(unit, one, None, number)
        return number

    ruleset = await services.db.write(work)
    begun = time.perf_counter()
    gate = asyncio.create_task(_obeyed(services, ruleset, len(channel_ids)))
    await prepare_rulesets(services)
    ended = time.perf_counter()
    return Took(await gate - begun, ended - begun)


async def _obeyed(services: Services, ruleset: int, channels: int) -> float:
    while await services.db.fetch_value(_OBEYING, ruleset=ruleset) < channels:
        await asyncio.sleep(0.005)
    return time.perf_counter()


async def deal(services: Services, source: int, target: int, names: Sequence[str]) -> None:
    """Show the files of some names in another channel, too, published. SQLite only."""
    some: dict[str, Any] = {"source": source, "target": target, "names": list(names)}

    async def work(unit: Unit) -> None:
        await unit.execute(_DEAL, **some)
        await unit.execute(_DIRTY, target=target)

    await services.db.write(work)
    await services.publisher.publish(target)
