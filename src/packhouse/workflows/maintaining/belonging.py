"""Belonging: a catalogue and a store of bytes are one installation, and each start makes sure that they are.

An unmounted disk leaves an empty folder and a mistyped bucket is an empty one; a server that began there would
acknowledge uploads into it and answer 500 for everything it had. So the store carries the installation's id. As for the
key of sealed secrets: the catalogue has its fingerprint, so that no process seals what the others cannot open.
"""

from __future__ import annotations

from functools import partial

from packhouse.catalog.installation import secrets
from packhouse.catalog.packages import contents
from packhouse.core.blobs import MARKER
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid
from packhouse.core.sealing import KEY_FILE
from packhouse.workflows.services import Services

_NAME = "installation"
_FINGERPRINT = "sealing-key-fingerprint"


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


async def require_own_key(services: Services) -> None:
    """Compare the key of sealed secrets with the catalogue's fingerprint; the first start of all makes both.

    Raises PackhouseError: `conflict` without the key or with another one, `bad_request` when it cannot be written.
    """
    sealer = services.sealer
    known = (await secrets.named(services.db, (_FINGERPRINT,))).get(_FINGERPRINT)
    if known is None:
        try:
            sealer.make_key()
        except OSError as error:
            raise PackhouseError(
                "bad_request", f"{sealer.file} cannot be written: {error.strerror}.", "Free it, or set `secret_key`."
            ) from None
        known = await services.db.write(partial(_keep_fingerprint, fingerprint=sealer.fingerprint))
    if sealer.has_key and sealer.fingerprint == known:
        return
    what = "is not the key that this installation began with" if sealer.has_key else "is missing"
    raise PackhouseError(
        "conflict",
        f"{sealer.origin} {what}: what is sealed in the database would not open.",
        f"Put {KEY_FILE} of a backup or of another machine of this installation into the data folder, or set"
        " `secret_key` to what it says.",
    )


async def _keep_fingerprint(unit: Unit, fingerprint: bytes) -> bytes:
    await secrets.add(unit, _FINGERPRINT, fingerprint)
    return (await secrets.named(unit, (_FINGERPRINT,)))[_FINGERPRINT]


async def _installation_id(db: Database) -> str:
    """Return the id of the installation, making it if there is none; two processes end up with the same one."""
    found = await secrets.named(db, (_NAME,))
    return (found or await db.write(_make))[_NAME].decode()


async def _make(unit: Unit) -> dict[str, bytes]:
    await secrets.add(unit, _NAME, new_uuid().encode())
    return await secrets.named(unit, (_NAME,))
