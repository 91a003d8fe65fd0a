"""What users are told when a disk or an object store fails."""

from __future__ import annotations

import errno
import os

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from packhouse.core.blobs.faults import BlobMissing, disk_faults
from packhouse.core.blobs.s3faults import s3_faults
from packhouse.core.errors import PackhouseError

# what S3 really answers to a wrong key, with the parts nobody may see
_REFUSED = (
    "The operation lacked the necessary privileges: Error performing PUT http://s3/b/k - Server returned non-2xx "
    "status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId>"
    "<StringToSign>AWS4-HMAC-SHA256 2c00bf6a</StringToSign></Error>"
)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "storage_full"), (errno.EDQUOT, "storage_full"), (errno.ESTALE, "try_later")]
)
def test_a_disk_that_is_full_or_gone(number: int, code: str) -> None:
    with pytest.raises(PackhouseError) as caught, disk_faults("The folder"):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == code


def test_a_fault_of_the_program_stays_one() -> None:
    with pytest.raises(FileNotFoundError), disk_faults("The folder"):
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_a_refusal_tells_the_reason_and_no_secret() -> None:
    with pytest.raises(PackhouseError) as caught, s3_faults("s3://b"):
        raise PermissionDeniedError(_REFUSED)
    assert "403 SignatureDoesNotMatch" in str(caught.value)
    assert "AKIASECRET" not in str(caught.value)
    assert "2c00bf6a" not in str(caught.value)
    assert caught.value.__suppress_context__  # nor does a logged traceback hold it
    assert caught.value.retry_after == 5


@pytest.mark.parametrize("text", ["status code: 507 Insufficient Storage", "<Code>XMinioStorageFull</Code>"])
def test_a_full_object_store(text: str) -> None:
    with pytest.raises(PackhouseError) as caught, s3_faults("s3://b"):
        raise GenericError(text)
    assert caught.value.code == "storage_full"


def test_a_missing_object_is_not_a_missing_bucket() -> None:
    with pytest.raises(BlobMissing), s3_faults("s3://b", "ab" * 32):
        raise FileNotFoundError("404 <Code>NoSuchKey</Code>")
    with pytest.raises(PackhouseError, match="does not exist") as caught, s3_faults("s3://b", "ab" * 32):
        raise FileNotFoundError("404 <Code>NoSuchBucket</Code>")
    assert caught.value.code == "try_later"
