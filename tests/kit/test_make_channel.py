"""The benches' synthetic channel: exact, repeatable, and one that a real solver can use."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rattler.package import IndexJson

from bench.make_channel import make_channel
from tests.kit.rattler_client import solve_and_install


def records(channel: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in channel.glob("*/repodata.json"):
        index = json.loads(path.read_bytes())
        for filename, record in (index["packages"] | index["packages.conda"]).items():
            found[f"{path.parent.name}/{filename}"] = record
    return found


@pytest.mark.parametrize("count", [36, 37, 1000, 5000])
def test_exactly_as_many_records_as_asked_for(tmp_path: Path, count: int) -> None:
    make_channel(tmp_path, count)
    assert len(records(tmp_path)) == count


def test_too_few_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 36"):
        make_channel(tmp_path, 35)


def test_equal_arguments_make_equal_bytes(tmp_path: Path) -> None:
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        make_channel(tmp_path / name, 500, seed=seed)
    texts = {name: (tmp_path / name / "noarch/repodata.json.zst").read_bytes() for name in "abc"}
    assert texts["a"] == texts["b"] != texts["c"]


def test_few_names_have_many_records(tmp_path: Path) -> None:
    make_channel(tmp_path, 20_000)
    counts = sorted(Counter(record["name"] for record in records(tmp_path).values()).values(), reverse=True)
    assert sum(counts[: len(counts) // 10]) > 20_000 * 0.3
    assert counts[len(counts) // 2] < 30


def test_the_newest_of_every_name_can_be_solved(tmp_path: Path) -> None:
    make_channel(tmp_path / "channel", 2000)
    names = sorted({key["name"] for key in records(tmp_path / "channel").values()})
    for some in (names[:20], names[-20:]):
        result = solve_and_install((tmp_path / "channel").as_uri(), some, None, cache_dir=tmp_path / "cache")
        assert result.ok, result.error


def test_files_are_real_and_agree_with_the_index(tmp_path: Path) -> None:
    make_channel(tmp_path, 200, files=True)
    for key, record in records(tmp_path).items():
        data = (tmp_path / key).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (record["size"], record["sha256"])
        assert IndexJson.from_package_archive(tmp_path / key).name.normalized == record["name"]
