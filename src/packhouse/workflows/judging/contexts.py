"""What rules may know of a channel besides the files they are asked about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from packhouse.catalog.policies import overlays, reservations, waivers
from packhouse.catalog.policies.overlays import Overlay
from packhouse.catalog.policies.waivers import WaiverRow
from packhouse.core.db.base import Reader
from packhouse.security.policies.batch import Batch
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.keys import Keys
from packhouse.security.policies.reserved import Reserved
from packhouse.security.policies.rules.installable import Installable
from packhouse.security.policies.rules.latest import LatestOnly
from packhouse.security.policies.rules.names import OnlyNamesAndNeeds
from packhouse.security.policies.rules.platform import NeededNoarch
from packhouse.security.policies.survey import needs_whole_channel, survey, with_newest
from packhouse.security.policies.waivers import Waiver, lifted
from packhouse.workflows.judging import store
from packhouse.workflows.judging.columns import Files
from packhouse.workflows.judging.store import FileRow

#: what a file misses of which only this is known
_UNKNOWN = "something"


class Circumstances(NamedTuple):
    """What of a channel rules may ask besides its files."""

    reserved: Reserved
    waivers: Sequence[Waiver]


async def circumstances(
    reader: Reader, channel_id: int, family: str, names: Collection[str], now: int
) -> Circumstances:
    """Return what is reserved in a channel and what is waived there, as far as it concerns these packages."""
    own = await store.own_names(reader, channel_id, family, names)
    waived = await waivers.of_names(reader, family, names, now)
    return await _circumstances(reader, channel_id, family, own, waived)


async def circumstances_of_channel(reader: Reader, channel_id: int, files: Files, now: int) -> Circumstances:
    """Return the same of a whole channel, of which `files` are all that it has of a family."""
    own = files.name.take(np.flatnonzero(files.uploaded)).values
    waived = await waivers.of_family(reader, files.family, now)
    return await _circumstances(reader, channel_id, files.family, own, waived)


async def _circumstances(
    reader: Reader, channel_id: int, family: str, own: Collection[str], waived: Sequence[WaiverRow]
) -> Circumstances:
    said = await reservations.in_channel(reader, channel_id)
    patterns = [f"{one.family}:{one.pattern}" if one.family else one.pattern for one in said]
    held = [
        Waiver(one.id, one.family, f"{one.name} {one.spec}".strip(), one.until, one.lifts.rules, one.lifts.cves)
        for one in waived
        if one.channel_id in (None, channel_id)
    ]
    return Circumstances(Reserved({family: own} if own else {}, patterns), held)


async def context_here(
    reader: Reader,
    channel_id: int,
    ruleset_id: int,
    rows: Sequence[FileRow],
    batch: Batch,
    policy: Policy,
    found: Circumstances,
    now: int,
    new: Collection[int] = (),
) -> Context:
    """Return what rules may know of a channel; what closures say of files is as it was worked out last.

    Of files with `new` records nothing was worked out yet: they count as needed by nobody.
    """
    said = await said_by_closures(reader, channel_id, ruleset_id, rows, policy)
    return context_of(ruleset_id, rows, batch, policy, found, said, now, new)


async def said_by_closures(
    reader: Reader, channel_id: int, ruleset_id: int, rows: Sequence[FileRow], policy: Policy
) -> list[Overlay]:
    """Return the reasons of a channel, among which are those of closures, where a policy has some."""
    if not needs_whole_channel(policy):
        return []
    return await overlays.of_records(reader, channel_id, ruleset_id, {row.record_id for row in rows})


def context_of(
    ruleset_id: int,
    rows: Sequence[FileRow],
    batch: Batch,
    policy: Policy,
    found: Circumstances,
    reasons: Sequence[Overlay],
    now: int,
    new: Collection[int] = (),
) -> Context:
    """Return the same as `context_here`, from reasons that were read."""
    alone = policy.without(NeededNoarch, OnlyNamesAndNeeds, Installable)
    context = survey(batch, alone, now, None, found.reserved, found.waivers)
    if not needs_whole_channel(policy):
        return context
    said = {one.pair: one for one in reasons}
    by_closure = {NeededNoarch.key, OnlyNamesAndNeeds([]).key}
    # what was said of a file without its bytes stands until somebody works it out with them
    of_row = [said.get(row.pair) or said.get((row.record_id, 0)) for row in rows]
    # an older archive form may be hidden for being one, before anybody asked whether it is needed
    unneeded = {
        _place(row) for row, one in zip(rows, of_row, strict=True) if one is not None and one.rule in by_closure
    }
    selected = survey(batch, policy.without(LatestOnly, Installable), now, None, found.reserved).needed.has(batch)
    needed = [
        number
        for number, row in enumerate(rows)
        if selected[number] or (row.record_id not in new and _place(row) not in unneeded)
    ]
    broken = [(number, one.missing) for number, one in enumerate(of_row) if one and one.rule == Installable.key]

    def worked_out(needed: Sequence[int], broken: Sequence[tuple[int, str]]) -> Context:
        return with_newest(batch, _worked_out(context, batch, needed, broken), policy, now, found.waivers)

    whole = worked_out(needed, broken)
    # of what another rule hides nobody noted what closures say: without them a waiver would show it, and it does not
    passing = set(lifted(batch, whole, policy, found.waivers, now).rows.tolist())
    held = [number for number in sorted(passing) if (one := of_row[number]) is None or one.rule]
    if not held:
        return whole
    needed = [number for number in needed if number not in held or selected[number]]
    return worked_out(needed, [*broken, *((number, _UNKNOWN) for number in held)])


def _worked_out(context: Context, batch: Batch, needed: Sequence[int], broken: Sequence[tuple[int, str]]) -> Context:
    """Return the context with what closures say: which files are needed, and which miss what."""
    return msgspec.structs.replace(
        context,
        needed=Keys.of(batch, np.array(needed, np.int64)),
        broken=Keys.of(batch, np.array([number for number, _ in broken], np.int64)),
        missing=tuple(missing for _, missing in broken),
    )


def _place(row: FileRow) -> tuple[str, str, str, str]:
    """Return what closures tell files apart by: all but the archive form."""
    return row.partition, row.name, row.version, row.build
