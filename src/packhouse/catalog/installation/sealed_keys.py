"""The installation's own keys: 32 random bytes each, made once, shared by all its processes, in the table `secret`.

They lie there sealed, so that who has nothing but a copy of the database signs no event and tries no token.
"""

from __future__ import annotations

from functools import partial

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.installation import secrets
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.randomness import random_bytes
from packhouse.core.sealing import Sealer

TOKEN_HASHING, AUDIT_SIGNING = "token-hashing", "audit-signing"
#: of a key that lies readably, as all did once; a sealed one is longer
_BYTES = 32


async def load(db: Database, sealer: Sealer, name: str) -> bytes:
    """Return a key, making it if there is none; two starting processes end up with the same one.

    Raises what `Sealer.seal` and `Sealer.open` raise.
    """
    found = await find(db, sealer, name)
    return await db.write(partial(_make, sealer=sealer, name=name)) if found is None else found


async def find(reader: Reader, sealer: Sealer, name: str) -> bytes | None:
    """Return a key; None when it was never made. Raises what `Sealer.open` raises, also for one that lies readably.

    Whoever can write to the database could have put that there; a start that seals it is an event.
    """
    kept = (await secrets.named(reader, (name,))).get(name)
    return None if kept is None else sealer.open(kept, _about(name))


async def seal_readable(unit: Unit, sealer: Sealer) -> int:
    """Seal the keys that lie in the database readably; return how many those were. Of several processes one does."""
    kept = await secrets.named(unit, (TOKEN_HASHING, AUDIT_SIGNING))
    readable = {name: key for name, key in kept.items() if len(key) == _BYTES}
    return sum(
        [await secrets.change(unit, name, key, sealer.seal(key, _about(name))) for name, key in readable.items()]
    )


async def _make(unit: Unit, sealer: Sealer, name: str) -> bytes:
    if await secrets.add(unit, name, sealer.seal(random_bytes(_BYTES), _about(name))):
        await record_event(unit, type="installation_keys_created", actor="system", object="keys", data={"keys": [name]})
    made = await find(unit, sealer, name)
    assert made is not None  # it was there, or has just been made
    return made


def _about(name: str) -> str:
    return f"installation key {name}"
