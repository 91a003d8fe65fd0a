"""What clients read of an index: shard indexes, shards, and the documents derived from one revision.

An encoded document is made once per revision and process, by whoever asks first; others wait for that one. It is
never older than the catalogue was when the request came in.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.catalog.packages import summaries
from packhouse.core.clock import DAY, to_iso
from packhouse.core.db import Database
from packhouse.formats import registry
from packhouse.formats.archives.zstandard import unzstd_own, zstd3
from packhouse.formats.conda import channeldata
from packhouse.formats.conda.derived import current_repodata, run_exports
from packhouse.formats.conda.shards import render_shard_index
from packhouse.workflows.indexing import documents, store
from packhouse.workflows.indexing.documents import Document, Documents, Key
from packhouse.workflows.indexing.view import PartitionView, Views

#: superseded shards stay readable this long, since clients cache the shard index
SHARD_GRACE = DAY
#: a name whose records are larger than this as JSON is no package any more
MOST_FRAGMENT_BYTES = 2**31
#: the partition every conda channel has from birth
NOARCH = "noarch"
#: the place of the documents that are about all partitions
ROOT = ""
#: where shards lie, relative to their index: so a token in the path stays there
SHARDS_FOLDER = "shards/"


class _Opened:
    """Fragments, decompressed each time they are gone through: a second pass is cheaper than keeping them open."""

    def __init__(self, fragments: Sequence[bytes]) -> None:
        self._fragments = fragments

    def __iter__(self) -> Iterator[bytes]:
        return (unzstd_own(one, MOST_FRAGMENT_BYTES) for one in self._fragments)


class IndexReader:
    """Serves the published index of every channel for one process."""

    def __init__(self, db: Database, feed: ChangeFeed, folder: Path) -> None:
        self._db, self._feed = db, feed
        self._heads: dict[int, int] = {}
        self._told: Counter[int] = Counter()  # how often a channel's head was said to be another
        self._entries_changed: Counter[int] = Counter()
        self._packages_changed: Counter[int] = Counter()
        self._resets = 0
        self._views = Views(db)
        self._documents = Documents(folder)
        self._making: dict[tuple[int, str, Maker], asyncio.Task[dict[str, Document]]] = {}
        feed.listen(self._changed, self._reset)

    def _changed(self, change: Change) -> None:
        if change.channel_id is None:
            return
        if change.kind == "index":
            self.published(change.channel_id)
        elif change.kind == "entry":
            self._entries_changed[change.channel_id] += 1
        elif change.kind == "package":
            self._packages_changed[change.channel_id] += 1

    def _reset(self) -> None:
        self._resets += 1
        self._heads = {}  # another object: whoever is asking for a head now must not keep it
        self._views.forget()

    def published(self, channel_id: int) -> None:
        """Forget the head of a channel: what is served from now on must show the revision just published."""
        self._told[channel_id] += 1
        self._heads.pop(channel_id, None)
        self._feed.doubt()

    async def head(self, channel_id: int) -> int:
        """Return the latest revision, from memory while that is fresh."""
        if self._feed.fresh and (known := self._heads.get(channel_id)) is not None:
            return known
        heads, told = self._heads, self._told[channel_id]
        number = await store.head_of(self._db, channel_id)
        if told == self._told[channel_id]:  # nothing was published while the database was asked
            heads[channel_id] = number
        return number

    async def document(self, channel_id: int, partition: str, name: str) -> Document | None:
        """Return one of the documents of a partition (`DOCUMENTS`) or of `ROOT` (`ROOT_DOCUMENTS`).

        None when there is no document of that name, or the partition shows nothing.
        """
        view = None
        if name in (DOCUMENTS if partition != ROOT else ROOT_DOCUMENTS):
            view = await self._view(channel_id, await self.head(channel_id), partition)
        if view is None:
            return None
        known = self._documents.find((channel_id, partition, name))
        if known is not None and _shows(known, view.changed_at, self._stamp_for(name, channel_id)):
            return known
        return await self._made((channel_id, partition, name), view)

    async def _view(self, channel_id: int, number: int, partition: str) -> PartitionView | None:
        if partition == ROOT:  # about every partition, so each revision changes it
            return PartitionView(number, await store.committed_at(self._db, channel_id, number) or 0, {})
        view = await self._views.partition(channel_id, number, partition)
        if partition == NOARCH:
            return view or PartitionView(0, 0, {})
        return view if view and view.shards else None

    def forget(self, channel_id: int, partition: str, name: str) -> None:
        """Drop a document whose file is gone, so that the next one who asks makes it again."""
        self._documents.drop((channel_id, partition, name))

    def _stamp_for(self, name: str, channel_id: int) -> int:
        """Return a number that grows whenever what a document shows besides the revision may be another."""
        if name in _OF_BYTES:
            return self._resets + self._entries_changed[channel_id]
        return self._resets + self._packages_changed[channel_id] if name in ROOT_DOCUMENTS else 0

    async def shard(self, channel_id: int, partition: str, sha256: bytes) -> bytes | None:
        """Return a shard this channel shows now or showed within the last day."""
        since = await self._db.now() - SHARD_GRACE
        return await store.shard(self._db, channel_id, partition, sha256, since)

    async def partitions(self, channel_id: int) -> set[str]:
        """Return the partitions that show anything now."""
        return await store.partitions_at(self._db, channel_id, await self.head(channel_id))

    async def _made(self, key: Key, view: PartitionView) -> Document:
        """Make a document, or wait for the one being made; one that turns out older than `view` is made again."""
        channel_id, partition, name = key
        # As of the request: both go on growing while we wait, and a busy channel would be chased for ever.
        wanted, stamp = view.changed_at, self._stamp_for(name, channel_id)
        making = (channel_id, partition, _MAKERS[name])
        while True:
            task = self._making.get(making)
            if task is None:
                task = self._making[making] = asyncio.create_task(self._make(channel_id, partition, name, view))
                task.add_done_callback(lambda _: self._making.pop(making, None))
            document = (await asyncio.shield(task))[name]
            if _shows(document, wanted, stamp):
                return document

    async def _make(self, channel_id: int, partition: str, name: str, view: PartitionView) -> dict[str, Document]:
        made = await _MAKERS[name](self, channel_id, partition, view)
        for kind, document in made.items():
            self._documents.keep((channel_id, partition, kind), document)
        return made

    async def _shard_index(self, channel_id: int, partition: str, view: PartitionView) -> dict[str, Document]:
        created_at = to_iso(view.modified_at) or ""
        revision, modified_at = view.changed_at, view.modified_at
        canonical = render_shard_index(partition, created_at, sorted(view.shards.items()), SHARDS_FOLDER)
        document = documents.in_memory(revision, modified_at, zstd3(canonical), canonical)
        return {"repodata_shards.msgpack.zst": document}

    async def _repodata(self, channel_id: int, partition: str, view: PartitionView) -> dict[str, Document]:
        revision, modified_at = view.changed_at, view.modified_at
        fragments = await store.fragments_at(self._db, channel_id, partition, revision)
        folder = self._documents.folder()
        pieces = registry.get("conda").assemble(partition, _Opened(fragments))
        plain, packed = await asyncio.to_thread(documents.write, folder, revision, modified_at, pieces)
        return {"repodata.json": plain, "repodata.json.zst": packed}

    async def _current(self, channel_id: int, partition: str, view: PartitionView) -> dict[str, Document]:
        revision, modified_at = view.changed_at, view.modified_at
        fragments = await store.fragments_at(self._db, channel_id, partition, revision)
        folder = self._documents.folder()

        def body() -> tuple[Document, Document]:
            text = current_repodata(partition, _Opened(fragments))
            return documents.write(folder, revision, modified_at, [text])

        plain, packed = await asyncio.to_thread(body)
        return {"current_repodata.json": plain, "current_repodata.json.zst": packed}

    async def _run_exports(self, channel_id: int, partition: str, view: PartitionView) -> dict[str, Document]:
        revision, modified_at = view.changed_at, view.modified_at
        stamp = self._stamp_for("run_exports.json", channel_id)
        fragments = await store.fragments_at(self._db, channel_id, partition, revision)
        facts = await store.facts_of_partition(self._db, channel_id, partition)
        body = await asyncio.to_thread(run_exports, partition, _Opened(fragments), facts)
        plain, packed = documents.small(revision, modified_at, body)
        return {
            "run_exports.json": plain._replace(stamp=stamp),
            "run_exports.json.zst": packed._replace(stamp=stamp),
        }

    async def _channeldata(self, channel_id: int, partition: str, view: PartitionView) -> dict[str, Document]:
        revision, modified_at = view.changed_at, view.modified_at
        stamp = self._stamp_for("channeldata.json", channel_id)
        rows = await summaries.overviews(self._db, channel_id, "conda")
        folder = self._documents.folder()

        def body() -> Document:
            subdirs = {subdir for _, _, platforms in rows for subdir in platforms.split()}
            text = channeldata.assemble(((name, overview) for name, overview, _ in rows), subdirs)
            return documents.write_plain(folder, revision, modified_at, text)

        return {"channeldata.json": (await asyncio.to_thread(body))._replace(stamp=stamp)}


def _shows(document: Document, revision: int, stamp: int) -> bool:
    return document.revision >= revision and document.stamp >= stamp


Maker = Callable[[IndexReader, int, str, PartitionView], Awaitable[dict[str, Document]]]

#: file name below a subdir → what makes it (and its twins)
DOCUMENTS: dict[str, Maker] = {
    "repodata_shards.msgpack.zst": IndexReader._shard_index,
    "repodata.json": IndexReader._repodata,
    "repodata.json.zst": IndexReader._repodata,
    "current_repodata.json": IndexReader._current,
    "current_repodata.json.zst": IndexReader._current,
    "run_exports.json": IndexReader._run_exports,
    "run_exports.json.zst": IndexReader._run_exports,
}
#: the same for what lies at the channel's root
ROOT_DOCUMENTS: dict[str, Maker] = {"channeldata.json": IndexReader._channeldata}
_MAKERS = DOCUMENTS | ROOT_DOCUMENTS
#: documents that change without a revision when bytes come or go
_OF_BYTES = frozenset({"run_exports.json", "run_exports.json.zst"})
