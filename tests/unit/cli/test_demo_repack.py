"""The demo's channel: real packages from what is installed, said to conda as their authors said it to pip."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import rattler
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from rattler.package import IndexJson, NoArchType, PathsJson
from rattler.package.build_string import BuildString

from packhouse.cli.demo.channel import build_upstream
from packhouse.cli.demo.condafile import CondaPackage, Member, write_package
from packhouse.cli.demo.repack import Distribution, host_subdir, installed, repack
from packhouse.cli.demo.requirements import constraint, depends, holds
from packhouse.formats.conda.inspect import inspect
from tests.kit.rattler_client import solve_and_install

METADATA = """Metadata-Version: 2.4
Name: Tea_Pot
Version: 1.2
License-Expression: MIT
Requires-Python: >=3.9
Project-URL: Source, https://example.test/src
Requires-Dist: Leaf.Tea>=2,<3
Requires-Dist: kettle; sys_platform == "win32"
Requires-Dist: sugar; extra == "sweet"
"""
FILES = {
    "tea_pot/__init__.py": b"def pour(): print('tea')\n",
    "tea_pot/__pycache__/stale.pyc": b"",
    "tea_pot-1.2.dist-info/METADATA": METADATA.encode(),
    "tea_pot-1.2.dist-info/entry_points.txt": b"[console_scripts]\npour = tea_pot:pour\n",
    "tea_pot-1.2.dist-info/direct_url.json": b'{"url": "file:///home/me/tea"}',
    "tea_pot-1.2.dist-info/licenses/LICENSE": b"MIT text\n",
}


def distribution(tag: str) -> Distribution:
    wheel = {"tea_pot-1.2.dist-info/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n".encode()}
    return Distribution("tea_pot-1.2.dist-info", FILES | wheel, 1_700_000_000)


releases = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
clauses = st.one_of(
    st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), releases).map("".join),
    st.tuples(st.sampled_from(["==", "!="]), releases).map(lambda pair: "".join(pair) + ".*"),
    releases.filter(lambda release: "." in release).map("~={}".format),
)


class TestVersionSpecifiers:
    """PEP 440 specifiers mean the same after translation, judged by pip's library and conda's."""

    @given(st.lists(clauses, min_size=1, max_size=3), releases)
    def test_same_answer_as_pip(self, parts: list[str], version: str) -> None:
        text = ",".join(parts)
        spec = rattler.MatchSpec(f"x {constraint(text)}")
        record = rattler.PackageRecord("x", version, BuildString("0"), 0, "noarch")
        assert spec.matches(record) is SpecifierSet(text).contains(version)


comparisons = st.one_of(
    st.tuples(
        st.sampled_from(["python_version", "python_full_version"]),
        st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]),
        st.sampled_from(["'3.9'", "'3.10'", "'3.11'", "'3.12'", "'4'"]),
    ).map(" ".join),
    st.sampled_from(["sys_platform == 'win32'", "os_name != 'nt'", "'linux' in sys_platform", "extra == 'x'"]),
    st.sampled_from(["platform_system not in 'Windows Java'", "'CPython' == platform_python_implementation"]),
)
markers = st.recursive(
    comparisons,
    lambda inner: st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join) | inner.map("({})".format),
    max_leaves=5,
)


class TestMarkers:
    """PEP 508 environment markers."""

    @given(markers)
    def test_same_answer_as_pip(self, marker: str) -> None:
        assert holds(marker) is Marker(marker).evaluate({"extra": ""})

    @pytest.mark.parametrize("marker", ["", "python_version", "os_name ==", "(os_name == 'a'", "a == 'b'", "x; rm -rf"])
    def test_nonsense_is_refused(self, marker: str) -> None:
        with pytest.raises(ValueError, match="not a marker"):
            holds(marker)

    def test_requirements_keep_names_and_drop_what_does_not_apply(self) -> None:
        lines = ["Leaf_Tea[hot]>=2,<3", "milk (>=1) ; python_version >= '3'", "kettle; sys_platform == 'win32'"]
        assert depends(lines) == ["leaf-tea >=2,<3", "milk >=1"]

    @pytest.mark.parametrize("line", ["x @ https://example.test/x.whl", "x >>1", "-r other.txt"])
    def test_what_conda_cannot_say_is_refused(self, line: str) -> None:
        with pytest.raises(ValueError, match=r"not a (requirement|version clause)"):
            depends([line])


class TestRepack:
    def test_pure_python_is_noarch_with_entry_points(self) -> None:
        package = repack(distribution("py3-none-any"))
        assert (package.index["name"], package.index["version"]) == ("tea-pot", "1.2")
        assert package.index["depends"] == ["python >=3.9", "leaf-tea >=2,<3"]
        assert (package.index["subdir"], package.index["noarch"]) == ("noarch", "python")
        assert package.link is not None
        assert package.link["noarch"] == {"type": "python", "entry_points": ["pour = tea_pot:pour"]}
        assert package.about["dev_url"] == "https://example.test/src"

    def test_compiled_code_is_bound_to_this_machine_and_python(self) -> None:
        package = repack(distribution("cp311-cp311-manylinux_2_17_x86_64"))
        minor = sys.version_info.minor
        assert package.index["subdir"] == host_subdir()
        assert f"python_abi 3.{minor}.* *_cp3{minor}" in package.index["depends"]
        assert package.link is None
        command = next(member for member in package.members if member.path == "bin/pour")
        assert command.executable
        assert command.describe()["file_mode"] == "text"

    def test_traces_of_the_installation_here_stay_out(self) -> None:
        package = repack(distribution("py3-none-any"))
        assert [member.path for member in package.members] == [
            "site-packages/tea_pot-1.2.dist-info/INSTALLER",
            "site-packages/tea_pot-1.2.dist-info/METADATA",
            "site-packages/tea_pot-1.2.dist-info/WHEEL",
            "site-packages/tea_pot-1.2.dist-info/entry_points.txt",
            "site-packages/tea_pot-1.2.dist-info/licenses/LICENSE",
            "site-packages/tea_pot/__init__.py",
        ]

    def test_equal_files_make_equal_packages(self) -> None:
        first, second = repack(distribution("py3-none-any")), repack(distribution("py3-none-any"))
        assert first.stem == second.stem
        assert first.encode() == second.encode()

    def test_editable_and_missing_distributions_are_left_out(self) -> None:
        names = [found.dist_info.split("-")[0] for found in installed(["packhouse", "no-such-thing", "rich"])]
        assert "rich" in names
        assert "markdown_it_py" in names
        # the test command installs this project either way
        editable = '"editable": true' in (metadata.distribution("packhouse").read_text("direct_url.json") or "")
        assert ("packhouse" not in names) is editable


class TestCondaFile:
    """What py-rattler, a reader we did not write, finds in a file we wrote."""

    def test_a_reader_finds_index_and_paths(self, tmp_path: Path) -> None:
        package = repack(distribution("py3-none-any"))
        filename, record = write_package(package, tmp_path)
        path = tmp_path / "noarch" / filename
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        index = IndexJson.from_package_archive(path)
        assert (index.name.normalized, str(index.version), str(index.build)) == ("tea-pot", "1.2", record["build"])
        assert index.noarch == NoArchType("python")
        paths = {str(entry.relative_path): entry for entry in PathsJson.from_package_archive(path).paths}
        entry = paths["site-packages/tea_pot/__init__.py"]
        assert entry.size_in_bytes == len(FILES["tea_pot/__init__.py"])
        assert entry.sha256 == hashlib.sha256(FILES["tea_pot/__init__.py"]).digest()

    @pytest.mark.parametrize("tag", ["py3-none-any", "cp311-cp311-linux_x86_64"])
    def test_the_server_reads_the_same_record(self, tmp_path: Path, tag: str) -> None:
        package = repack(distribution(tag))
        filename, _ = write_package(package, tmp_path)
        facts = inspect(tmp_path / package.index["subdir"] / filename, filename)
        assert facts.record == package.index

    def test_symlinks_are_links(self, tmp_path: Path) -> None:
        members = [Member("bin/tool3", b"\x7fELF", executable=True), Member("bin/tool", target="tool3")]
        index = {"name": "tool", "version": "3", "build": "0", "build_number": 0, "depends": [], "timestamp": 0}
        filename, _ = write_package(CondaPackage(index | {"subdir": "noarch"}, {}, members), tmp_path)
        kinds = PathsJson.from_package_archive(tmp_path / "noarch" / filename).paths
        assert [entry.path_type.softlink for entry in kinds] == [False, True]


def loaded_libpython(python: Path) -> list[str]:
    """Which libpython an interpreter has mapped; none where it has none, or where there is no /proc."""
    script = "print(*{line.split()[-1] for line in open('/proc/self/maps') if 'libpython3' in line})"
    return subprocess.run([python, "-c", script], capture_output=True, text=True).stdout.split()


def test_the_upstream_channel_installs_and_runs(tmp_path: Path) -> None:
    said: list[str] = []
    channel = tmp_path / "channel"
    build_upstream(channel, said.append)
    for index in channel.glob("*/repodata.json"):
        for filename, record in json.loads(index.read_bytes())["packages.conda"].items():
            data = (index.parent / filename).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (record["size"], record["sha256"])
    assert len(said) == len(list(channel.glob("*/*.conda")))

    prefix = tmp_path / "environment"
    result = solve_and_install(
        channel.as_uri(), ["python", "rich", "typer", "msgspec", "urllib3"], prefix, cache_dir=tmp_path / "cache"
    )
    assert result.ok, result.error
    script = "import sys, ssl, sqlite3, rich, typer, msgspec, urllib3; print(sys.prefix, msgspec.__file__)"
    run = subprocess.run([prefix / "bin/python", "-c", script], capture_output=True, text=True, check=True)
    home, module = run.stdout.split()
    assert Path(home) == prefix
    assert Path(module).is_relative_to(prefix)
    assert b"Pygments" in subprocess.run([prefix / "bin/pygmentize", "-V"], capture_output=True, check=True).stdout
    assert all(Path(library).is_relative_to(prefix) for library in loaded_libpython(prefix / "bin/python"))
