"""PEP 427: the wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhouse.formats.base import Facts, Malformed
from packhouse.formats.python.filename import WheelFilename, parse_wheel_filename
from packhouse.formats.python.inspect import inspect
from tests.kit.wheels import FILENAME, make_wheel


def _inspect(folder: Path, data: bytes) -> Facts:
    path = folder / "x"
    path.write_bytes(data)
    return inspect(path, FILENAME)


class TestFileName:
    @pytest.mark.parametrize(
        ("filename", "parts"),
        [
            ("demo-1.0-py3-none-any.whl", ("demo", "1.0", "py3-none-any", 0)),
            ("My_Demo.x-1.0-2a-py2.py3-none-any.whl", ("my-demo-x", "1.0", "2a-py2.py3-none-any", 2)),
            ("torch-2.1.0+cu118-cp311-cp311-manylinux_2_17_x86_64.whl",
             ("torch", "2.1.0+cu118", "cp311-cp311-manylinux_2_17_x86_64", 0)),
            ("a-1.0.post1-py3-none-any.whl", ("a", "1.0.post1", "py3-none-any", 0)),
            ("a-1.0RC1-py3-none-any.whl", ("a", "1.0rc1", "py3-none-any", 0)),
        ],
    )  # fmt: skip
    def test_parts(self, filename: str, parts: tuple[str, str, str, int]) -> None:
        assert parse_wheel_filename(filename) == WheelFilename(*parts)

    @pytest.mark.parametrize(
        "filename",
        [
            "", ".whl", "demo.whl", "demo-1.0.whl", "demo-1.0-py3-none.whl", "demo-1.0-1-2-py3-none-any.whl",
            "demo-1.0-x-py3-none-any.whl", "-1.0-py3-none-any.whl", "demo--py3-none-any.whl", "demo-1.0-py3--any.whl",
            "de__mo-1.0-py3-none-any.whl", "demo-one-py3-none-any.whl", "demo-1.0-py3-none-a/b.whl",
            "../demo-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl.exe", "d\u00e9mo-1.0-py3-none-any.whl",
            "demo-\u0661.0-py3-none-any.whl", "demo-1.0-py3-none-any\n.whl", "demo- 1.0-py3-none-any.whl",
            "demo-1.0-99999999999999999999-py3-none-any.whl", "a" * 300 + "-1.0-py3-none-any.whl", "demo-1.0.tar.gz",
            "demo-" + "9" * 120 + "." * 30 + "-py3-none-any.whl", "demo-1.0-py3-none-any.WHL",
        ],
    )  # fmt: skip
    def test_what_is_none(self, filename: str) -> None:
        with pytest.raises(Malformed) as refused:
            parse_wheel_filename(filename)
        assert str(refused.value).isprintable()


class TestDistInfo:
    def test_a_record_and_a_wheel_file_must_be_there(self, tmp_path: Path) -> None:
        facts = _inspect(tmp_path, make_wheel({"demo/__init__.py": b"", "demo/data.txt": b"x"}))
        assert facts.fault == "" and facts.file_count == 5

    def test_a_signature_need_not_be_listed(self, tmp_path: Path) -> None:
        listed = make_wheel({"demo/__init__.py": b"", "demo/RECORD.jws": b"{}"})
        assert _inspect(tmp_path, listed).fault == ""


class TestDataFolder:
    @pytest.mark.parametrize(
        ("member", "runs"),
        [
            ("demo.pth", True),
            ("demo/demo.pth", False),
            ("demo-1.0.data/purelib/demo.pth", True),
            ("demo-1.0.data/platlib/DEMO.PTH", True),
            ("demo-1.0.data/purelib/demo/demo.pth", False),
            ("demo-1.0.data/data/lib/python3.11/site-packages/demo.pth", True),
            ("demo-1.0.data/scripts/demo.pth", False),
            ("site-packages/demo.pth", True),
        ],
    )
    def test_a_pth_with_code_runs_where_site_reads_it(self, member: str, runs: bool, tmp_path: Path) -> None:
        facts = _inspect(tmp_path, make_wheel({member: b"import os\n"}))
        assert facts.install_code == ([member] if runs else [])
        assert facts.install_bodies == ({member: "import os\n"} if runs else {})
        assert _inspect(tmp_path, make_wheel({member: b"./somewhere\n# import os\n"})).install_code == []

    @pytest.mark.parametrize(
        ("member", "runs"),
        [
            ("sitecustomize.py", True),
            ("usercustomize/__init__.py", True),
            ("sitecustomize.cpython-311-x86_64-linux-gnu.so", True),
            ("demo/sitecustomize.py", False),
            ("demo-1.0.data/purelib/usercustomize.py", True),
            ("demo-1.0.data/data/lib/python3.11/sitecustomize.py", True),
            ("demo-1.0.data/data/lib/python3.11/usercustomize/__init__.py", True),
            ("demo.start", True),
            ("sitecustomize2.py", False),
        ],
    )
    def test_modules_that_python_imports_by_itself(self, member: str, runs: bool, tmp_path: Path) -> None:
        assert _inspect(tmp_path, make_wheel({member: b""})).install_code == ([member] if runs else [])
