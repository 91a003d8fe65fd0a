"""What opens the sources of mirrors, as it is kept: sealed, together with the address of the source that it opens.

So a dump of the database opens no source, and a credential that is moved to a mirror of another source opens nothing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import NamedTuple

import msgspec
from sqlalchemy import Table, bindparam, select, update

from packhouse.catalog.mirrors.mirror import Credential, Mirror
from packhouse.catalog.schema import mirror, origin
from packhouse.core.db import Unit
from packhouse.core.sealing import Sealer

#: how a credential begins that was kept readably once
_OPEN = "{%"
_TABLES: tuple[Table, ...] = (mirror, origin)
_READABLE = {
    table: select(table.c.id, table.c.source, table.c.credential)
    .where(table.c.credential.like(_OPEN))
    .limit(bindparam("limit"))
    for table in _TABLES
}
_SEAL = {
    table: update(table).where(table.c.id == bindparam("number")).values(credential=bindparam("sealed"))
    for table in _TABLES
}


class Opened(NamedTuple):
    """A mirror with what opens its source, for as long as it is asked."""

    mirror: Mirror
    credential: Credential


def seal(sealer: Sealer, credential: Credential | None, source: str) -> str:
    """Return what is kept of a credential for the source of that address, as it is shown; "" for none."""
    if credential is None or credential == Credential():
        return ""
    return b64encode(sealer.seal(msgspec.json.encode(credential), _about(source))).decode()


def unseal(sealer: Sealer, of: Mirror) -> Opened:
    """Return a mirror with what opens its source. Raises PackhouseError("internal") when that does not open."""
    if not of.credential:
        return Opened(of, Credential())
    data = sealer.open(b64decode(of.credential), _about(of.source))
    return Opened(of, msgspec.json.decode(data, type=Credential))


async def seal_readable(unit: Unit, sealer: Sealer, limit: int = 500) -> int:
    """Seal at most `limit` credentials of each kind that lie in the database readably; return how many those were."""
    count = 0
    for table in _TABLES:
        rows = await unit.fetch_all(_READABLE[table], limit=limit)
        sealed = [
            {"number": number, "sealed": seal(sealer, msgspec.json.decode(text, type=Credential), source) or None}
            for number, source, text in rows
        ]
        if sealed:
            await unit.execute_many(_SEAL[table], sealed)
        count += len(rows)
    return count


def _about(source: str) -> str:
    return f"credential of {source}"
