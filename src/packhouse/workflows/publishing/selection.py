"""Which files a person means: a package, or single files of it by their keys."""

from __future__ import annotations

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


class Item(msgspec.Struct, frozen=True):
    """One line of a bulk request; without `ckey` it means the whole package (wire.md A.6)."""

    name: str
    family: str = "conda"
    ckey: str | None = None


async def select_entries(reader: Reader, channel: Channel, items: list[Item]) -> list[entries.Selected]:
    """Return the entries that `items` name, each once, in ascending id.

    Raises PackhouseError("not_found") naming the first item that matches nothing: then nothing is done at all.
    """
    found: dict[int, entries.Selected] = {}
    for item in items:
        rows = await entries.of_package(reader, channel.id, item.family, item.name)
        chosen = [row for row in rows if item.ckey is None or f"{row.partition}/{row.filename}" == item.ckey]
        if not chosen:
            what = item.ckey or item.name
            raise PackhouseError(
                "not_found", f"{channel.path!r} has no {item.family} {what[:200]!r}.", "List its files to see the keys."
            )
        found.update({row.id: row for row in chosen})
    return [found[key] for key in sorted(found)]
