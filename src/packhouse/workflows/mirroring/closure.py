"""What selected files need: the closure over their dependencies within the upstream's own indexes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

import msgspec
import numpy as np

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.formats.conda.record import check_size
from packhouse.formats.conda.solver_types import Spec, compile_spec, dependency_name
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy, decide
from packhouse.workflows.mirroring.policy import batch_of
from packhouse.workflows.mirroring.upstream import Source

#: a file: partition and file name
File = tuple[str, str]


class _Depends(msgspec.Struct):
    depends: list[str] | None = None


_depends = msgspec.json.Decoder(_Depends)


def close(
    sources: Mapping[str, Source], chosen: Mapping[str, Collection[str]], searched: Collection[str], policy: Policy
) -> dict[str, set[str]]:
    """Return by partition the files to add so that the dependencies of `chosen` can be had, if upstream has them.

    Every build that satisfies a dependency is added, so that pinned environments keep solving. `searched` are the
    partitions files may be added from, `policy` what they must pass.
    """
    offers = _Offers(sources, searched, policy)
    done = {(partition, filename) for partition, names in chosen.items() for filename in names}
    added: dict[str, set[str]] = {partition: set() for partition in searched}
    queue = list(done)
    asked: set[str] = set()
    while queue:
        partition, filename = queue.pop()
        for dep in _needs(sources[partition].files[filename]):
            if dep in asked:
                continue
            asked.add(dep)
            for file in offers.satisfying(dep):
                if file not in done:
                    done.add(file)
                    added[file[0]].add(file[1])
                    queue.append(file)
    return added


def _by_name(sources: Mapping[str, Source], searched: Collection[str]) -> dict[str, list[File]]:
    found: defaultdict[str, list[File]] = defaultdict(list)
    for partition in searched:
        if partition in sources:
            for filename in sources[partition].files:
                found[filename.rsplit("-", 2)[0]].append((partition, filename))
    return found


def _needs(raw: msgspec.Raw) -> list[str]:
    try:
        check_size(raw, "The record")
        return _depends.decode(raw).depends or []
    except (Malformed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


@lru_cache(maxsize=100_000)
def _compiled(dep: str) -> Spec | None:
    try:
        return compile_spec(dep)
    except PackhouseError:
        return None


class _Offers:
    """The files of the searched partitions that pass the policy, judged name by name when they are asked for."""

    def __init__(self, sources: Mapping[str, Source], searched: Collection[str], policy: Policy) -> None:
        self._sources, self._policy = sources, policy
        self._files = _by_name(sources, searched)
        self._passing: dict[str, list[tuple[File, tuple[str, str, str, int]]]] = {}

    def satisfying(self, dep: str) -> Iterator[File]:
        """Yield the files that satisfy a dependency."""
        name = dependency_name(dep)
        spec = _compiled(dep) if name in self._files else None
        if spec is not None:
            yield from (file for file, coordinate in self._of(name) if spec.matches(*coordinate))

    def _of(self, name: str) -> list[tuple[File, tuple[str, str, str, int]]]:
        if (found := self._passing.get(name)) is None:
            found = self._passing[name] = list(self._judged(self._files[name]))
        return found

    def _judged(self, files: list[File]) -> Iterator[tuple[File, tuple[str, str, str, int]]]:
        for partition, group in groupby(files, key=itemgetter(0)):
            source = self._sources[partition]
            signed = source.signed or frozenset()
            offers = ((partition, name, source.files[name], name in signed) for _, name in group)
            filenames, batch, _ = batch_of(registry.of_partition(partition).family, offers, source.knowledge)
            for row in np.flatnonzero(decide(batch, Context(), self._policy, 0).seen).tolist():
                coordinate = batch.name[row], batch.version[row], batch.build[row], int(batch.build_number[row])
                yield (partition, filenames[row]), coordinate
