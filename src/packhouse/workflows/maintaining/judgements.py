"""What hides files beside what rules say of them now (invariant I6): findings, verdicts and reasons worked out again.

The house is open while this looks, so what differs is looked at again; and what waits to be judged is no difference.
A package that waits by its own name leaves the others to be looked at, but where closures make them depend on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial
from typing import NamedTuple

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.policies import overlays, verdicts
from packhouse.catalog.policies.verdicts import Pair
from packhouse.catalog.vulnerabilities import feeds, findings, unjudged
from packhouse.core.db import Database
from packhouse.formats.registry import FORMATS
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.survey import needs_whole_channel, survey
from packhouse.workflows.judging import store as judging
from packhouse.workflows.judging.anew import is_due, take_over
from packhouse.workflows.judging.batches import batch_of_channel
from packhouse.workflows.judging.columns import files_in, files_of
from packhouse.workflows.judging.contexts import circumstances
from packhouse.workflows.judging.learning import look_up
from packhouse.workflows.judging.reasons import wanted_reasons
from packhouse.workflows.judging.rejudging import judge_waiting
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.verdicts import hidden_by, policies
from packhouse.workflows.judging.whole import demands_of
from packhouse.workflows.maintaining.published import settled
from packhouse.workflows.services import Services

#: names judged at a time
PAGE = 200


class Misjudged(NamedTuple):
    """A package in a channel of whose files something else is said than rules say now."""

    family: str
    name: str
    sentence: str


class _Said(NamedTuple):
    """What is said against a file: the rule of its ruleset, and the channel's own reason, empty where it is shown."""

    verdict: str | None
    overlay: str | None

    def __str__(self) -> str:
        rule = self.verdict if self.overlay is None else self.overlay
        return f"held back by {rule!r}" if rule else "shown"


async def misjudged(db: Database, channel: Channel) -> AsyncIterator[Misjudged]:
    """Yield the packages of which the stored judgement is not what rules say."""
    for family in await judging.families_here(db, channel.id):

        async def still(one: Misjudged, family: str = family) -> bool:
            now = await channels.by_id(db, channel.id)
            return now is not None and bool(await _differences(db, now, family, [one.name]))

        after = ""
        while names := await judging.names_here(db, channel.id, family, after, PAGE):
            for one in await settled(await _differences(db, channel, family, [name for name, _ in names]), still):
                yield one
            after = names[-1][0]


async def waiting(db: Database) -> bool:
    """Say whether anything waits to be judged, or will, as a feed's run is not worked off to its end."""
    return await unjudged.last(db) > 0 or await feeds.unsettled(db) or await is_due(db)


async def judge_again(services: Services, packages: Collection[tuple[str, str]]) -> None:
    """Let packages, given as (family, name), be judged now."""
    await services.db.write(partial(unjudged.add, names=packages))
    await judge_waiting(services)


async def finish_taking_over(services: Services) -> None:
    """Let everything be judged that another engine judged, if no worker has come to that."""
    while await take_over(services.db):
        await judge_waiting(services)


async def _differences(db: Database, channel: Channel, family: str, names: Sequence[str]) -> list[Misjudged]:
    policy = (await policies(db, [channel.ruleset_id]))[channel.ruleset_id]
    pending = await _pending(db, family, names, whole=needs_whole_channel(policy))
    names = [name for name in names if name not in pending]
    if not names:
        return []
    found = {name: Misjudged(family, name, said) for name, said in (await _other_findings(db, family, names)).items()}
    rows = await judging.here_of_names(db, channel.id, family, names)
    now = await db.now()
    wanted = await _wanted(db, channel, family, rows, policy, now)
    held = await _held(db, channel, rows)
    for row in rows:
        if wanted[row.pair] != held[row.pair]:
            said = f"{row.filename} is {held[row.pair]}, but should be {wanted[row.pair]}"
            found.setdefault(row.name, Misjudged(family, row.name, said))
    return list(found.values())


async def _pending(db: Database, family: str, names: Sequence[str], *, whole: bool) -> Collection[str]:
    """Return those of the packages that may be judged otherwise soon; with `whole`, anything that waits counts."""
    if await (waiting(db) if whole else _waits_for_many(db)):
        return names
    return await unjudged.among(db, family, names)


async def _waits_for_many(db: Database) -> bool:
    """Say whether anything waits that may be about any package."""
    return await unjudged.any_beside(db, FORMATS) or await feeds.unsettled(db) or await is_due(db)


async def _other_findings(db: Database, family: str, names: Sequence[str]) -> dict[str, str]:
    """Return the names of which other vulnerabilities are known than advisories say, with a sentence.

    What was found in a version that nobody has any more stays until its name is judged again.
    """
    versions = await judging.versions_of(db, family, names)
    wanted = {one[:4] for one in await look_up(db, family, versions)}
    found = await findings.of_names(db, family, names)
    held = {one[:4] for one in found if one.version in versions.get(one.name, ())}
    return {one[1]: f"what advisories say of version {one[2]} is not what was found" for one in wanted ^ held}


async def _wanted(
    db: Database, channel: Channel, family: str, rows: Sequence[FileRow], policy: Policy, now: int
) -> dict[Pair, _Said]:
    """Return what rules say of files; of a closure the whole channel is asked."""
    whole = needs_whole_channel(policy)
    files = await files_in(db, channel.id, family) if whole else files_of(family, rows)
    batch = await batch_of_channel(db, files, [policy])
    found = await circumstances(db, channel.id, family, files.name.values, now)
    demands = await demands_of(db, batch, files.record_id.tolist()) if whole else None
    context = survey(batch, policy, now, demands, found.reserved, waivers=found.waivers)
    reasons = wanted_reasons(channel.id, channel.ruleset_id, files.pair, batch, context, policy, found.waivers, now)
    said = {files.pair(number): rule for number, rule in enumerate(hidden_by(batch, policy, now))}
    return {
        row.pair: _Said(said.get(row.pair), reasons[row.pair].rule if row.pair in reasons else None) for row in rows
    }


async def _held(db: Database, channel: Channel, rows: Sequence[FileRow]) -> dict[Pair, _Said]:
    records = {row.record_id for row in rows}
    said = {
        (one.record_id, one.content_id): one.rule
        for one in await verdicts.of_records(db, records, [channel.ruleset_id])
    }
    reasons = {one.pair: one.rule for one in await overlays.of_records(db, channel.id, channel.ruleset_id, records)}
    return {row.pair: _Said(said.get(row.pair), reasons.get(row.pair)) for row in rows}
