"""Streams are cut into lines and records at the same places, whatever pieces they come in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.archives.members import lines
from packhouse.security.vulnerabilities.feeds.elements import Elements

_VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='{}[]",:\\é x', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='ab"\\{[', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)
_OBJECTS = st.lists(st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3), max_size=5)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(data=st.text(alphabet="ab\r\n", max_size=80), size=st.integers(1, 30), most=st.integers(1, 20))
def test_lines(data: str, size: int, most: int) -> None:
    given = data.encode()
    wanted = [line if len(line) <= most else None for line in given.split(b"\n")]
    if not given.endswith(b"\n") or not given:
        wanted = wanted if given else []
    else:
        wanted.pop()
    stripped = [line.removesuffix(b"\r") if line is not None else None for line in wanted]
    assert list(lines(pieces(given, size), most)) == list(enumerate(stripped, 1))


@given(
    objects=_OBJECTS, beside=_VALUES, size=st.integers(1, 40), indent=st.sampled_from((None, 1)), wrapped=st.booleans()
)
def test_records(objects: list[Any], beside: Any, size: int, indent: int | None, wrapped: bool) -> None:
    document = {"before": beside, "list": objects, "after": beside} if wrapped else objects
    elements = Elements(pieces(json.dumps(document, indent=indent).encode(), size), frozenset((b"list",)))
    found = [(number, json.loads(data or b"null")) for number, data in elements]
    assert found == list(enumerate(objects, 1))
    assert elements.found
