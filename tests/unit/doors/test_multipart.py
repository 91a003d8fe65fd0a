"""The form reader: whatever the order and the pieces, the file arrives whole, and memory stays flat."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhouse.core.blobs.spool import Spool, Spooled
from packhouse.core.errors import PackhouseError
from packhouse.doors.multipart import Form, receive_form
from tests.kit.calls import BOUNDARY, form

TYPE = f"multipart/form-data; boundary={BOUNDARY}"


async def nowhere(batch: Sequence[Spooled]) -> None:
    raise AssertionError("a form is read, not committed")


async def pieces_of(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(folder: Path, chunks: Iterable[bytes], limit: int = 1 << 30, kind: str = TYPE) -> tuple[Form, bytes]:
    async with Spool(folder).writer(nowhere) as writer:
        got = await receive_form(pieces_of(chunks), kind, writer, limit=limit)
        return got, writer.path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300),
    before=st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=8)), max_size=3),
    after=st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=8)), max_size=3),
    size=st.integers(1, 400),
)
async def test_any_order_and_any_pieces(
    tmp_path: Path, content: bytes, before: list[tuple[str, str]], after: list[tuple[str, str]], size: int
) -> None:
    parts = [(name, None, value.encode()) for name, value in before]
    parts.append(("content", "x.conda", content))  # type: ignore[arg-type]  # the one with a file name
    parts += [(name, None, value.encode()) for name, value in after]
    body = form(parts)
    got, stored = await read(tmp_path, (body[at : at + size] for at in range(0, len(body), size)))
    assert (stored, got.filename, got.has_file) == (content, "x.conda", True)
    sent = sorted([*before, *after])
    assert sorted((name, value) for name, values in got.fields.items() for value in values) == sent


@pytest.mark.parametrize("filename", ["dir/x.conda", "C:\\fakepath\\x.conda", "../../x.conda", "x.conda"])
async def test_only_the_last_segment_of_a_file_name_counts(tmp_path: Path, filename: str) -> None:
    got, _ = await read(tmp_path, [form([("content", filename, b"1")])])
    assert got.filename == "x.conda"


async def test_a_file_beyond_the_limit_is_refused_before_it_is_stored(tmp_path: Path) -> None:
    with pytest.raises(PackhouseError) as caught:
        await read(tmp_path, [form([("content", "x", b"1" * 101)])], limit=100)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary="])
async def test_a_body_without_a_boundary_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(PackhouseError) as caught:
        await read(tmp_path, [b"x"], kind=kind)
    assert caught.value.code == "bad_request"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200), at=st.integers(0, 200), cut=st.integers(0, 200))
async def test_damaged_forms_are_refused_or_read_but_never_a_fault(
    tmp_path: Path, noise: bytes, at: int, cut: int
) -> None:
    body = form([("a", None, b"1"), ("content", "x", b"0123456789"), ("b", None, b"2")])
    damaged = body[:at] + noise + body[at + cut :]
    try:
        await read(tmp_path, [damaged])
    except PackhouseError as error:
        assert error.code == "bad_request"


async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    head, tail = form([("content", "x", b"SPLIT")]).split(b"SPLIT")
    piece = bytes(64 * 1024)
    tracemalloc.start()
    async with Spool(tmp_path).writer(nowhere) as writer:
        chunks = pieces_of(chunk for part in ([head], [piece] * 800, [tail]) for chunk in part)
        await receive_form(chunks, TYPE, writer, limit=1 << 30)
        assert writer.size == 800 * len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


async def test_a_file_under_another_name_is_told_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(PackhouseError, match=r"as the field `file`\. Name the field `content`"):
        await read(tmp_path, [form([("file", "x.conda", b"\xff\xfe")])])
