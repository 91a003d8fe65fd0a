"""What a package says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packhouse.formats.base import Facts, Hashes, Malformed
from packhouse.formats.conda.inspect import inspect
from packhouse.formats.conda.record import make_record
from packhouse.workflows.records import record_of
from tests.kit.condapkg import make_conda, make_tarbz2


def _facts(tmp_path: Path, data: bytes, filename: str = "demo-1.0-0.conda") -> Facts:
    path = tmp_path / "blob"
    path.write_bytes(data)
    return inspect(path, filename)


@pytest.mark.parametrize(("make", "extension"), [(make_conda, "conda"), (make_tarbz2, "tar.bz2")])
def test_both_containers_say_the_same(make: type, extension: str, tmp_path: Path) -> None:
    data = make(
        "demo", "1.0", "py312_4", "linux-64", ["python >=3.12,<3.13.0a0", "numpy"],
        {"lib/python3.12/site-packages/demo.py": b"x = 1\n", "bin/demo": b"#!"},
        {
            "info/about.json": b'{"summary": "A demo", "description": "Longer", "license_family": "MIT"}',
            "info/run_exports.json": b'["demo >=1.0"]',
            "info/security.json": b'{"vulns": []}',
            "info/README.md": "# Démo".encode(),
        },
        license="MIT",
    )  # fmt: skip
    facts = _facts(tmp_path, data, f"demo-1.0-py312_4.{extension}")
    at = facts.coordinate
    assert (at.family, at.ckey, at.name, at.version) == (
        "conda",
        f"linux-64/demo-1.0-py312_4.{extension}",
        "demo",
        "1.0",
    )
    assert (at.build, at.build_number) == ("py312_4", 4)
    assert facts.depends == ["python >=3.12,<3.13.0a0", "numpy"]
    assert (facts.license, facts.license_family, facts.summary, facts.description) == ("MIT", "MIT", "A demo", "Longer")
    assert facts.run_exports == {"weak": ["demo >=1.0"]} and facts.security == {"vulns": []}
    assert (facts.file_count, facts.readme, facts.install_code) == (2, "# Démo", [])


def test_the_record_is_index_json_and_what_the_server_adds(tmp_path: Path) -> None:
    forged: dict[str, Any] = {
        "url": "https://evil.example/x",
        "size": 1,
        "sha256": "00",
        "indexed_timestamp": 1,
        "fn": "x",
        "channel": "y",
        "base_url": "https://evil.example",
    }
    facts = _facts(tmp_path, make_conda("demo", "1.0", purls=["pkg:pypi/demo"], **forged))
    record = make_record(facts, Hashes(7, "ab" * 32, "cd" * 16))
    assert record["purls"] == ["pkg:pypi/demo"] and record["timestamp"] == 1_704_067_200_000
    assert (record["size"], record["sha256"], record["md5"]) == (7, "ab" * 32, "cd" * 16)
    assert not record.keys() & {"url", "indexed_timestamp", "fn", "channel", "base_url"}


@pytest.mark.parametrize(
    ("arch", "platform", "noarch", "subdir"),
    [("x86_64", "linux", None, "linux-64"), ("x86", "win", None, "win-32"), ("arm64", "osx", None, "osx-arm64"),
     (None, None, "generic", "noarch")],
)  # fmt: skip
def test_old_packages_get_a_subdir(
    arch: str | None, platform: str | None, noarch: str | None, subdir: str, tmp_path: Path
) -> None:
    index = {"name": "demo", "version": "1.0", "build": "0", "build_number": 0, "arch": arch, "platform": platform}
    index |= {"noarch": noarch} if noarch else {}
    facts = _facts(tmp_path, make_tarbz2("demo", "1.0", info={"info/index.json": json.dumps(index).encode()}),
                   "demo-1.0-0.tar.bz2")  # fmt: skip
    assert facts.coordinate.partition == facts.record["subdir"] == subdir


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bin/.demo-post-link.sh", b"echo"),
        ("bin/.demo-pre-link.sh", b"echo"),
        ("bin/.demo-pre-unlink.sh", b"echo"),
        ("Scripts/.demo-post-link.bat", b"echo"),
        ("site-packages/evil.pth", b"import os; os.system('x')\n"),
        ("lib/python3.12/site-packages/evil.pth", b"# a comment\nimport\tos\n"),
        ("lib/python3.12/site-packages/evil.pth", b"../x\rimport os\r"),
        ("lib/python3.12/site-packages/evil.pth", b"  import os"),
        ("lib/python3.12/site-packages/huge.pth", b"#" * (2 << 20)),
        ("lib/python3.12/site-packages/evil.pth", b"\xef\xbb\xbfimport os"),
        ("lib/python3.12/site-packages/evil.pth", b"x\fimport os"),
        ("lib/python3.12/site-packages/evil.pth", "x\u2028import os".encode()),
        ("lib/python3.15/site-packages/evil.start", b"evil:main"),
        ("site-packages/sitecustomize.py", b"x"),
        ("lib/python3.12/site-packages/usercustomize.py", b"x"),
        ("lib/python3.12/sitecustomize/__init__.py", b"x"),
        ("lib/python3.12/site-packages/sitecustomize.cpython-312-x86_64-linux-gnu.so", b"x"),
    ],
)
def test_code_that_runs_at_install_or_start_is_named(name: str, text: bytes, tmp_path: Path) -> None:
    assert _facts(tmp_path, make_conda("demo", "1.0", files={name: text, "x": b""})).install_code == [name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bin/post-link.sh", b"echo"),
        ("share/.demo-post-link.sh", b"echo"),
        ("lib/python3.12/site-packages/paths.pth", b"../src\nimportlib_resources\n"),
        ("share/models/weights.pth", b"import torch"),
        ("lib/python3.12/test/test_sitecustomize.py", b"x"),
        ("share/sitecustomize.txt", b"x"),
    ],
)
def test_what_only_looks_like_it_is_not(name: str, text: bytes, tmp_path: Path) -> None:
    assert _facts(tmp_path, make_conda("demo", "1.0", files={name: text})).install_code == []


@pytest.mark.parametrize(
    ("key", "most"), [("summary", 16_384), ("license", 16_384), ("home", 16_384), ("description", 262_144)]
)
def test_what_lists_show_has_a_length(key: str, most: int, tmp_path: Path) -> None:
    def make(value: Any) -> bytes:
        return make_conda("demo", "1.0", info={"info/about.json": json.dumps({key: value}).encode()})

    assert _facts(tmp_path, make("x" * most)).about[key] == "x" * most
    for value in ("x" * (most + 1), ["x" * 1000] * (most // 1000 + 1)):
        with pytest.raises(Malformed, match=f"a {key} of .* at most {most:,} are taken"):
            _facts(tmp_path, make(value))


@pytest.mark.parametrize("wrong", [{"depends": [">>> x"]}, {"features": 7}, {"timestamp": 2**60}])
def test_a_record_clients_cannot_read_is_no_fault_of_a_mirrored_file(wrong: dict[str, Any], tmp_path: Path) -> None:
    facts = _facts(tmp_path, make_conda("demo", "1.0", **wrong))  # the upstream's record may say it right
    assert facts.fault
    with pytest.raises(Malformed, match=r"info/index\.json|match spec"):
        record_of(facts, Hashes(7, "ab" * 32, "cd" * 16))
