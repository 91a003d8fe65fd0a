"""Who speaks for a package is found in one look at its files, and is who the plain definitions name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats import registry
from packhouse.workflows.indexing.store import File
from packhouse.workflows.indexing.summarising import speakers

Said = list[tuple[str, int, int, int | None]]


def _files(said: Said) -> list[File]:
    return [
        File("conda", "a", "x", f"{place}", version, number, "", "", None, shown, held, place, b"", b"", None)
        for place, (version, number, shown, held) in enumerate(said)
    ]


few = st.integers(0, 2)
texts = st.sampled_from(["1.0", "1.0.0", "1.00", "2", "not a version!", "0.9", "1.0rc1"])


@given(st.lists(st.tuples(texts, few, few, st.none() | st.integers(1, 3)), min_size=1, max_size=12))
def test_of_equals_the_first_speaks(said: Said) -> None:
    files, order = _files(said), registry.get("conda").order
    found = speakers(files)
    assert found.newest is max(files, key=lambda file: (order(file.version), file.build_number, file.visible_at))
    held = [file for file in files if file.content_id]
    assert found.held is max(held, key=lambda file: file.visible_at, default=None)
    assert found.versions == {
        version: max((one for one in held if one.version == version), key=lambda one: one.visible_at).content_id
        for version in {file.version for file in held}
    }
