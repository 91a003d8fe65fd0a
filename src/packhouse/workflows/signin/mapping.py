"""Which group here is which of a provider's."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.groups import store as groups
from packhouse.catalog.groups.group import check_group_name
from packhouse.catalog.identities import store as identities
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError

_UNUSABLE = re.compile(r"[^a-z0-9._@+ -]")


async def known_groups(
    reader: Reader, provider_id: int, named: Mapping[str, str], external: Collection[str]
) -> dict[str, int]:
    """Return those groups here that some of a provider's are, by the provider's name.

    `named` is what the identity file says, which counts before what was made at first sight.
    """
    made = await identities.mappings(reader, provider_id)
    found = {name: made[name] for name in external if name in made}
    for name in external:
        if name in named:
            found.pop(name, None)
            group = await groups.by_name(reader, named[name])
            if group is not None:
                found[name] = group.id
    return found


async def ensure_groups(
    unit: Unit, provider_id: int, named: Mapping[str, str], external: Collection[str], actor: str
) -> dict[str, int]:
    """Return the same, and make those that are not there.

    A group that somebody made here becomes a provider's only if the identity file says so: else whoever makes groups
    there would get what a group of the same name reaches here. What cannot be a name here makes no group.
    """
    found = await known_groups(unit, provider_id, named, external)
    made: dict[str, int] = {}
    for name in sorted(set(external) - found.keys()):
        number = await _make(unit, named.get(name) or _usable(name), name, actor)
        if number is not None:
            made[name] = number
    if made:
        await identities.add_mappings(unit, provider_id, {name: made[name] for name in made if name not in named})
        await changes.note(unit, "people")
    return found | made


async def _make(unit: Unit, name: str, external: str, actor: str) -> int | None:
    try:
        check_group_name(name)
    except PackhouseError:
        return None
    made = await groups.insert_group(unit, name, "")
    if made is not None:
        await record_event(unit, type="group_created", actor=actor, object=f"group {name}", data={"for": external})
    return made


def _usable(name: str) -> str:
    """Return the name here of a provider's group: `/Data Science` is `data science`; a DN has none."""
    return "" if "=" in name else _UNUSABLE.sub("_", name.strip("/ ").lower())
