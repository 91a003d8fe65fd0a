"""Belonging: a catalogue and a store of bytes are one installation, and each start makes sure that they are.

An unmounted disk leaves an empty folder and a mistyped bucket is an empty one; a server that began there would
acknowledge uploads into it and answer 500 for everything it had. So the store carries the installation's id.
"""

from __future__ import annotations

from packhouse.catalog.accounts import store as secrets
from packhouse.catalog.packages import contents
from packhouse.core.blobs import MARKER
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid
from packhouse.workflows.services import Services

_NAME = "installation"


async def require_own_store(services: Services) -> None:
    """Compare the store's id with the catalogue's; a new or empty installation gets its ids here.

    Raises PackhouseError: `conflict` for another installation's store and, when the catalogue has content, for one
    without an id; `try_later` when database or store is away.
    """
    known = await _installation_id(services.db)
    found = await services.blobs.marker()
    if found is None and not await contents.any_content(services.db):
        found = await services.blobs.mark(known)
    if found != known:
        raise _other_store(services.settings.blob_url, services.settings.origin("blob_url"), known, found)


def _other_store(url: str, origin: str, known: str, found: str | None) -> PackhouseError:
    why = f"its `{MARKER}` names another one" if found is not None else f"it has no `{MARKER}`"
    return PackhouseError(
        "conflict",
        f"{url} ({origin}) is not the store of this installation: {why}.",
        f"Mount its disk, or correct `blob_url` or --data. If the packages are there, write {known} into `{MARKER}`.",
    )


async def _installation_id(db: Database) -> str:
    """Return the id of the installation, making it if there is none; two processes end up with the same one."""
    found = await secrets.secrets(db, (_NAME,))
    return (found or await db.write(_make))[_NAME].decode()


async def _make(unit: Unit) -> dict[str, bytes]:
    await secrets.add_secret(unit, _NAME, new_uuid().encode())
    return await secrets.secrets(unit, (_NAME,))
