"""What clients read of an index: the own documents of names, and those derived from all of one revision.

An encoded document is made once per revision and process, by whoever asks first; others wait for that one. It is
never older than the catalogue was when the request came in.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.catalog.packages import summaries
from packhouse.core.clock import DAY, to_iso
from packhouse.core.db import Database
from packhouse.formats import registry
from packhouse.formats.archives.zstandard import unzstd_own
from packhouse.formats.base import Index, IndexDocument
from packhouse.workflows.indexing import documents, store
from packhouse.workflows.indexing.documents import Document, Documents, Key
from packhouse.workflows.indexing.view import PartitionView, Views

#: superseded shards stay readable this long, since clients cache the shard index
SHARD_GRACE = DAY
#: a name whose records are larger than this as JSON is no package any more
MOST_FRAGMENT_BYTES = 2**31
#: the place of the documents that are about all partitions
ROOT = ""

#: what is made once for all who ask at the same time: (channel, partition, kind)
Making = tuple[int, str, IndexDocument]


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
        self._own = Documents(folder)  # by content, so that channels which show the same share them
        self._making: dict[Making, asyncio.Task[dict[str, Document]]] = {}
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

    async def document(self, family: str, channel_id: int, partition: str, name: str) -> Document | None:
        """Return one of the documents that a family has of a partition, or of `ROOT`, by its file name.

        None when there is no document of that name, or the partition shows nothing.
        """
        format = registry.get(family)
        kinds = format.documents if partition != ROOT else format.root_documents
        kind = next((one for one in kinds if name in one.filenames), None)
        if kind is None:
            return None
        view = await self._view(channel_id, await self.head(channel_id), partition, partition in format.born_with)
        if view is None:
            return None
        known = self._documents.find((channel_id, partition, name))
        if known is not None and _shows(known, view.changed_at, self._stamp_for(kind, channel_id)):
            return known
        return await self._made(family, (channel_id, partition, name), kind, view)

    async def _view(self, channel_id: int, number: int, partition: str, born: bool) -> PartitionView | None:
        if partition == ROOT:  # about every partition, so each revision changes it
            return PartitionView(number, await store.committed_at(self._db, channel_id, number) or 0, {})
        view = await self._views.partition(channel_id, number, partition)
        if born:
            return view or PartitionView(0, 0, {})
        return view if view and view.shards else None

    def forget(self, channel_id: int, partition: str, name: str) -> None:
        """Drop a document whose file is gone, so that the next one who asks makes it again."""
        self._documents.drop((channel_id, partition, name))

    def _stamp_for(self, kind: IndexDocument, channel_id: int) -> int:
        """Return a number that grows whenever what a document shows besides the revision may be another."""
        if "facts" in kind.needs:  # they change without a revision when bytes come or go
            return self._resets + self._entries_changed[channel_id]
        return self._resets + self._packages_changed[channel_id] if "overviews" in kind.needs else 0

    async def shard(self, channel_id: int, partition: str, sha256: bytes) -> bytes | None:
        """Return a shard this channel shows now or showed within the last day."""
        since = await self._db.now() - SHARD_GRACE
        return await store.shard(self._db, channel_id, partition, sha256, since)

    async def own_document(
        self, family: str, channel_id: int, partition: str, name: str, media_type: str
    ) -> Document | None:
        """Return the own document of a name in one of the family's `forms`; None when nothing of the name is shown."""
        view = await self._view(channel_id, await self.head(channel_id), partition, born=True)
        digest = view.shards.get(name) if view else None
        if view is None or digest is None:
            return None
        modified_at, key = view.modified_at, (0, digest.hex(), media_type)
        known = self._own.find(key)
        if known is None:
            stored = await self.shard(channel_id, partition, digest)
            if stored is None:  # it was superseded more than a day ago, while this process stood still
                return None
            show = registry.get(family).forms[media_type]
            body = await asyncio.to_thread(lambda: show(unzstd_own(stored, MOST_FRAGMENT_BYTES)))
            known, _ = documents.small(0, modified_at, body)
            self._own.keep(key, known)
        return known._replace(modified_at=modified_at)

    async def partitions(self, channel_id: int) -> set[str]:
        """Return the partitions that show anything now."""
        return await store.partitions_at(self._db, channel_id, await self.head(channel_id))

    async def _made(self, family: str, key: Key, kind: IndexDocument, view: PartitionView) -> Document:
        """Make a document, or wait for the one being made; one that turns out older than `view` is made again."""
        channel_id, partition, name = key
        # As of the request: both go on growing while we wait, and a busy channel would be chased for ever.
        wanted, stamp = view.changed_at, self._stamp_for(kind, channel_id)
        making = (channel_id, partition, kind)
        while True:
            task = self._making.get(making)
            if task is None or task.done():  # one that is done but not yet taken away would be awaited without a pause
                task = self._making[making] = asyncio.create_task(self._make(family, channel_id, partition, kind, view))
                task.add_done_callback(partial(self._take_away, making))
            document = (await asyncio.shield(task))[name]
            if _shows(document, wanted, stamp):
                return document

    def _take_away(self, making: Making, task: asyncio.Task[dict[str, Document]]) -> None:
        if self._making.get(making) is task:  # and not one begun since
            del self._making[making]

    async def _make(
        self, family: str, channel_id: int, partition: str, kind: IndexDocument, view: PartitionView
    ) -> dict[str, Document]:
        revision, modified_at = view.changed_at, view.modified_at  # as they are before anything is awaited
        stamp = self._stamp_for(kind, channel_id)
        names = sorted(view.shards.items()) if "names" in kind.needs else ()
        index = Index(partition, to_iso(modified_at) or "", names)
        if "fragments" in kind.needs:
            index = index._replace(
                fragments=_Opened(await store.fragments_at(self._db, channel_id, partition, revision))
            )
        if "facts" in kind.needs:
            index = index._replace(facts=await store.facts_of_partition(self._db, channel_id, partition))
        if "overviews" in kind.needs:
            rows = await summaries.overviews(self._db, channel_id, family)
            index = index._replace(overviews=[(row[0], row[1], row[2]) for row in rows])
        folder = self._documents.folder()
        made = await asyncio.to_thread(documents.encode, folder, revision, modified_at, kind, index)
        made = {file: document._replace(stamp=stamp) for file, document in made.items()}
        for file, document in made.items():
            self._documents.keep((channel_id, partition, file), document)
        return made


def _shows(document: Document, revision: int, stamp: int) -> bool:
    return document.revision >= revision and document.stamp >= stamp
