"""What the channel's policy holds back from an active mirror: entries it hides stay passive, and nothing is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors.holdings import Incoming
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.clock import monotonic
from packhouse.core.db import Database
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy, decide
from packhouse.security.policies.rules.install_code import InstallTimeCode
from packhouse.security.policies.rules.reserved_name import ReservedName
from packhouse.workflows.judging.contexts import circumstances
from packhouse.workflows.judging.verdicts import policies
from packhouse.workflows.mirroring.informing import inform
from packhouse.workflows.mirroring.policy import batch_of
from packhouse.workflows.mirroring.turn import Turn
from packhouse.workflows.mirroring.upstream import Source

#: how long a run waits until somebody has worked out what selected files need, and how often it looks, in seconds
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.2


async def until_judged(turn: Turn) -> None:
    """Return when the closures of the channel are judged, without which what others need would seem to be hidden.

    If nobody does that, the run goes on: what it leaves out, the next one fetches.
    """
    mirror, db, deadline = turn.mirror, turn.services.db, monotonic() + PATIENCE_SECONDS
    where = unjudged.WHOLE + mirror.family, str(turn.channel.id)
    while mirror.options.use_channel_policy and monotonic() < deadline and await unjudged.waits(db, *where):
        await turn.job.checkpoint()
        await asyncio.sleep(LOOK_SECONDS)


async def foretold(db: Database, channel: Channel, family: str, source: Source, batch: Sequence[Incoming]) -> int:
    """Return how many of these files an active mirror would not download, since the channel's policy would hide them.

    By the rules that look at the file alone, and by reserved names; nobody can tell the rest before they are here.
    """
    policy = _foreseeable((await policies(db, [channel.ruleset_id]))[channel.ruleset_id])
    part = _part(source, batch)
    await inform(db, part, policy)
    names = sorted({one.record.name for one in batch})
    said = await circumstances(db, channel.id, family, names, await db.now())
    signed = part.signed or frozenset()
    rows = ((part.partition, filename, raw, filename in signed) for filename, raw in part.files.items())
    _, found, _ = batch_of(family, rows, part.knowledge)
    return int((~decide(found, Context(reserved=said.reserved), policy, await db.now()).seen).sum())


def _part(source: Source, batch: Sequence[Incoming]) -> Source:
    """Return the index of these files alone."""
    names = [one.filename for one in batch]
    signatures = {name: source.signatures[name] for name in names if name in source.signatures}
    return Source(source.partition, source.taken, {name: source.files[name] for name in names}, signatures)


def _foreseeable(policy: Policy) -> Policy:
    asked = [rule for rule in policy.rules if rule.scope == "file" or isinstance(rule, ReservedName)]
    return Policy(asked).without(InstallTimeCode)  # what only bytes can say is fetched to be known
