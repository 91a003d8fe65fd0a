"""File names and identifiers of conda packages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.base import Malformed
from packhouse.formats.conda.filename import KNOWN_SUBDIRS, is_subdir, parse_filename


@pytest.mark.parametrize(
    ("filename", "parts"),
    [
        ("numpy-1.26.4-py312_0.conda", ("numpy", "1.26.4", "py312_0", "conda")),
        ("_libgcc_mutex-0.1-main.tar.bz2", ("_libgcc_mutex", "0.1", "main", "tar.bz2")),
        ("r-data.table-1.14.8-r43h3_0.conda", ("r-data.table", "1.14.8", "r43h3_0", "conda")),
        ("a-1!2.0+local_1-0.conda", ("a", "1!2.0+local_1", "0", "conda")),
    ],
)
def test_a_file_name_tells_its_parts(filename: str, parts: tuple[str, ...]) -> None:
    parsed = parse_filename(filename)
    assert tuple(parsed) == parts
    assert f"{parsed.stem}.{parsed.extension}" == filename


@pytest.mark.parametrize(
    "filename",
    [
        "", "demo", "demo.conda", "demo-1.0.conda", "demo-1.0-0.zip", "demo-1.0-0.CONDA", "Demo-1.0-0.conda",
        "-1.0-0.conda", "demo--0.conda", "demo-1.0-.conda", "a--b-1.0-0.conda", "__glibc-2-0.conda", "../x-1-0.conda",
        "a/b-1-0.conda", "demo-1.0-0 .conda", "demo-1,0-0.conda", "démo-1.0-0.conda", "demo-1.0-0\n.conda",
        "demo-1.0-b@d.conda", f"{'a' * 65}-1-0.conda", f"a-{'1' * 65}-0.conda", f"a-1-{'0' * 65}.conda",
        f"{'a' * 64}-{'1' * 64}-{'0' * 80}.tar.bz2", "demo-1.0-0.conda\0",
    ],
)  # fmt: skip
def test_other_names_are_refused_with_a_reason(filename: str) -> None:
    with pytest.raises(Malformed, match=r"file name|package name|version|build"):
        parse_filename(filename)


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for filename in (text, f"{text}.conda", f"{text}-1-0.tar.bz2"):
        try:
            parsed = parse_filename(filename)
        except Malformed:
            continue
        assert f"{parsed.stem}.{parsed.extension}" == filename
        assert "/" not in filename and "\0" not in filename and filename.isascii()


def test_subdirs() -> None:
    assert all(is_subdir(subdir) for subdir in KNOWN_SUBDIRS)
    assert {"noarch", "linux-64", "osx-arm64", "win-64", "zos-z"} <= KNOWN_SUBDIRS
    assert is_subdir("plan9-mips")
    assert not any(is_subdir(text) for text in ("", "linux", "Linux-64", "linux-64-x", "../x", "a-" + "b" * 32))
