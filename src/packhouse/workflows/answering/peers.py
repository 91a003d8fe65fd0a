"""What else of a package must be looked at to explain some of its files, by rules that compare files; pure.

Most files of a package bear on none of the others. So whoever explains one of many thousands has those few judged with
it that can matter, and not all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from packhouse.catalog.policies.hidden import Standing
from packhouse.formats import registry
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.rules.age import MinimumAge
from packhouse.security.policies.rules.installable import Installable
from packhouse.security.policies.rules.latest import LatestOnly
from packhouse.security.policies.rules.legacy import LegacyTwins

#: what may hide a file that nevertheless makes older ones superseded
_LEFT = (None, LatestOnly.key, Installable.key)


class Peers:
    """The files of a package by what makes them matter to others of it.

    `exploited` are its versions with a vulnerability that is exploited: what fixes one need not wait to be old enough.
    """

    def __init__(self, family: str, policy: Policy, files: Sequence[Standing], exploited: Collection[str] = ()) -> None:
        is_legacy = registry.get(family).is_legacy
        self._ages = ages(family, files)
        self._twins: dict[tuple[str, str, str], Standing] = {}
        if policy.has(LegacyTwins):
            self._twins = {_place(one): one for one in files if not is_legacy(one.filename)}
        self._newest: dict[str, Standing] = {}
        if policy.has(LatestOnly):
            self._newest = self._newest_of(one for one in files if one.rule in _LEFT)
        self._same: dict[str, list[Standing]] = {}
        if exploited and policy.has(MinimumAge):
            self._same = self._compared(files, exploited)

    def of(self, some: Iterable[Standing]) -> list[Standing]:
        """Return the files that are to be judged with some of them; these may be among them."""
        found: dict[tuple[str, str], Standing] = {}
        for one in some:
            near = (self._twins.get(_place(one)), self._newest.get(one.partition), *self._same.get(one.version, ()))
            found.update({(peer.partition, peer.filename): peer for peer in near if peer is not None})
        return list(found.values())

    def _newest_of(self, files: Iterable[Standing]) -> dict[str, Standing]:
        """Return a file of the newest version in each partition."""
        found: dict[str, Standing] = {}
        for one in files:
            held = found.get(one.partition)
            if held is None or self._ages[held.version] < self._ages[one.version]:
                found[one.partition] = one
        return found

    def _compared(self, files: Sequence[Standing], exploited: Collection[str]) -> dict[str, list[Standing]]:
        """Return version → the files of it and of the version before, where that has something to fix."""
        of_version: defaultdict[str, list[Standing]] = defaultdict(list)
        for one in files:
            of_version[one.version].append(one)
        ordered = sorted(of_version, key=self._ages.__getitem__)
        return {
            after: [*of_version[before], *of_version[after]]
            for before, after in pairwise(ordered)
            if before in exploited
        }


def ages(family: str, files: Iterable[Standing]) -> dict[str, int]:
    """Return version → how many versions of the files are older. Versions that are equal count as one."""
    order = registry.get(family).order
    keys = {version: order(version) for version in {one.version for one in files}}
    found: dict[str, int] = {}
    last, age = None, -1
    for version in sorted(keys, key=keys.__getitem__):
        age += keys[version] != last
        found[version], last = age, keys[version]
    return found


def newest_first(family: str, files: Sequence[Standing]) -> list[Standing]:
    """Return files of a package by version and build number, newest first, then by where they are."""
    age = ages(family, files)
    of_age: defaultdict[int, list[Standing]] = defaultdict(list)
    for one in files:
        of_age[age[one.version]].append(one)
    ordered: list[Standing] = []
    for number in sorted(of_age, reverse=True):  # many short sorts: within one, no other thread has its turn
        ordered += sorted(of_age[number], key=lambda one: (-one.build_number, one.partition, one.filename))
    return ordered


def _place(one: Standing) -> tuple[str, str, str]:
    return one.partition, one.version, one.build
