"""A conda channel as clients see it: `[SUB/]<subdir>/<file>` and the few files at the channel's root."""

from __future__ import annotations

import re
from typing import NamedTuple

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.serve.addresses import Target, without_label
from packhouse.doors.serve.answers import ONCE, Answer
from packhouse.doors.serve.packages import PackageFiles
from packhouse.doors.serve.sending import FRESH, Representation
from packhouse.formats.conda.documents import ROOT_DOCUMENTS, SHARDS_FOLDER
from packhouse.formats.conda.filename import KNOWN_SUBDIRS, is_conda_filename, is_subdir
from packhouse.workflows.delivering.gate import Gate
from packhouse.workflows.delivering.notices import Notices
from packhouse.workflows.indexing.reading import IndexReader

FAMILY = "conda"
IMMUTABLE = b"private, max-age=31536000, immutable"
JSON, ZSTD = b"application/json", b"application/zstd"


class Address(NamedTuple):
    """What a path below `/api/repo/` means."""

    channel: str  #: `ch` or `ch/sub`
    partition: str  #: the subdir; empty for a file at the channel's root
    file: str  #: what follows


def parse(segments: list[str]) -> Address | None:
    """Return what the decoded segments `CH[/SUB | /label/SUB][/subdir]/file…` mean, or None for no address of ours.

    Nothing inside a subdir looks like a subdir, so the last of them decides: a subchannel may be called `team-a`.
    """
    segments = without_label(segments)
    # no subdir holds files of these names, and no subchannel bears the name of a known one
    if len(segments) in (2, 3) and segments[-1] in ROOT_FILES and segments[-2] not in KNOWN_SUBDIRS:
        return Address("/".join(segments[:-1]), "", segments[-1])
    for at in (2, 1):
        if len(segments) > at + 1 and is_subdir(segments[at]):
            return Address("/".join(segments[:at]), segments[at], "/".join(segments[at + 1 :]))
    return None


_SHARD_FILE = re.compile(SHARDS_FOLDER + r"([0-9a-f]{64})\.msgpack\.zst")
NOTICES = "notices.json"
ROOT_FILES = frozenset({NOTICES, *(name for kind in ROOT_DOCUMENTS for name in kind.filenames)})


class CondaDoor:
    """Knows the answers to GET and HEAD below a conda channel."""

    identifies = True

    def __init__(self, gate: Gate, index: IndexReader, notices: Notices, packages: PackageFiles) -> None:
        self._gate, self._index, self._notices, self._packages = gate, index, notices, packages

    def parse(self, segments: list[str]) -> Address | None:
        """Return what decoded segments mean here, or None."""
        return parse(segments)

    def target(self, address: Address) -> Target:
        """Return where a file sent to an address would be put."""
        return Target(address.channel, address.partition, address.file)

    async def answer(self, principal: Principal, address: Address, accept: str, *, afresh: bool = False) -> Answer:
        """Return what the address names. With `afresh` what was prepared before is not used: its file is gone.

        Raises the refusals of the gate, and `not_found`.
        """
        if is_conda_filename(address.file):
            return await self._package(principal, address, afresh)
        channel = await self._gate.channel(principal, "channel:view-artifacts", address.channel)
        if not address.partition and address.file == NOTICES:
            return await self._notices_file(channel)
        if address.file.startswith(SHARDS_FOLDER):
            return await self._shard(channel, address)
        if afresh:
            self._index.forget(channel.id, address.partition, address.file)
        return await self._index_document(channel, address)

    async def _package(self, principal: Principal, address: Address, afresh: bool) -> Answer:
        channel = await self._gate.channel(principal, "artifact:download", address.channel)
        return await self._packages.answer(principal, channel, FAMILY, address.partition, address.file, afresh=afresh)

    async def _index_document(self, channel: Channel, address: Address) -> Answer:
        document = await self._index.document(FAMILY, channel.id, address.partition, address.file)
        if document is None:
            raise _absent(channel, address)
        what = Representation(
            etag=document.etag,
            modified_at=document.modified_at or channel.created_at,
            size=document.size,
            cache=FRESH,
            media_type=ZSTD if address.file.endswith(".zst") else JSON,
            body=None if document.path else document.body,
            path=document.path,
        )
        return Answer(what)

    async def _shard(self, channel: Channel, address: Address) -> Answer:
        match = _SHARD_FILE.fullmatch(address.file)
        digest = match[1] if match else ""
        body = await self._index.shard(channel.id, address.partition, bytes.fromhex(digest)) if digest else None
        if body is None:
            raise _absent(channel, address)
        what = Representation(
            etag=digest, modified_at=channel.created_at, size=len(body), cache=IMMUTABLE, media_type=ZSTD, body=body
        )
        return Answer(what, ONCE)

    async def _notices_file(self, channel: Channel) -> Answer:
        etag, modified_at, body = await self._notices.get(channel.id)
        what = Representation(
            etag=etag, modified_at=modified_at, size=len(body), cache=FRESH, media_type=JSON, body=body
        )
        return Answer(what, ONCE)


def _absent(channel: Channel, address: Address) -> PackhouseError:
    return PackhouseError("not_found", f"{channel.path} has no {address.partition}/{address.file[:200]}.")
