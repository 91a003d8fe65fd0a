"""The dry run: what a run would change, found out in the same way, with nothing written and nothing downloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings, store
from packhouse.catalog.mirrors.credentials import seal, unseal
from packhouse.catalog.mirrors.holdings import Incoming
from packhouse.catalog.mirrors.mirror import Counts, Failure, Mirror, Spec, unborn
from packhouse.catalog.mirrors.source import check_spec
from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.workflows.mirroring.intake import conflict
from packhouse.workflows.mirroring.metadata import count
from packhouse.workflows.mirroring.obtaining import fetcher_of
from packhouse.workflows.mirroring.policy import own_policy
from packhouse.workflows.mirroring.preparing import prepared, tasks
from packhouse.workflows.mirroring.survey import Difference, Survey, entry_ids, shrinks, standing
from packhouse.workflows.mirroring.upstream import Reader
from packhouse.workflows.mirroring.withholding import foretold
from packhouse.workflows.services import Services

#: names listed of each kind
MOST_NAMES = 1000
_BATCH = 1000


class Preview(msgspec.Struct):
    """What a run would do. Lists hold the keys of the first thousand files."""

    counts: Counts = msgspec.field(default_factory=Counts)
    add: list[str] = []
    update: list[str] = []
    remove: list[str] = []
    conflicts: list[str] = []
    failures: list[Failure] = []
    asks: str | None = None  #: what an administrator would be asked before anything is removed


async def preview(services: Services, channel: Channel, mirror: Mirror) -> Preview:
    """Return what a run of the mirror would change now. Raises PackhouseError("upstream_failed")."""
    return await _preview(services, channel, mirror, await store.indexes(services.db, mirror.id))


async def _preview(services: Services, channel: Channel, mirror: Mirror, before: Mapping[str, TakenIndex]) -> Preview:
    if registry.get(mirror.family).upstream is not None:
        raise PackhouseError(
            "bad_request",
            f"A {mirror.type} mirror asks its source for one name at a time, when somebody wants it.",
            "There is nothing to be tried out beforehand; only its filters decide what it may bring.",
        )
    found = Preview()
    looked = msgspec.structs.replace(mirror, needs_full_run=True)
    own = await own_policy(services.db, mirror)
    async with fetcher_of(services, looked) as fetcher:
        survey = Survey(services.db, looked, channel, Reader(fetcher, mirror.id), before, own)
        async for difference in survey.differences(0, _no_step):
            count(found.counts, difference)
            await _one(services, channel, mirror, difference, found)
    if _inherits(mirror):
        found.counts.held_back += await holdings.held_back(services.db, mirror.id, channel.id)
    found.counts.removed = len(survey.leaving)
    found.remove = [f"{partition}/{known.filename}" for partition, known in survey.leaving[:MOST_NAMES]]
    found.asks = shrinks(survey.gone, survey.mine, services.settings.shrink_guard_percent)
    return found


async def preview_spec(
    services: Services, channel: Channel, spec: Spec, *, administrator: bool, before: Mirror | None = None
) -> Preview:
    """Return what the first run of a new mirror, or the next one of an edited mirror, would change.

    Raises PackhouseError as creating and updating do, and `upstream_failed`.
    """
    sealer = services.sealer
    checked = check_spec(spec, administrator=administrator, now=unseal(sealer, before) if before else None)
    base = before or unborn(channel.id)
    values = {name: getattr(checked, name) for name in ("name", "type", "source", "mode", "cron", "filters", "options")}
    mirror = msgspec.structs.replace(base, credential=seal(sealer, checked.credential, checked.source), **values)
    taken = await store.indexes(services.db, base.id) if checked.source == base.source else {}
    return await _preview(services, channel, mirror, taken)


def _inherits(mirror: Mirror) -> bool:
    return mirror.active and mirror.options.use_channel_policy


async def _no_step(description: str) -> None:
    """Nobody watches."""


async def _one(services: Services, channel: Channel, mirror: Mirror, difference: Difference, found: Preview) -> None:
    partition = difference.source.partition
    for filename, reason in (*difference.source.faults, *difference.plan.unusable):
        _fail(found, f"{partition}/{filename}", reason)
    todo = tasks(difference.plan)
    for start in range(0, len(todo), _BATCH):
        part = todo[start : start + _BATCH]
        batch, refused = await asyncio.to_thread(prepared, difference.source, part)
        for filename, reason in refused:
            _fail(found, f"{partition}/{filename}", reason)
        new = await _batch(services, channel, mirror.family, partition, batch, found)
        if new and _inherits(mirror):
            found.counts.held_back += await foretold(services.db, channel, mirror.family, difference.source, new)


async def _batch(
    services: Services, channel: Channel, family: str, partition: str, batch: Sequence[Incoming], found: Preview
) -> list[Incoming]:
    """Return what would be added."""
    new: list[Incoming] = []
    held = await holdings.held(services.db, entry_ids(batch))
    names = [one.filename for one in batch]
    bound = await holdings.bound(services.db, channel.id, channel.path, family, partition, names)
    for one in batch:
        ckey = f"{partition}/{one.filename}"
        if conflict(one, standing(one, held), bound) is not None:
            found.counts.conflicts += 1
            _list(found.conflicts, ckey)
        elif one.entry_id is None:
            new.append(one)
            found.counts.added += 1
            _list(found.add, ckey)
        elif not one.foreign:
            found.counts.updated += 1
            _list(found.update, ckey)
    return new


def _list(names: list[str], ckey: str) -> None:
    if len(names) < MOST_NAMES:
        names.append(ckey)


def _fail(found: Preview, ckey: str, reason: str) -> None:
    found.counts.failed += 1
    if len(found.failures) < MOST_NAMES:
        found.failures.append(Failure(ckey, reason))
