"""Origins: where unfetched files can be had that no longer follow their mirror.

A copy of such a file in another channel has the mirror's origin. While the mirror keeps its source, the origin is that
source, with the credential of the day; when the mirror turns to another source, or ends, the origin stands for the old
one from then on, and lasts while an entry needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, select, update

from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Mirror, Options, unborn
from packhouse.catalog.schema import entry, origin
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader

_FIND = select(origin.c.mirror_id, origin.c.source, origin.c.options, origin.c.credential, origin.c.bases).where(
    origin.c.id == bindparam("origin_id")
)
# also when it is there, so that it is held until the unit has ended
_GIVE = """INSERT INTO origin (mirror_id) VALUES (:mirror_id)
 ON CONFLICT (mirror_id) DO UPDATE SET mirror_id = excluded.mirror_id RETURNING id"""
_MINE = (entry.c.mirror_id == bindparam("of_mirror"), entry.c.content_id.is_(None), entry.c.origin_id.is_(None))
_UNTOLD = (
    select(entry.c.id).where(*_MINE, entry.c.id > bindparam("after")).order_by(entry.c.id).limit(bindparam("limit"))
)
_TELL = update(entry).where(*_MINE).values(origin_id=bindparam("new_origin"))
_TELL_SOME = _TELL.where(any_of(entry.c.id, "ids"))
_PART = (
    update(origin)
    .where(origin.c.mirror_id == bindparam("of_mirror"))
    .values(
        mirror_id=None,
        source=bindparam("new_source"),
        options=bindparam("new_options"),
        credential=bindparam("new_credential"),
        bases=bindparam("new_bases"),
    )
)
_FORGET = delete(origin).where(~select(entry.c.id).where(entry.c.origin_id == origin.c.id).exists())

_bases = msgspec.json.Decoder(dict[str, str])


class Source(NamedTuple):
    """What a file is fetched from: a mirror, or what is left of one."""

    mirror: Mirror
    bases: dict[str, str] | None  #: partition to where its files are, as `base_of` looks them up; None: ask the mirror


async def source_of(reader: Reader, mirror_id: int | None, origin_id: int | None) -> Source | None:
    """Return where an unfetched entry's bytes can be had; None when that is gone."""
    if origin_id is not None:
        row = await reader.fetch_one(_FIND, origin_id=origin_id)
        if row is None:
            return None
        if row[0] is None:
            return Source(_mirror(origin_id, row[1], row[2], row[3]), _bases.decode(row[4] or "{}"))
        mirror_id = row[0]
    mirror = await store.by_id(reader, mirror_id) if mirror_id else None
    return None if mirror is None or mirror.state == "deleted" else Source(mirror, None)


def _mirror(origin_id: int, source: str, options: str | None, credential: str | None) -> Mirror:
    return msgspec.structs.replace(
        unborn(0),
        uuid=f"origin-{origin_id}",
        source=source,
        options=msgspec.json.decode(options or "{}", type=Options),
        credential=credential or "",
    )


async def base_of(reader: Reader, source: Source, partition: str) -> str:
    """Return where the files of a partition are; empty: beside its index."""
    if source.bases is not None:
        return source.bases.get(partition, "")
    return await store.base_url(reader, source.mirror.id, partition)


async def untold(reader: Reader, mirror_id: int, after: int, limit: int) -> list[int]:
    """Return the next entries of a mirror that are unfetched and say nothing about their origin, by id."""
    return [row[0] for row in await reader.fetch_all(_UNTOLD, of_mirror=mirror_id, after=after, limit=limit)]


async def tell(unit: Unit, mirror_id: int, ids: Sequence[int]) -> None:
    """Let unfetched entries of a mirror say what they come from. Nothing changes by that until `part`."""
    number = await unit.fetch_value(_GIVE, mirror_id=mirror_id)
    await unit.execute(_TELL_SOME, of_mirror=mirror_id, new_origin=number, ids=list(ids))


async def tell_rest(unit: Unit, mirror_id: int) -> None:
    """Do so for all that nobody told yet; of many, `tell` has told most before."""
    number = await unit.fetch_value(_GIVE, mirror_id=mirror_id)
    await unit.execute(_TELL, of_mirror=mirror_id, new_origin=number)


async def part(unit: Unit, mirror: Mirror) -> None:
    """Let the origin of a mirror stand for itself, as the mirror's source is now, since the mirror goes its own way."""
    indexes = await store.indexes(unit, mirror.id)
    await unit.execute(
        _PART,
        of_mirror=mirror.id,
        new_source=mirror.source,
        new_options=store.text(mirror.options),
        new_credential=mirror.credential or None,
        new_bases=store.text({name: taken.base_url for name, taken in indexes.items() if taken.base_url}),
    )


async def forget_unused(unit: Unit) -> None:
    """Forget origins, and what opened them, that no entry refers to any more."""
    await unit.execute(_FORGET)
