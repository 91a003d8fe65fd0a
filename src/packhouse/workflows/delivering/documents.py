"""The files at a channel's root: notices.json (CEP 6) and channeldata.json."""

from __future__ import annotations

import hashlib

import msgspec

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import summaries
from packhouse.core.clock import to_iso
from packhouse.core.db import Database
from packhouse.formats.conda.channeldata import assemble
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.reading import IndexReader

_encode = msgspec.json.Encoder(order="deterministic").encode


class ChannelDocuments:
    """Makes them on request and remembers channeldata.json for as long as the revision stays."""

    def __init__(self, db: Database, index: IndexReader) -> None:
        self._db, self._index = db, index
        self._channeldata: dict[int, tuple[int, bytes]] = {}

    async def get(self, channel: Channel, name: str) -> tuple[str, int, bytes]:
        """Return (etag, modified_at in microseconds, body) of `notices.json` or `channeldata.json`."""
        if name == "notices.json":
            body, modified_at = await self._notices(channel), await self._db.now()
        else:
            body = await self._data(channel)
            number = await self._index.head(channel.id)
            modified_at = await store.committed_at(self._db, channel.id, number) or channel.created_at
        return hashlib.sha256(body).hexdigest(), modified_at, body

    async def _notices(self, channel: Channel) -> bytes:
        now = await self._db.now()
        notices = [
            {
                "id": str(number),
                "message": message,
                "level": level,
                "created_at": to_iso(created_at),
                **({"expires_at": to_iso(expires_at), "expired_at": to_iso(expires_at)} if expires_at else {}),
            }
            for number, message, level, created_at, expires_at in await channels.notices(self._db, channel.id)
            if expires_at is None or expires_at > now
        ]
        return _encode({"notices": notices})

    async def _data(self, channel: Channel) -> bytes:
        number = await self._index.head(channel.id)
        known = self._channeldata.get(channel.id)
        if known is None or known[0] != number:
            known = self._channeldata[channel.id] = (number, await self._make_data(channel.id))
        return known[1]

    async def _make_data(self, channel_id: int) -> bytes:
        rows = await summaries.overviews(self._db, channel_id, "conda")
        subdirs = {subdir for _, _, platforms in rows for subdir in platforms.split()}
        return assemble(((name, text) for name, text, _ in rows), subdirs)
