"""What goes wrong with a disk or an object store, said as PackhouseError."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from packhouse.core.errors import PackhouseError

RETRY_SECONDS = 5
_FULL = {errno.ENOSPC, errno.EDQUOT}
#: a network folder or a disk that went away; a missing file is not among them
_AWAY = {
    errno.EIO,
    errno.ENODEV,
    errno.ENOTCONN,
    errno.ENXIO,
    errno.EROFS,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
}


class BlobMissing(PackhouseError):
    """The store does not hold bytes that the catalogue says it holds."""

    def __init__(self, sha256: str) -> None:
        super().__init__(
            "internal",
            f"The bytes of {sha256} are not in the blob store.",
            "An administrator should run `packhouse verify` and bring the bytes back from a backup.",
        )


class BlobCorrupt(PackhouseError):
    """The store gave bytes that are not the ones asked for; nobody gets to see them."""

    def __init__(self, sha256: str) -> None:
        super().__init__(
            "internal",
            f"The blob store gave other bytes than those of {sha256}.",
            "An administrator should run `packhouse verify` and check the disk or object store.",
        )


def full(where: str) -> PackhouseError:
    """Return the error for a disk or bucket without room; `where` starts the sentence."""
    return PackhouseError(
        "storage_full", f"{where} is full; nothing was stored.", "Free space or enlarge it, then try again."
    )


def away(where: str, why: str) -> PackhouseError:
    """Return the error for a store that does not answer; `why` must hold no secret."""
    return PackhouseError(
        "try_later",
        f"{where} cannot be used right now ({why}); nothing was stored.",
        "Try again shortly; if it stays, an administrator should check the storage.",
        retry_after=RETRY_SECONDS,
    )


@contextmanager
def disk_faults(where: str) -> Iterator[None]:
    """Turn an operating system's "full" and "gone" into PackhouseError; anything else passes unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(where) from error
        if error.errno in _AWAY:
            raise away(where, error.strerror or "input/output error") from error
        raise
