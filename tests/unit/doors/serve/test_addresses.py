"""What a path below /api/repo/ means, and which paths mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.doors.entrance import decoded_path
from packhouse.doors.serve.conda import Address, parse


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("ch/noarch/repodata.json", Address("ch", "noarch", "repodata.json")),
        ("ch/linux-64/x-1-0.conda", Address("ch", "linux-64", "x-1-0.conda")),
        ("ch/new-os9/x-1-0.conda", Address("ch", "new-os9", "x-1-0.conda")),
        ("ch/noarch/shards/ab.msgpack.zst", Address("ch", "noarch", "shards/ab.msgpack.zst")),
        ("ch/sub/noarch/repodata.json", Address("ch/sub", "noarch", "repodata.json")),
        ("ch/team-a/noarch/repodata.json", Address("ch/team-a", "noarch", "repodata.json")),
        ("ch/label/sub/noarch/repodata.json", Address("ch/sub", "noarch", "repodata.json")),
        ("ch/label/sub/notices.json", Address("ch/sub", "", "notices.json")),
        ("ch/label/sub/channeldata.json", Address("ch/sub", "", "channeldata.json")),
        ("ch/notices.json", Address("ch", "", "notices.json")),
        ("ch/noarch/channeldata.json", Address("ch", "noarch", "channeldata.json")),
        ("ch/linux-64/notices.json", Address("ch", "linux-64", "notices.json")),
        ("ch/sub/channeldata.json", Address("ch/sub", "", "channeldata.json")),
        ("ch/team-a/channeldata.json", Address("ch/team-a", "", "channeldata.json")),
    ],
)
def test_addresses(path: str, address: Address) -> None:
    assert parse(path.split("/")) == address


@pytest.mark.parametrize(
    "path", ["", "ch", "ch/", "ch/noarch", "ch/x.conda", "ch/sub/x/y.json", "ch/repodata.json", "ch/file.json/noarch"]
)
def test_no_addresses(path: str) -> None:
    assert parse(path.split("/")) is None


_SEGMENTS = st.text(st.characters(exclude_characters="/"), max_size=8)  # a path is split at every slash


@given(st.lists(_SEGMENTS | st.sampled_from(["noarch", "label", "notices.json", "linux-64"]), max_size=7))
def test_an_address_repeats_what_was_said(segments: list[str]) -> None:
    address = parse(segments)
    if address is not None:
        said = [part for part in (address.channel, address.partition, address.file) if part]
        plain = [segments[0], *segments[2:]] if len(segments) > 2 and segments[1] == "label" else segments
        assert "/".join(said) == "/".join(plain) or "" in plain
        assert address.channel.count("/") <= 1


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="%\\\0?"), max_size=30))
def test_a_plain_path_is_itself(text: str) -> None:
    path = "/" + text
    if not {".", ".."}.isdisjoint(path.split("/")):
        with pytest.raises(PackhouseError):
            decoded_path({"raw_path": path.encode()})
    else:
        assert decoded_path({"raw_path": path.encode()}) == path


@given(st.binary(max_size=40))
def test_whatever_comes_is_a_path_or_refused(raw: bytes) -> None:
    try:
        path = decoded_path({"raw_path": b"/" + raw})
    except PackhouseError as refusal:
        assert refusal.status == 400
    else:
        assert path.startswith("/") and "\0" not in path and "\\" not in path
        assert {".", ".."}.isdisjoint(path.split("/"))


@pytest.mark.parametrize(
    "raw", [b"/a%2fb", b"/a%2Fb", b"/%2e%2e/x", b"/a/..", b"/a/%2e", b"/%00", b"/%5c", b"/%ff", b"/\xff"]
)
def test_paths_with_two_meanings(raw: bytes) -> None:
    with pytest.raises(PackhouseError):
        decoded_path({"raw_path": raw})


def test_decoded_once() -> None:
    assert decoded_path({"raw_path": b"/a%2561?b=%2f"}) == "/a%61"
