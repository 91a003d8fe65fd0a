"""Names that no upstream is asked for, since asking tells them to whoever runs it."""

from __future__ import annotations

from packhouse.core.db import Database
from packhouse.security.policies.rules.reserved_name import ReservedName
from packhouse.workflows.judging.contexts import circumstances


async def is_ours(db: Database, channel_id: int, family: str, name: str) -> bool:
    """Say whether a name (normalised) is reserved in a channel: by its uploads or an administrator, and not waived."""
    said = await circumstances(db, channel_id, family, [name], await db.now())
    waived = any(ReservedName.key in waiver.rules for waiver in said.waivers)
    return said.reserved.keeps(family, name) and not waived
