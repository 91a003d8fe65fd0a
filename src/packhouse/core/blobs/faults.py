"""What goes wrong with a disk or an object store, said as PackhouseError."""

from __future__ import annotations

import errno
from types import TracebackType

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


class disk_faults:
    """Turns an operating system's "full" and "gone" into PackhouseError; anything else passes unchanged.

    Used as `with disk_faults("The folder of this or that"):`, where `where` starts the sentence.
    """

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            if error.errno in _FULL:
                raise full(self._where) from error
            if error.errno in _AWAY:
                raise away(self._where, error.strerror or "input/output error") from error
