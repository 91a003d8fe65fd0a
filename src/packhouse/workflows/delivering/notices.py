"""notices.json at a channel's root: what its owners tell the people who install from it (CEP 6)."""

from __future__ import annotations

import hashlib

import msgspec

from packhouse.catalog.channels import store as channels
from packhouse.core.clock import to_iso
from packhouse.core.db import Database

_encode = msgspec.json.Encoder(order="deterministic").encode


class Notices:
    """Makes notices.json on request: it is short, and what it says ends with the hour, not with a revision."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, channel_id: int) -> tuple[str, int, bytes]:
        """Return (etag, when what it says changed last in microseconds, body)."""
        now = await self._db.now()
        changed_at = await channels.notices_at(self._db, channel_id)
        found = await channels.notices(self._db, channel_id)
        notices = [
            {
                "id": str(number),
                "message": message,
                "level": level,
                "created_at": to_iso(created_at),
                **({"expires_at": to_iso(expires_at), "expired_at": to_iso(expires_at)} if expires_at else {}),
            }
            for number, message, level, created_at, expires_at in found
            if expires_at is None or expires_at > now
        ]
        body = _encode({"notices": notices})
        ended = [row[4] for row in found if row[4] is not None and row[4] <= now]
        return hashlib.sha256(body).hexdigest(), max([changed_at, *ended]), body
