"""Where the versions stand that a spec allows is where asking each of them finds them, in every family."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry

VERSIONS = {
    "conda": [
        "0.9", "1", "1.0", "1.0.0", "1.0a0", "1.0rc1", "1.0.post1", "1.0.dev1", "1.0+local", "1.0_2", "1.0.1", "1.1",
        "1.10", "2", "2.0a0", "2.0.1", "10", "1!0.1", "not a version", "zzz", "2022.1", "1.0.0.0.1", "5.0*",
    ],
    "python": [
        "0.9", "1", "1.0", "1.0.0", "1.0a0", "1.0rc1", "1.0.post1", "1.0.dev1", "1.0+local", "1.0+zz.1", "1.0.1",
        "1.0.post1.dev2", "1.1", "1.10", "2", "2.0a0", "2.0.dev0", "2.0.1", "10", "1!0.1", "not a version", "zzz",
    ],
}  # fmt: skip
SIGNS = [">=", "<=", ">", "<", "==", "!=", "~="]


def specs(family: str) -> st.SearchStrategy[str]:
    """Draw conditions on the version, a few of them joined by commas."""
    good = [version for version in VERSIONS[family] if version[0].isdigit() and "*" not in version]
    one = st.builds("{}{}".format, st.sampled_from(SIGNS), st.sampled_from([*good, "1.*", "1.0.*"]))
    return st.lists(one, max_size=3).map(",".join)


@pytest.mark.parametrize("family", ["conda", "python"])
@given(data=st.data())
def test_a_span_is_what_each_version_says(family: str, data: st.DataObject) -> None:
    format = registry.get(family)
    versions = data.draw(st.lists(st.sampled_from(VERSIONS[family]), unique=True))
    rest = data.draw(specs(family).filter(lambda rest: _compiles(family, rest)))
    ordered = sorted(versions, key=format.order)
    matcher = format.matcher(f"x {rest}".strip())
    span = matcher.span([format.order(version) for version in ordered])
    if span is not None:
        first, end = span
        assert 0 <= first <= end <= len(ordered)
        assert ordered[first:end] == [version for version in ordered if matcher.matches_version(version)]


def _compiles(family: str, rest: str) -> bool:
    try:
        registry.get(family).matcher(f"x {rest}".strip())
    except PackhouseError:  # of what is no spec nothing is asked
        return False
    return True


@pytest.mark.parametrize(
    ("family", "rest", "versions"),
    [
        ("conda", "", ["zzz", "1", "2"]),
        ("conda", ">=1.0,<2.0a0", ["1.0.0", "1.9"]),
        ("conda", "1.0", ["1", "1.0"]),
        ("python", ">=1.0,<2", ["1.0", "1.5"]),
        ("python", "==1.0", ["1.0", "1.0+local"]),
    ],
)
def test_most_dependencies_are_found_without_asking_each_version(family: str, rest: str, versions: list[str]) -> None:
    format = registry.get(family)
    keys = [format.order(version) for version in versions]
    assert format.matcher(f"x {rest}".strip()).span(keys) == (0, len(versions))


def test_versions_that_differ_though_they_have_one_place_in_the_order_are_not_taken_for_each_other() -> None:
    matcher = registry.get("conda").matcher("x ==1_")
    assert [version for version in ("1_", "1-") if matcher.matches_version(version)] == ["1_"]
    assert matcher.span([registry.get("conda").order(version) for version in ("1_", "1-")]) is None
