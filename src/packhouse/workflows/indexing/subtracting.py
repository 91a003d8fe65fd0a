"""A frozen channel: what is hidden since is taken out of the pinned index, and comes back when it is shown again.

Nothing else changes: a name shows those of its pinned files that may be seen now. All other changes wait, dirty, until
the channel is unfrozen.
"""

from __future__ import annotations

from collections.abc import Iterable

from packhouse.catalog import changes
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries
from packhouse.core.db import Unit
from packhouse.formats import registry
from packhouse.formats.archives.zstandard import unzstd_own
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.rendering import render
from packhouse.workflows.indexing.store import Key, Part

#: of a part of ours, uncompressed
MOST_BYTES = 1 << 30


async def show_anew(unit: Unit, channel: Channel, keys: Iterable[Key]) -> None:
    """Let the index of a channel, which the unit holds, follow a change of what may be seen of these names."""
    wanted = sorted(set(keys))
    if not wanted:
        return
    await entries.mark_dirty(unit, channel.id, wanted)
    await changes.note(unit, "entry", channel.id)
    if channel.frozen_revision is not None:
        await _subtract(unit, channel.id, channel.frozen_revision, wanted)


async def _subtract(unit: Unit, channel_id: int, pinned: int, keys: list[Key]) -> None:
    head = await store.lock_head(unit, channel_id)
    if head is None or await store.any_staged(unit, channel_id, head):
        return  # it is being unfrozen, and what is published then is right
    parts = {key: await _left(unit, channel_id, key, pinned) for key in keys}
    before = await store.shown(unit, channel_id, parts.keys())
    changed = {key: part for key, part in parts.items() if (part.sha256 if part else None) != before.get(key)}
    if not changed:
        return
    await store.add_parts(unit, filter(None, changed.values()))
    identities = {key: part.sha256 if part else None for key, part in changed.items()}
    await store.show(unit, channel_id, head + 1, identities, before)
    await store.advance(unit, channel_id, head + 1)
    await changes.note(unit, "index", channel_id)


async def _left(unit: Unit, channel_id: int, key: Key, pinned: int) -> Part | None:
    """Return what is left of a name: its pinned files that may be seen now."""
    partition, name = key
    rows = (await store.rows_of(unit, channel_id, [partition], [name])).get(key)
    shard = await store.shelved_at(unit, channel_id, key, pinned) if rows else None
    if not rows or shard is None:
        return None
    there = set(registry.get(rows[0].family).filenames(unzstd_own(shard, MOST_BYTES)))
    return render([row for row in rows if row.filename in there])
