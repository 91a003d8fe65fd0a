"""What some process does all the time: judges what waits, ends what time ends, brings rulesets into force."""

from __future__ import annotations

from functools import partial

from packhouse.catalog.channels import store as channels
from packhouse.catalog.policies import overlays
from packhouse.catalog.policies.overlays import Package
from packhouse.core.db import Unit
from packhouse.workflows.indexing.subtracting import show_anew
from packhouse.workflows.judging.anew import take_over
from packhouse.workflows.judging.preparing import prepare_again, prepare_rulesets
from packhouse.workflows.judging.reasons import judge_reasons
from packhouse.workflows.judging.rejudging import judge_waiting
from packhouse.workflows.judging.verdicts import policies
from packhouse.workflows.services import Services

#: reasons looked at together that time ended
ENDED = 500
#: how long it pauses between two rounds, in seconds
SECONDS = 0.5


async def judge(services: Services) -> None:
    """Do one round. With nothing to do it is a few queries that find nothing."""
    await judge_waiting(services)
    await _end_by_time(services)
    while await take_over(services.db):
        await judge_waiting(services)  # what is urgent does not wait for all the names there are
        await _end_by_time(services)
    await prepare_again(services)
    await prepare_rulesets(services)


async def _end_by_time(services: Services) -> None:
    """Judge packages anew of which time ended a waiver, or made a file old enough."""
    db, now = services.db, await services.db.now()
    touched: set[int] = set()
    while ended := await overlays.ended(db, now, ENDED):
        for one in sorted(await overlays.packages_of(db, ended)):
            if await db.write(partial(_judge, one=one)):
                touched.add(one.channel_id)
        await judge_waiting(services)  # closures, which say what else there is to say
        await db.write(partial(overlays.forget_ended, some=ended, now=now))
    for channel_id in sorted(touched):
        await services.publisher.publish(channel_id)


async def _judge(unit: Unit, one: Package) -> bool:
    channel = await channels.hold(unit, one.channel_id)
    if channel is None:
        return False
    rules = await policies(unit, channel.rulesets)
    dirty = await judge_reasons(unit, channel, one.family, [one.name], rules)
    await show_anew(unit, channel, dirty)
    return bool(dirty)
