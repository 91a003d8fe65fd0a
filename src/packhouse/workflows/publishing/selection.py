"""Which files a person means: a package, or single files of it by their keys."""

from __future__ import annotations

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError

#: items of one request; each may name a whole package
MOST_ITEMS = 10_000


class Item(msgspec.Struct, frozen=True):
    """One line of a bulk request; without `ckey` it means the whole package."""

    name: str
    family: str = "conda"
    ckey: str | None = None


async def select_entries(
    reader: Reader, channel: Channel, items: list[Item], *, hidden: bool
) -> list[entries.Selected]:
    """Return the entries that `items` name, each once, in ascending id; without `hidden` only those that readers see.

    Raises PackhouseError("not_found") naming the first item that matches nothing: then nothing is done at all.
    """
    if len(items) > MOST_ITEMS:
        raise PackhouseError("bad_request", f"{len(items)} items are too many at once.", f"Send up to {MOST_ITEMS}.")
    packages: dict[tuple[str, str], dict[str, entries.Selected]] = {}
    found: dict[int, entries.Selected] = {}
    for item in items:
        key = (item.family, item.name)
        if key not in packages:
            rows = await entries.of_package(reader, channel.id, *key)
            packages[key] = {row.coordinate.ckey: row for row in rows if hidden or row.rule is None}
        files = packages[key]
        chosen = list(files.values()) if item.ckey is None else [files[item.ckey]] if item.ckey in files else []
        if not chosen:
            what = item.ckey or item.name
            raise PackhouseError(
                "not_found", f"{channel.path!r} has no {item.family} {what[:200]!r}.", "List its files to see the keys."
            )
        found.update({row.id: row for row in chosen})
    return [found[number] for number in sorted(found)]
