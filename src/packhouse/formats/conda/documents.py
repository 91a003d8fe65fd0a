"""The documents of a conda channel besides its shards: what clients of any age look for, by file name.

Source: CEP 16 (shard index), CEP 36 (repodata), CEP 12 (run exports), CEP 38 (channeldata).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packhouse.formats.base import Index, IndexDocument
from packhouse.formats.conda import channeldata
from packhouse.formats.conda.derived import current_repodata, run_exports
from packhouse.formats.conda.repodata import assemble
from packhouse.formats.conda.shards import render_shard_index

#: where shards lie, relative to their index: so a token in the path stays there
SHARDS_FOLDER = "shards/"
#: between the three fragments of a part; JSON never holds a NUL byte
SEPARATOR = b"\0"
JSON_TYPE = "application/json"


def _shard_index(index: Index) -> Iterable[bytes]:
    return [render_shard_index(index.partition, index.created_at, index.names, SHARDS_FOLDER)]


def repodata(partition: str, fragments: Iterable[bytes]) -> Iterator[bytes]:
    """Yield repodata.json of a subdir in pieces. `fragments`, those of `render_part`, must start anew each time."""
    return assemble(partition, _Split(fragments), (one.split(SEPARATOR)[2] for one in fragments))


class _Split:
    """The first two parts of every fragment, as often as they are asked for."""

    def __init__(self, fragments: Iterable[bytes]) -> None:
        self._fragments = fragments

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for fragment in self._fragments:
            packages, conda, _ = fragment.split(SEPARATOR)
            yield packages, conda


def _repodata(index: Index) -> Iterable[bytes]:
    return repodata(index.partition, index.fragments)


def _current(index: Index) -> Iterable[bytes]:
    return [current_repodata(index.partition, index.fragments)]


def _run_exports(index: Index) -> Iterable[bytes]:
    return [run_exports(index.partition, index.fragments, index.facts)]


def _channeldata(index: Index) -> Iterable[bytes]:
    subdirs = {subdir for _, _, partitions in index.overviews for subdir in partitions.split()}
    return [channeldata.assemble(((name, overview) for name, overview, _ in index.overviews), subdirs)]


_OF_FRAGMENTS = frozenset({"fragments"})
#: those of a subdir
DOCUMENTS = (
    IndexDocument(None, "repodata_shards.msgpack.zst", "application/msgpack", _shard_index, frozenset({"names"}), True),
    IndexDocument("repodata.json", "repodata.json.zst", JSON_TYPE, _repodata, _OF_FRAGMENTS),
    IndexDocument("current_repodata.json", "current_repodata.json.zst", JSON_TYPE, _current, _OF_FRAGMENTS),
    IndexDocument(
        "run_exports.json", "run_exports.json.zst", JSON_TYPE, _run_exports, _OF_FRAGMENTS | {"facts"}, small=True
    ),
)
#: those at the channel's root
ROOT_DOCUMENTS = (IndexDocument("channeldata.json", None, JSON_TYPE, _channeldata, frozenset({"overviews"})),)
