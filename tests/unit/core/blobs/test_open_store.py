"""The setting `blob_url`."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhouse.core.blobs import LocalStore, open_store
from packhouse.core.errors import PackhouseError


def test_a_folder_with_a_space_in_its_name(tmp_path: Path) -> None:
    assert isinstance(open_store(f"file://{tmp_path}/my%20blobs", data_dir=tmp_path), LocalStore)
    assert (tmp_path / "my blobs").is_dir()


@pytest.mark.parametrize("url", ["", "blobs", "file://otherhost/blobs", "s3:///no-bucket", "ftp://u:secret@h/x"])
def test_any_other_address_is_refused_without_repeating_a_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(PackhouseError, match="blob_url") as caught:
        open_store(url, data_dir=tmp_path)
    assert caught.value.code == "bad_request"
    assert "secret" not in str(caught.value)
