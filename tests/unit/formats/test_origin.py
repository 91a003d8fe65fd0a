"""What a conda package says of where it comes from, and the code in it that nobody calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.base import Facts
from packhouse.formats.conda.inspect import inspect
from packhouse.formats.conda.origin import distribution, sources
from tests.kit.condapkg import make_conda

_META = """package:
  name: demo
source:
  - url:
      - https://pypi.org/packages/source/d/demo-py/demo-py-1.0.tar.gz
      - https://example.org/demo-1.0.tar.gz
    sha256: 00
    patches: [https://github.com/other/patches]
  - url: https://pypi.org/packages/source/d/django/django-3.2.4.tar.gz
about:
  home: https://pypi.org/project/flask
"""
_RATTLER = """recipe:
  schema_version: 1
  source:
  - url: https://cran.r-project.org/src/contrib/png_0.1-8.tar.gz
    sha256: 00
  about:
    homepage: https://pypi.org/project/flask
"""


def _facts(tmp_path: Path, files: dict[str, bytes], info: dict[str, bytes] | None = None, **index: Any) -> Facts:
    path = tmp_path / "blob"
    path.write_bytes(make_conda("demo", "1.0", files=files, info=info, **index))
    return inspect(path, "demo-1.0-0.conda")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("site-packages/Django-3.2.4.dist-info/METADATA", ("PyPI", "Django", "3.2.4")),
        ("lib/python3.12/site-packages/torch-2.1.0.post1.dist-info/METADATA", ("PyPI", "torch", "2.1.0.post1")),
        ("Lib/site-packages/foo_bar-1!2.0.dist-info/METADATA", ("PyPI", "foo_bar", "1!2.0")),
        ("lib/python2.7/site-packages/six-1.11.0-py2.7.egg-info", ("PyPI", "six", "1.11.0")),
        ("lib/python3.9/site-packages/python-dateutil-2.8.egg-info/PKG-INFO", ("PyPI", "python-dateutil", "2.8")),
        ("lib/python3.9/site-packages/demo.egg-info/PKG-INFO", ("PyPI", "demo", "")),
        ("lib/R/library/data.table/DESCRIPTION", ("CRAN", "data.table", "")),
        ("site-packages/setuptools/_vendor/wheel-0.43.0.dist-info/METADATA", None),
        ("share/copy/site-packages/django-3.2.4.dist-info/METADATA", None),
        ("site-packages/Django-3.2.4.dist-info/RECORD", None),
        ("lib/R/library/png/libs/DESCRIPTION", None),
    ],
)
def test_a_distribution_is_known_by_where_its_metadata_lies(member: str, said: tuple[str, str, str] | None) -> None:
    assert distribution(member) == said


def test_distributions_and_purls_are_among_the_facts(tmp_path: Path) -> None:
    files = {
        "site-packages/demo_py-1.0.dist-info/METADATA": b"",
        "site-packages/demo_py-1.0.dist-info/RECORD": b"",
        "site-packages/pip/_vendor/urllib3-1.26.dist-info/METADATA": b"",
    }
    about = {"home": "https://github.com/acme/demo", "dev_url": ["https://pypi.org/project/demo-py", 7], "doc_url": 1}
    info = {"info/about.json": json.dumps(about).encode(), "info/recipe/meta.yaml": _META.encode()}
    facts = _facts(tmp_path, files, info, purls=["pkg:pypi/demo-py@1.0"])
    assert facts.distributions == [("PyPI", "demo_py", "1.0")]
    assert facts.purls == ["pkg:pypi/demo-py@1.0"]
    assert facts.sources == ["pkg:github/acme/demo", "pkg:pypi/demo-py"]


def test_a_recipe_speaks_by_its_first_source_only() -> None:
    assert sources({}, _META) == ["pkg:pypi/demo-py"]
    assert sources({}, _RATTLER) == ["pkg:cran/png"]
    assert sources({}, "source:\n  path: ..\nabout:\n  url: https://pypi.org/project/flask\n") == []


def test_purls_that_are_none_are_no_reason_to_refuse_a_file(tmp_path: Path) -> None:
    assert _facts(tmp_path, {}, purls={"pkg:pypi/x": 1}).purls == []
    assert _facts(tmp_path, {}, purls=["pkg:pypi/x", 7, None]).purls == ["pkg:pypi/x"]


@pytest.mark.parametrize(
    "name",
    [
        "python-scripts/.demo-post-link.sh",
        "python-scripts/.demo-pre-unlink.bat",
        "BIN/.demo-post-link.sh",
        "scripts/.demo-pre-link.BAT",
        "Lib/Site-Packages/SiteCustomize.py",
    ],
)
def test_no_spelling_that_an_installer_follows_is_passed_over(name: str, tmp_path: Path) -> None:
    assert _facts(tmp_path, {name: b"x"}).install_code == [name]


def test_install_code_can_be_read(tmp_path: Path) -> None:
    files = {
        "bin/.demo-post-link.sh": "#!/bin/sh\necho \N{SNOWMAN}\n".encode(),
        "site-packages/a.pth": b"import os; " + b"x" * 10_000,
        "site-packages/sitecustomize.so": b"\x7fELF\0\0",
    }
    facts = _facts(tmp_path, files)
    assert facts.install_code == sorted(files)
    assert facts.install_bodies["bin/.demo-post-link.sh"] == "#!/bin/sh\necho \N{SNOWMAN}\n"
    assert len(facts.install_bodies["site-packages/a.pth"]) == 4096
    assert "site-packages/sitecustomize.so" not in facts.install_bodies


def test_of_many_install_scripts_some_are_kept_and_all_are_named(tmp_path: Path) -> None:
    files = {f"site-packages/{number}.pth": b"import os\n" for number in range(50)}
    facts = _facts(tmp_path, files)
    assert (len(facts.install_code), len(facts.install_bodies)) == (50, 20)


@given(st.text(), st.dictionaries(st.sampled_from(["home", "dev_url"]), st.text() | st.none() | st.lists(st.text())))
def test_any_recipe_is_read_without_a_fault(recipe: str, about: dict[str, object]) -> None:
    sources(about, "source:\n" + recipe)
    distribution("site-packages/" + recipe + ".dist-info/METADATA")
