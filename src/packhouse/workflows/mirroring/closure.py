"""What selected files need: the closure over their dependencies within the upstream's own indexes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.formats.base import Malformed
from packhouse.formats.conda.record import check_size
from packhouse.formats.conda.solver_types import Spec, compile_spec, dependency_name
from packhouse.security.policies.decide import Policy, decide
from packhouse.security.policies.subject import Context
from packhouse.workflows.mirroring.policy import try_subject
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
    index = _by_name(sources, searched)
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
            for file in _providers(dep, index, sources, policy):
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


def _providers(
    dep: str, index: Mapping[str, list[File]], sources: Mapping[str, Source], policy: Policy
) -> Iterator[File]:
    """Yield the files that satisfy a dependency and pass the policy."""
    files = index.get(dependency_name(dep))
    spec = _compiled(dep) if files else None
    if not files or spec is None:
        return
    for partition, filename in files:
        source = sources[partition]
        found = try_subject(partition, filename, source.files[filename], filename in source.signatures)
        if isinstance(found, str) or not spec.matches(found.name, found.version, found.build, found.build_number):
            continue
        if decide([found], Context(), policy, 0)[0] is None:
            yield partition, filename
