"""What mirror runs and administrators do to a channel, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packhouse.catalog.packages import contents, entries
from packhouse.core.db import Unit
from packhouse.formats.base import Coordinate
from packhouse.workflows.channels.editing import Edit, edit_channel
from packhouse.workflows.records import build_record
from tests.kit.house import House

SOURCE: dict[str, Any] = {
    "build": "0",
    "build_number": 0,
    "depends": [],
    "md5": "cd" * 16,
    "odd": [1],
    "sha256": "ab" * 32,
    "size": 7,
    "subdir": "noarch",
    "timestamp": 1_700_000_000_000,
    "version": "1",
}


async def add_passive(house: House, names: Sequence[str], signatures: str | None = None, channel: str = "pub") -> None:
    """Write the rows a mirror run writes for files it did not fetch, one per name; nothing is published."""
    channel_id = (await house.find(channel)).id

    async def work(unit: Unit) -> None:
        for name in names:
            filename = f"{name}-1-0.conda"
            at = Coordinate("conda", "noarch", filename, name, "1", "0")
            record = build_record(filename, {**SOURCE, "name": name}, signatures, family="conda")
            row = {
                **entries.key_of(channel_id, at),
                "name": name,
                "record_id": await contents.add_record(unit, record),
                **dict.fromkeys(("content_id", "mirror_id", "source_url", "source_hash", "first_seen_at")),
                "uploaded": False,
                "visible_at": unit.now,
                "event_id": 0,
            }
            await entries.add_one(unit, row)
        await entries.mark_dirty(unit, channel_id, [("noarch", name) for name in names])

    await house.services.db.write(work)


async def publish(house: House, channel: str = "pub") -> None:
    """Publish what is dirty."""
    await house.services.publisher.publish((await house.find(channel)).id)


async def set_frozen(house: House, frozen: bool) -> None:
    """Pin or release the index of `pub`."""
    await edit_channel(
        house.services, await house.find("pub"), house.people["admin"].principal, Edit(frozen=frozen), frozenset()
    )


async def head_of(house: House) -> int:
    """Return the latest revision of `pub`."""
    channel = await house.find("pub")
    return int(await house.services.db.fetch_value("SELECT revision FROM head WHERE channel_id = :id", id=channel.id))


async def dirty_rows(house: House) -> int:
    """Return how many names wait for publishing."""
    return int(await house.services.db.fetch_value("SELECT count(*) FROM dirty"))
