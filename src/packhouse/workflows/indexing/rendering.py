"""From the visible entries of one name to its part: pure, and the same bytes every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from packhouse.formats import registry
from packhouse.formats.archives.zstandard import zstd3
from packhouse.workflows.indexing.store import File, Part


def encode(rows: Sequence[File]) -> tuple[bytes, bytes] | None:
    """Return shard and fragment of one name in one partition, uncompressed; None when nothing of it is visible."""
    if not rows:
        return None
    return registry.get(rows[0].family).render_part(rows)


def identity(shard: bytes, fragment: bytes) -> bytes:
    """Return what a part is known by: the hash before compression, so that it does not depend on zstd."""
    digest = hashlib.sha256(shard)
    digest.update(fragment)
    return digest.digest()


def render(rows: Sequence[File]) -> Part | None:
    """Return the part of one name in one partition, or None when nothing of it is visible."""
    encoded = encode(rows)
    if encoded is None:
        return None
    shard, fragment = encoded
    compressed = zstd3(shard)
    return Part(
        sha256=identity(shard, fragment),
        shard=compressed,
        shard_sha256=hashlib.sha256(compressed).digest(),
        fragment=zstd3(fragment),
    )
