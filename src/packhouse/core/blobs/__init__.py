"""Package bytes by SHA-256: one interface, kept in a local folder (the default) or in an S3 bucket.

Order on disk: bytes go to the blob store and are flushed, then the row that names them is written. So a
row never names bytes that are not there; bytes without a row are what the sweeper looks for.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from packhouse.core.blobs.base import MARKER, BlobStore
from packhouse.core.blobs.faults import BlobMissing
from packhouse.core.blobs.hashing import Hashes
from packhouse.core.blobs.local import LocalStore, copy_folder
from packhouse.core.blobs.places import Folder, Place
from packhouse.core.blobs.spool import Writer, commit_all
from packhouse.core.errors import PackhouseError

__all__ = [
    "MARKER",
    "BlobMissing",
    "BlobStore",
    "Hashes",
    "LocalStore",
    "Place",
    "Writer",
    "commit_all",
    "copy_folder",
    "open_place",
    "open_store",
]


def local_folder(blob_url: str) -> Path | None:
    """Return the folder that `blob_url` names; None for an address of another kind."""
    url = urlsplit(blob_url)
    return Path(unquote(url.path)) if url.scheme == "file" and url.netloc in ("", "localhost") and url.path else None


def open_place(
    target: str, *, endpoint: str = "", access_key: str = "", secret_key: str = "", region: str = "us-east-1"
) -> Place:
    """Return where `target` puts files: `file:///FOLDER` or `s3://BUCKET[/PREFIX]`; nothing is dialled yet."""
    if folder := local_folder(target):
        return Folder(folder)
    from packhouse.core.blobs.s3 import S3Place  # as in `open_store`

    url = urlsplit(target)
    keys = {"endpoint": endpoint, "access_key": access_key, "secret_key": secret_key, "region": region}
    return S3Place(url.netloc, url.path.strip("/"), **keys)


def open_store(
    blob_url: str,
    *,
    data_dir: Path,
    endpoint: str = "",
    access_key: str = "",
    secret_key: str = "",
    region: str = "us-east-1",
    cache_bytes: int = 10 * 2**30,
) -> BlobStore:
    """Return the store that `blob_url` names: `file:///FOLDER` or `s3://BUCKET[/PREFIX]`.

    `data_dir` is this node's folder; an S3 store keeps its spool and its read-through cache (`cache_bytes`) there.
    Raises PackhouseError("bad_request") for any other address.
    """
    if folder := local_folder(blob_url):
        return LocalStore(folder)
    url = urlsplit(blob_url)
    if url.scheme == "s3" and url.netloc:
        # imported here because a server that keeps its packages in a folder needs no S3 client in memory
        from packhouse.core.blobs.s3 import S3Store

        return S3Store(
            url.netloc,
            url.path.strip("/"),
            endpoint=endpoint,
            access_key=access_key,
            secret_key=secret_key,
            region=region,
            cache_dir=data_dir / "blob-cache",
            cache_bytes=cache_bytes,
        )
    raise PackhouseError(
        "bad_request",
        f"The setting blob_url has no place for packages in it: {url.scheme}://{url.hostname or ''}{url.path}.",
        "Write file:///FOLDER or s3://BUCKET[/PREFIX].",
    )
