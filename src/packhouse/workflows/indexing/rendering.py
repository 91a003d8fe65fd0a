"""From the visible entries of one name to its part: pure, and the same bytes every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from packhouse.formats import registry
from packhouse.formats.archives.zstandard import zstd3
from packhouse.formats.base import PartRow
from packhouse.workflows.indexing.store import IndexRow, Part


def render(rows: Sequence[IndexRow]) -> Part | None:
    """Return the part of one name in one partition, or None when nothing of it is visible.

    The identity is the hash of shard and fragment before compression, so that it does not depend on zstd.
    """
    if not rows:
        return None
    shard, fragment = registry.get(rows[0].family).render_part(
        [PartRow(row.filename, row.json, row.msgpack, row.signatures, row.visible_at) for row in rows]
    )
    compressed = zstd3(shard)
    return Part(
        sha256=hashlib.sha256(shard + fragment).digest(),
        shard=compressed,
        shard_sha256=hashlib.sha256(compressed).digest(),
        fragment=zstd3(fragment),
    )
