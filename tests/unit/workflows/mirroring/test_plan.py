"""The plan is a pure difference: carrying it out leaves nothing to do, and touches nobody else's files."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.holdings import Known
from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.security.policies.decide import Policy
from packhouse.workflows.mirroring.closure import close
from packhouse.workflows.mirroring.intake import hash_of
from packhouse.workflows.mirroring.plan import Plan, plan
from packhouse.workflows.mirroring.policy import policy_of
from packhouse.workflows.mirroring.upstream import Source, file_url

MINE, OTHER = 1, 2


def source_of(
    records: dict[str, dict[str, Any]], partition: str = "noarch", unchanged: frozenset[str] = frozenset()
) -> Source:
    taken = TakenIndex(MINE, partition, "", None, None, b"", "", None, 0)
    files = {name: msgspec.Raw(msgspec.json.encode(record)) for name, record in records.items()}
    return Source("noarch", taken, files, {}, unchanged)


def record(name: str, version: str = "1", **more: Any) -> tuple[str, dict[str, Any]]:
    return f"{name}-{version}-0.conda", {"name": name, "version": version, "build": "0", "build_number": 0, **more}


RECORDS = st.dictionaries(
    st.sampled_from("abcdef"), st.builds(lambda size: {"size": size}, st.integers(0, 3)), max_size=6
).map(lambda found: dict(record(name, **more) for name, more in found.items()))
KNOWN = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 3), st.sampled_from([MINE, OTHER, None])), max_size=8
)


def known_of(found: dict[str, tuple[int, int | None]]) -> dict[str, Known]:
    result = {}
    for number, (name, (size, mirror)) in enumerate(found.items()):
        filename, content = record(name, size=size)
        result[filename] = Known(number, filename, name, hash_of(msgspec.json.encode(content), None), mirror, False)
    return result


def carried_out(source: Source, known: dict[str, Known], found: Plan) -> dict[str, Known]:
    """Return what is known after the plan."""
    leaving = {entry.filename for entry in (*found.gone, *found.excluded)}
    after = {name: entry for name, entry in known.items() if name not in leaving}
    for name in (*found.add, *(entry.filename for entry in found.update)):
        after[name] = Known(100, name, name.split("-")[0], hash_of(source.files[name], None), MINE, False)
    return after


@given(records=RECORDS, held=KNOWN, full=st.booleans(), drop=st.booleans())
def test_a_plan_carried_out_leaves_nothing_to_do(
    records: dict[str, Any], held: dict[str, tuple[int, int | None]], full: bool, drop: bool
) -> None:
    source, known = source_of(records), known_of(held)
    policy = policy_of(Filters(exclude_specs=["a", "b"] if drop else []))
    # a filter that changed is looked at with `full`
    after = carried_out(source, known, plan(source, known, MINE, policy, (), full=full or drop))
    again = plan(source, after, MINE, policy, (), full=full)
    assert (again.add, again.update, again.gone, again.excluded) == ([], [], [], [])
    mine = {name for name, entry in after.items() if entry.mirror_id == MINE}
    theirs = {name: entry for name, entry in after.items() if entry.mirror_id != MINE}
    assert theirs == {name: entry for name, entry in known.items() if entry.mirror_id != MINE}
    wanted = {name for name in records if not (drop and name[0] in "ab")}
    assert mine == wanted - set(theirs)


def test_what_a_person_took_out_is_not_added() -> None:
    filename, content = record("a")
    found = plan(source_of({filename: content}), {}, MINE, Policy([]), {filename})
    assert (found.add, found.kept_out) == ([], 1)


def test_names_whose_shards_are_unchanged_are_left_alone() -> None:
    known = known_of({"a": (1, MINE), "b": (1, MINE)})
    found = plan(source_of({}, unchanged=frozenset({"a"})), known, MINE, Policy([]), ())
    assert [entry.name for entry in found.gone] == ["b"]


def test_the_closure_ends_on_cycles_and_passes_over_what_nobody_offers() -> None:
    records = dict(
        [
            record("app", depends=["lib >=2", "__glibc >=2.17", "no such [spec"]),
            record("lib", "1"),
            record("lib", "2", depends=["app", "missing"]),
        ]
    )
    sources = {"noarch": source_of(records)}
    added = close(sources, {"noarch": ["app-1-0.conda"]}, ["noarch"], Policy([]))
    assert added == {"noarch": {"lib-2-0.conda"}}


def test_the_closure_does_not_parse_what_is_too_large_for_a_record() -> None:
    records = dict([record("app", depends=["lib"] * 200_000), record("lib")])
    added = close({"noarch": source_of(records)}, {"noarch": ["app-1-0.conda"]}, ["noarch"], Policy([]))
    assert added == {"noarch": set()}


def test_where_a_file_is() -> None:
    assert file_url("", "noarch", "a-1!2+x-0.conda", None) == "noarch/a-1!2+x-0.conda"
    assert file_url("https://cdn/x/", "noarch", "a-1-0.conda", None) == "https://cdn/x/a-1-0.conda"
    assert file_url("https://cdn/x/", "noarch", "a-1-0.conda", "https://far/b.conda") == "https://far/b.conda"
