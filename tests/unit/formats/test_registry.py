"""The registry finds the format of a file, and the conda format answers for it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.formats.conda.record import canonical_json, to_msgpack
from tests.kit.condapkg import make_conda
from tests.kit.partrow import PartRow


def test_a_file_is_recognised_by_declaration_or_by_name_and_first_bytes() -> None:
    assert registry.identify("demo-1.0-0.conda").family == "conda"
    assert registry.identify("demo-1.0-0.tar.bz2", peek=b"BZh9").family == "conda"
    assert registry.identify("anything", "conda1").family == "conda"
    for filename, declared, peek in (
        ("demo.exe", None, b""),
        ("demo-1.0-py3-none-any.whl", None, b"<html>"),
        ("a.conda", None, b"<html>"),
        ("a.conda", "gra", b""),
    ):
        with pytest.raises(PackhouseError) as refused:
            registry.identify(filename, declared, peek)
        assert refused.value.code == "unsupported_type"
    with pytest.raises(PackhouseError):
        registry.get("npm")


def test_conda_answers(tmp_path: Path) -> None:
    conda = registry.get("conda")
    path = tmp_path / "x"
    path.write_bytes(make_conda("demo", "1.0", depends=["Python >=3", "python_abi", "__unix", "python <4"]))
    facts = conda.inspect(path, "demo-1.0-0.conda")
    assert conda.relations(facts) == ["__unix", "python", "python_abi"]
    assert conda.partitions(facts.coordinate) == [("noarch", "demo")]
    assert conda.coordinate("noarch", "demo-1.0-0.conda") == facts.coordinate
    assert conda.order("1.10") > conda.order("1.9")
    assert conda.matcher("demo >=1").matches("demo", "1.0", "0", 0)


def _row(filename: str, visible_at: int, signatures: str | None = None) -> PartRow:
    record = {"name": "demo", "version": "1.0", "build": "0", "build_number": 0, "depends": [], "sha256": "ab" * 32}
    return PartRow(filename, canonical_json(record), to_msgpack(record), signatures, visible_at)


def test_a_part_and_the_whole_agree_and_a_signed_record_is_untouched() -> None:
    conda = registry.get("conda")
    signature = '{"key":{"signature":"00"}}'
    rows = [
        _row("demo-1.0-0.conda", 1_700_000_000_123_456),
        _row("demo-0.9-0.tar.bz2", 1_600_000_000_000_000, signature),
        _row("demo-0.8-0.conda", 0),
    ]
    shard, fragment = conda.render_part(rows)
    assert conda.render_part(rows[::-1]) == (shard, fragment)
    whole = json.loads(b"".join(conda.assemble("noarch", [fragment, conda.render_part([])[1]])))
    part = msgspec.msgpack.decode(shard)
    assert whole["info"] == {"subdir": "noarch"} and whole["repodata_version"] == 1
    assert whole["signatures"] == {"demo-0.9-0.tar.bz2": json.loads(signature)}
    assert whole["packages.conda"]["demo-1.0-0.conda"]["indexed_timestamp"] == 1_700_000_000_123
    assert part["packages.conda"]["demo-1.0-0.conda"]["indexed_timestamp"] == 1_700_000_000_123
    for one in (whole, part):
        assert one["packages"].keys() == {"demo-0.9-0.tar.bz2"}
        assert "indexed_timestamp" not in one["packages"]["demo-0.9-0.tar.bz2"]
