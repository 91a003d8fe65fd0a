"""Blobs in an S3 bucket: `<prefix>/ab/<sha256>`, read through a cache on local disk. The only user of obstore."""

from __future__ import annotations

from asyncio import gather, to_thread
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore import exceptions
from obstore.store import S3Store as Bucket

from packhouse.core.blobs.base import MARKER, BlobStore
from packhouse.core.blobs.cache import IN_USE_SECONDS, BlobCache
from packhouse.core.blobs.faults import disk_faults
from packhouse.core.blobs.hashing import Hashes, is_sha256, relative_name
from packhouse.core.blobs.ranges import read_range
from packhouse.core.blobs.s3faults import s3_faults
from packhouse.core.blobs.spool import Spool, Spooled, Writer
from packhouse.core.clock import SECOND

if TYPE_CHECKING:
    from obstore.store import S3Config  # exists for type checkers only

#: larger files are sent in parts; each part is in memory while it is sent, PARTS_AT_ONCE of them per upload
_PART_BYTES = 8 * 2**20
_PARTS_AT_ONCE = 3
_UPLOADS_AT_ONCE = 16
_READ_BYTES = 256 * 1024


class S3Store(BlobStore):
    """Blobs in `bucket` below `prefix`; incoming files, partials and the cache (`cache_bytes`) in `cache_dir`."""

    path_seconds = IN_USE_SECONDS / 2  #: the other half is for opening it

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        region: str,
        cache_dir: Path,
        cache_bytes: int,
    ) -> None:
        spool = Spool(cache_dir)
        super().__init__(spool)
        self._name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._cache = BlobCache(cache_dir, cache_bytes, spool)
        self._bucket = _connect(bucket, endpoint, access_key, secret_key, region)

    def _key(self, sha256: str) -> str:
        return self._prefix + relative_name(sha256)

    async def marker(self) -> str | None:
        """Read the object that has the id."""

        def read() -> str:
            return bytes(obstore.get(self._bucket, self._prefix + MARKER).bytes()).decode(errors="replace").strip()

        with s3_faults(self._name):
            try:
                # not `get_async`: its threads may still call Python when a command that is refused ends at once
                return await to_thread(read)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    async def mark(self, installation: str) -> str:
        """Write the object that has the id, by a conditional create."""
        with s3_faults(self._name), suppress(exceptions.AlreadyExistsError):
            text = f"{installation}\n".encode()
            await obstore.put_async(self._bucket, self._prefix + MARKER, text, mode="create", use_multipart=False)
        return await self.marker() or ""

    async def _publish(self, batch: Sequence[Spooled]) -> None:
        waiting = list(batch)

        async def upload() -> None:
            try:
                while waiting:
                    await self._upload(*waiting.pop())
            except BaseException:
                waiting.clear()  # a bucket that is away should say so once, not for each file
                raise

        with s3_faults(self._name):
            ended = await gather(*(upload() for _ in batch[:_UPLOADS_AT_ONCE]), return_exceptions=True)
            for fault in ended:  # only now: none may still be reading its file when the caller closes it
                if fault is not None:
                    raise fault
        with disk_faults("The cache folder of the package store"):
            await self._cache.adopt(batch)

    async def _upload(self, writer: Writer, hashes: Hashes) -> None:
        """Send the file unless the bucket has it: a small one by a conditional create, a large one after asking."""
        key, path = self._key(hashes.sha256), writer.path
        if hashes.size <= _PART_BYTES:
            try:
                await obstore.put_async(self._bucket, key, path, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                return
        elif await self._size(key) != hashes.size:
            # parts cannot be conditional; if two processes get here they write the same bytes
            await obstore.put_async(
                self._bucket,
                key,
                writer.path,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
                use_multipart=True,
            )

    async def _size(self, key: str) -> int | None:
        try:
            return (await obstore.head_async(self._bucket, key))["size"]
        except FileNotFoundError:
            return None

    def local_path(self, sha256: str) -> Path | None:
        """Return the cached file, if there is one."""
        return self._cache.find(sha256)

    async def path(self, sha256: str, size: int) -> Path:
        """Return the cached file, fetched and verified first if it is not there."""

        async def fetch(writer: Writer) -> None:
            async for block in self._stream(sha256, 0, size):
                await writer.write(block)

        return await self._cache.fill(sha256, fetch)

    async def open_range(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield a range from the cached file or, without filling the cache, from the bucket."""
        if cached := self._cache.find(sha256):
            with cached.open("rb", buffering=0) as file:
                async for block in read_range(file.fileno(), start, length):
                    yield block
        elif length > 0:
            async for block in self._stream(sha256, start, length):
                yield block

    async def _stream(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        with s3_faults(self._name, sha256):
            if length == 0:
                await obstore.head_async(self._bucket, self._key(sha256))
                return
            found = await obstore.get_async(self._bucket, self._key(sha256), options={"range": (start, start + length)})
            async for block in found.stream(min_chunk_size=_READ_BYTES):
                yield bytes(block)

    async def exists(self, sha256: str) -> bool:
        """Ask the bucket."""
        with s3_faults(self._name):
            return await self._size(self._key(sha256)) is not None

    async def written_at(self, sha256: str) -> int | None:
        """Return the object's time, in whole seconds."""
        with s3_faults(self._name):
            try:
                found = await obstore.head_async(self._bucket, self._key(sha256))
            except FileNotFoundError:
                return None
        return int(found["last_modified"].timestamp()) * SECOND

    async def delete(self, sha256: str) -> None:
        """Remove the object, and the cached file of this machine; other machines' caches forget it in time."""
        with s3_faults(self._name):
            await obstore.delete_async(self._bucket, self._key(sha256))
        self._cache.drop(sha256)

    async def iterate(self) -> AsyncIterator[tuple[str, int]]:
        """Yield (sha256, size) in ascending order, the order in which S3 lists keys."""
        with s3_faults(self._name):
            async for batch in obstore.list(self._bucket, prefix=self._prefix or None):
                for entry in batch:
                    name = entry["path"].rpartition("/")[2]
                    if is_sha256(name):
                        yield name, entry["size"]


class S3Place:
    """Where files lie under names of their own in a bucket, below `prefix`."""

    def __init__(
        self, bucket: str, prefix: str, *, endpoint: str, access_key: str, secret_key: str, region: str
    ) -> None:
        self._name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._bucket = _connect(bucket, endpoint, access_key, secret_key, region)

    async def put(self, name: str, source: Path) -> None:
        """Send a file, in the place of one with that name. Raises PackhouseError as a store does."""
        with s3_faults(self._name):
            await obstore.put_async(
                self._bucket, self._prefix + name, source, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )


def _connect(bucket: str, endpoint: str, access_key: str, secret_key: str, region: str) -> Bucket:
    """Return obstore's handle; nothing is sent yet. Empty keys mean the machine's own role (for example on EC2)."""
    config: S3Config = {"region": region, "virtual_hosted_style_request": False}
    if endpoint:
        config["endpoint"] = endpoint
    if access_key:
        config["access_key_id"] = access_key
        config["secret_access_key"] = secret_key
    return Bucket(
        bucket,
        config=config,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": "5s",
            "read_timeout": "30s",
            "timeout": "6h",  # of one whole answer: a large package on a slow line
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=15)},
    )
