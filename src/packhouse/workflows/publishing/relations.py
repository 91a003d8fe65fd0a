"""What a package needs: the dependencies its newest version declares, over all its platforms."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import listing
from packhouse.core.db import Database
from packhouse.formats import registry
from packhouse.formats.base import Coordinate, Facts

_decode = msgspec.json.Decoder(dict[str, Any]).decode
#: builds of one version that are looked at; more of them say nothing new
MOST_FILES = 500


class Dependency(msgspec.Struct):
    """One package that is needed, and how that is said on which platform."""

    name: str
    specs: list[str]
    platforms: list[str]


async def dependencies(db: Database, channel: Channel, family: str, name: str, version: str) -> list[Dependency]:
    """Return the dependencies of all visible files of a version, by name."""
    rows, _ = await listing.files(
        db,
        {"channel_id": channel.id, "family": family, "name": name, "version": version},
        limit=MOST_FILES,
        offset=0,
    )
    found: dict[str, Dependency] = {}
    for row in rows:
        at = Coordinate(family, row.partition, row.filename, name, version)
        for spec in _decode(row.record).get("depends") or []:
            _add(found, at, str(spec))
    return [found[key] for key in sorted(found)]


def _add(found: dict[str, Dependency], at: Coordinate, spec: str) -> None:
    for needed in registry.get(at.family).relations(Facts(at, {}, depends=[spec])):
        held = found.setdefault(needed, Dependency(needed, [], []))
        if spec not in held.specs:
            held.specs.append(spec)
        if at.partition not in held.platforms:
            held.platforms.append(at.partition)
