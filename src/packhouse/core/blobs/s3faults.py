"""What an object store says when it fails, said as PackhouseError without anything secret.

An S3 error body repeats access keys and signed strings, so that its text never goes on: only the status and the
error code, which are words of the protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions

from packhouse.core.blobs.faults import BlobMissing, away, full

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
#: answers of S3 services without room: the HTTP status, and codes of MinIO, Ceph and versitygw
_FULL = {"507", "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "InsufficientCapacity"}


@contextmanager
def s3_faults(store: str, sha256: str = "") -> Iterator[None]:
    """Turn obstore's errors into PackhouseError; `sha256` is the blob being read, if one is."""
    try:
        yield
    except FileNotFoundError as error:
        if sha256 and "NoSuchBucket" not in str(error):
            raise BlobMissing(sha256) from None
        raise away(f"The bucket {store}", "it does not exist") from None
    except exceptions.BaseError as error:
        words = _words(str(error))
        if _FULL.intersection(words):
            raise full(f"The bucket {store}") from None
        raise away(f"The bucket {store}", " ".join(words) or "no answer") from None


def _words(text: str) -> list[str]:
    """Return status and error code of the answer, as far as there is one."""
    return [match.group(1) for pattern in (_STATUS, _CODE) if (match := pattern.search(text))]
