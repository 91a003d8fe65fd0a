"""Who asks for what and who provides it, beside a naive reading: each file is asked about each dependency."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats import registry
from packhouse.security.policies.batch import Bools, File
from packhouse.security.policies.closure import broken, needed_by
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.needs import Needs
from tests.unit.security.policies.making import conda

FILES = st.lists(
    st.builds(
        File,
        st.sampled_from(["alfa", "beta", "gamma"]),
        st.sampled_from(["0.9", "1.0", "1.0.0", "1.10", "2.0", "zzz"]),
        st.sampled_from(["noarch", "linux-64", "win-64"]),
        st.sampled_from(["0", "py311_0", "py312_1"]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)
SPECS = [
    "alfa", "beta >=1.0", "gamma <1.10", "alfa >=1,<2", "beta 1.*", "gamma !=1.0", "beta * py311*", "alfa 2.0 py312_1",
    "conda-forge::gamma", "Beta", "alfa[build_number=1]", "alfa[subdir=linux-64]", "elsewhere >=1", "???", "gamma >9",
]  # fmt: skip
DEPENDS = st.lists(st.lists(st.sampled_from(SPECS), max_size=3), min_size=12, max_size=12)
MASK = st.lists(st.booleans(), min_size=12, max_size=12)


def provides(files: list[File], provider: int, spec: str, user: int) -> bool:
    """Say whether a file satisfies what another one asks for."""
    file, places = files[provider], (files[user].partition, "noarch")
    if files[user].partition != "noarch" and file.partition not in places:
        return False
    if spec == "???":
        return False
    found: bool = registry.get("conda").matcher(spec).matches(
        file.name, file.version, file.build, file.build_number, subdir=file.partition, license=file.license
    )  # fmt: skip
    return found


def naively_broken(files: list[File], depends: list[list[str]], before: Bools, after: Bools, kept: Bools) -> set[int]:
    """Return what can no longer be installed, found by asking everything about everything until nothing changes."""
    left, lost = after.copy(), set[int]()

    def met(spec: str, user: int, among: Bools) -> bool:
        return any(among[one] and provides(files, one, spec, user) for one in range(len(files)))

    while True:
        new = {
            user for user in range(len(files))
            if after[user] and user not in lost
            and any(met(spec, user, before) and not met(spec, user, left) for spec in depends[user])
        }  # fmt: skip
        if not new:
            return lost
        lost |= new
        left[[user for user in new if not kept[user]]] = False


def mask(values: list[bool], files: list[File]) -> Bools:
    return np.array(values[: len(files)], np.bool_)


@given(FILES, DEPENDS, MASK, MASK, MASK)
def test_what_breaks_is_what_asking_everything_finds(
    files: list[File], depends: list[list[str]], before: list[bool], hidden: list[bool], kept: list[bool]
) -> None:
    was = mask(before, files)
    will = was & ~mask(hidden, files)
    demands = Demands(conda(*files), Needs.of(depends[: len(files)]))
    rows, missing = broken(demands, was, will, mask(kept, files))
    assert set(rows.tolist()) == naively_broken(files, depends, was, will, mask(kept, files))
    assert all(spec in depends[row] for row, spec in zip(rows.tolist(), missing, strict=True))


@given(FILES, DEPENDS, MASK, MASK)
def test_what_is_needed_is_what_asking_everything_finds(
    files: list[File], depends: list[list[str]], start: list[bool], allowed: list[bool]
) -> None:
    demands = Demands(conda(*files), Needs.of(depends[: len(files)]))
    reached = {row for row in range(len(files)) if start[row]}
    while new := {
        one for user in reached for spec in depends[user] for one in range(len(files))
        if allowed[one] and provides(files, one, spec, user)
    } - reached:  # fmt: skip
        reached |= new
    found = needed_by(demands, mask(start, files), mask(allowed, files))
    assert set(np.flatnonzero(found).tolist()) == reached
