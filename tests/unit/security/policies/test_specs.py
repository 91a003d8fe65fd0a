"""What a spec is told to be about by its text alone is what the format that reads it finds in it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from packhouse.security.policies.batch import File
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.needs import Needs
from packhouse.security.policies.specs import Specs, asks_versions_only
from tests.unit.security.policies.making import conda


@pytest.mark.parametrize("spec", ["x >=1", "x>=1,<2.0a0", "x 1.0", "x 1.0.*", "x=1.2|>3", "x ~=1.0.post1"])
def test_most_specs_ask_for_versions_only(spec: str) -> None:
    assert asks_versions_only(spec)


@pytest.mark.parametrize("spec", ["x>=1;y", "x >=1/", "x 1^y", "x<2é", "x=1.", "x=1._", "x>=1?"])
def test_what_conda_reads_as_a_build_is_no_part_of_the_version(spec: str) -> None:
    batch = conda(File("x", "1", "noarch", "0"), File("x", "3", "noarch", "0"))
    one_by_one = [Specs([spec]).first(batch, row) is not None for row in range(len(batch))]
    assert Specs([spec]).select(batch).tolist() == one_by_one == [False, False]


def test_a_long_row_of_conditions_is_refused_at_once() -> None:
    started = time.process_time()
    assert not asks_versions_only(f"x >=1{',1' * 24} build")
    assert time.process_time() - started < 2


def test_a_dependency_that_conda_cannot_read_is_met_by_nothing_though_another_reads_alike() -> None:
    batch = conda(File("x", "1", "noarch"), File("y", "1", "noarch"))
    demands = Demands(batch, Needs.of([["y >=1"], [f"x{' ' * 3000}>=1", "x\x1c>=1"]]))
    found = demands.met(np.arange(3), np.ones(2, np.bool_))
    assert {demands.spec(number)[:3]: met for number, met in enumerate(found.tolist())} == {
        "y >": True, "x  ": False, "x\x1c>": False,
    }  # fmt: skip
