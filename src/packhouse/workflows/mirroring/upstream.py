"""Reads what a conda source offers: per subdir its shards (CEP 16) or its repodata, and only what has changed.

An index proves nothing about itself, so what is read here decides which records exist, never what bytes are right.
Where files lie (`base_url`, absolute `url`) is for our own fetching and never passed on.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable
from urllib.parse import quote, urlsplit

import msgspec

from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Fetcher, Response, mask_url
from packhouse.core.fetch.model import refusal
from packhouse.formats.archives.limits import GIB, MIB
from packhouse.formats.archives.zstandard import unzstd
from packhouse.formats.base import Malformed
from packhouse.formats.conda.upstream import (
    SHARD_INDEX_LIMIT,
    SHARD_LIMIT,
    ShardIndex,
    UpstreamIndex,
    parse_repodata,
    parse_shard,
    parse_shard_index,
)
from packhouse.workflows.judging.knowing import Knowledge

#: the largest repodata.json we take; conda-forge's largest is about 0.4 GiB
REPODATA_LIMIT = GIB
COMPRESSED_LIMIT = 512 * MIB
SHARDS = "repodata_shards.msgpack.zst"
REPODATA_ZST = "repodata.json.zst"
REPODATA = "repodata.json"
#: shards asked for at the same time
_AT_ONCE = 32

_shards = msgspec.msgpack.Decoder(dict[str, bytes])
Wanted = Callable[[str], bool]


class Source(msgspec.Struct):
    """The index of one subdir as the upstream has it now: file name to the raw text of its record."""

    partition: str
    taken: TakenIndex  #: to be stored once everything in it was taken in
    files: dict[str, msgspec.Raw]
    signatures: dict[str, msgspec.Raw]
    unchanged: frozenset[str] = frozenset()  #: names whose records are not in `files`, since nothing about them changed
    unwanted: frozenset[str] = frozenset()  #: names whose records are not in `files`, since nobody wants them
    unsupported: int = 0  #: records of revisions of the format that we cannot publish
    faults: list[tuple[str, str]] = []  #: what in the index was passed over, and why
    knowledge: Knowledge | None = None  #: of its files, where the rules ask for it
    signed: frozenset[str] | None = None  #: files whose record a trusted key truly signed, where the rules ask for it


def everything(name: str) -> bool:
    """Want the shard of every name."""
    return True


class Reader:
    """Reads the indexes of one mirror's source."""

    def __init__(self, fetcher: Fetcher, mirror_id: int) -> None:
        self._fetcher = fetcher
        self._mirror_id = mirror_id
        #: indexes that came again with the same bytes under another ETag or date
        self.same: list[TakenIndex] = []

    async def changed(self, before: TakenIndex) -> Response | None:
        """Ask whether the index taken last is still the upstream's; None when it is, else the new answer."""
        limit = SHARD_INDEX_LIMIT if before.shards is not None else REPODATA_LIMIT
        answer = await self._fetcher.get(
            before.url, max_bytes=limit, etag=before.etag, last_modified=before.last_modified
        )
        if answer.status == 200 and hashlib.sha256(answer.body).digest() == before.digest:
            self.same.append(msgspec.structs.replace(before, etag=answer.etag, last_modified=answer.last_modified))
            return None
        return None if answer.status == 304 else answer

    async def offers(self, partition: str) -> bool:
        """Say whether the source seems to have a subdir. Raises PackhouseError("upstream_failed") for a 401."""
        for name in (REPODATA, REPODATA_ZST, SHARDS):
            status = (await self._fetcher.head(f"{partition}/{name}")).status
            if status == 401:
                raise refusal(mask_url(f"{partition}/{name}"), status)
            if status not in (403, 404, 410):
                return True  # also when the server does not like HEAD: reading will tell
        return False

    async def read(
        self,
        partition: str,
        *,
        wanted: Wanted = everything,
        before: TakenIndex | None = None,
        answer: Response | None = None,
        first: bool = True,
    ) -> Source | None:
        """Return the index of a subdir, or None when the source has no such subdir.

        `answer` is what `changed` gave for `before`. With `before`, shards that are still the same are not fetched.
        `first`: no index of this subdir was taken in so far, so it may be an empty file.
        Raises PackhouseError("upstream_failed") when the source answers wrongly or not at all.
        """
        if answer is not None and before is not None and answer.status == 200:
            name = before.url.rpartition("/")[2]
            return await self._parse(partition, name, before.url, answer, wanted, before, first)
        for name in (SHARDS, REPODATA_ZST, REPODATA):
            url = f"{partition}/{name}"
            found = await self._fetcher.get(url, max_bytes=COMPRESSED_LIMIT if name != REPODATA else REPODATA_LIMIT)
            if found.status in (404, 410):
                continue
            return await self._parse(partition, name, url, found.require(), wanted, before, first)
        return None

    async def _parse(
        self,
        partition: str,
        name: str,
        url: str,
        answer: Response,
        wanted: Wanted,
        before: TakenIndex | None,
        first: bool,
    ) -> Source:
        try:
            if name == SHARDS:
                index = await asyncio.to_thread(parse_shard_index, answer.body)
                return await self._sharded(partition, url, answer, index, wanted, before)
            return await asyncio.to_thread(self._whole, partition, url, answer, first)
        except Malformed as fault:
            raise PackhouseError(
                "upstream_failed",
                f"{mask_url(answer.url)}: {fault}",
                "The channel keeps what it has; the next run tries again.",
            ) from None

    def _whole(self, partition: str, url: str, answer: Response, first: bool) -> Source:
        data = unzstd(answer.body, REPODATA_LIMIT) if url.endswith(".zst") else answer.body
        index = parse_repodata(data, may_be_empty=first)
        taken = self._taken(partition, url, answer, index.info.base_url, None)
        return _source(partition, taken, [index])

    async def _sharded(
        self, partition: str, url: str, answer: Response, index: ShardIndex, wanted: Wanted, before: TakenIndex | None
    ) -> Source:
        names = {name: digest for name, digest in index.shards.items() if wanted(name)}
        known = _shards.decode(before.shards) if before is not None and before.shards else {}
        unchanged = frozenset(name for name, digest in names.items() if known.get(name) == digest)
        base = _beside(url, index.info.shards_base_url)
        shards = await self._shards(base, dict.fromkeys(names[name] for name in names if name not in unchanged))
        unread = {name: shard for name, digest in names.items() if isinstance(shard := shards.get(digest), str)}
        kept = {name: digest for name, digest in names.items() if name not in unread}  # so the others are read again
        taken = self._taken(partition, url, answer, index.info.base_url, msgspec.msgpack.encode(kept))
        found = _source(partition, taken, [shard for shard in shards.values() if not isinstance(shard, str)])
        found.unchanged = unchanged.union(unread)
        found.unwanted = frozenset(index.shards.keys() - names.keys())
        found.faults += unread.items()
        return found

    async def _shards(self, base: str, digests: Collection[bytes]) -> dict[bytes, UpstreamIndex | str]:
        """Return the shard of each digest, or why it cannot be read though it is the one the index names."""
        found: dict[bytes, UpstreamIndex | str] = {}
        waiting, total = iter(digests), 0

        async def one(digest: bytes) -> UpstreamIndex | str:
            nonlocal total
            url = f"{base}{digest.hex()}.msgpack.zst"
            answer = (await self._fetcher.get(url, max_bytes=SHARD_LIMIT)).require()
            if hashlib.sha256(answer.body).digest() != digest:
                raise Malformed("The shard is not the one its index names.")
            try:
                shard = await asyncio.to_thread(parse_shard, answer.body)
            except Malformed as fault:
                return str(fault)
            total += sum(len(memoryview(raw)) for raw in (*shard.packages.values(), *shard.packages_conda.values()))
            if total > REPODATA_LIMIT:
                raise Malformed(f"Its shards together hold more than {REPODATA_LIMIT:,} bytes.")
            return shard

        async def some() -> None:
            for digest in waiting:
                found[digest] = await one(digest)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(digests))):
                    group.create_task(some())
        except* (PackhouseError, Malformed) as faults:
            raise _first(faults) from None
        return {digest: found[digest] for digest in digests}

    def _taken(self, partition: str, url: str, answer: Response, base: str | None, shards: bytes | None) -> TakenIndex:
        return TakenIndex(
            self._mirror_id,
            partition,
            url,
            answer.etag,
            answer.last_modified,
            hashlib.sha256(answer.body).digest(),
            _beside(url, base) if base else "",
            shards,
            0,
        )


def file_url(taken_base: str, partition: str, filename: str, source_url: str | None) -> str:
    """Return where a file is, relative to the source or absolute: its record's own url, else below the base."""
    return source_url or (taken_base or f"{partition}/") + quote(filename, safe="!+")


def _beside(url: str, base: str | None) -> str:
    """Return a base address given relative to the index (CEP 15, CEP 16), as the fetcher of the source takes it."""
    folder = url.rpartition("/")[0] + "/"
    if not base:
        return folder
    found = base if urlsplit(base).scheme or base.startswith("/") else folder + base
    return found if found.endswith("/") else found + "/"


def _source(partition: str, taken: TakenIndex, indexes: Iterable[UpstreamIndex]) -> Source:
    files: dict[str, msgspec.Raw] = {}
    signatures: dict[str, msgspec.Raw] = {}
    unsupported = 0
    faults: list[tuple[str, str]] = []
    for index in indexes:
        files.update(index.packages)
        files.update(index.packages_conda)
        signatures.update(index.signatures)
        unsupported += index.unsupported
        faults += index.faults
    counted = msgspec.structs.replace(taken, file_count=len(files))
    return Source(partition, counted, files, signatures, unsupported=unsupported, faults=faults)


def _first(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    for fault in faults.exceptions:
        return _first(fault) if isinstance(fault, BaseExceptionGroup) else fault
    return faults
