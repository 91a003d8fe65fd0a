"""Package URLs, read and made of addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.purl import of_url, upstream


@pytest.mark.parametrize(
    ("purl", "said"),
    [
        ("pkg:pypi/django@3.2.4", ("PyPI", "django")),
        ("pkg:pypi/msgpack?source=hash-mapping", ("PyPI", "msgpack")),
        ("pkg:PyPI/Django", ("PyPI", "Django")),
        ("pkg:cran/data.table@1.14.0", ("CRAN", "data.table")),
        ("pkg:npm/%40angular/core@16.0.0", ("npm", "@angular/core")),
        ("pkg:npm/@angular/core", ("npm", "@angular/core")),
        ("pkg:github/redis/redis@7.0", ("GitHub", "redis/redis")),
        ("pkg:golang/github.com/helm/helm@v3.0.0#cmd", ("Go", "github.com/helm/helm")),
        ("pkg:maven/org.apache.spark/spark-core_2.12@3.0", ("Maven", "org.apache.spark:spark-core_2.12")),
        ("pkg:cargo/ripgrep", ("crates.io", "ripgrep")),
        ("pkg:generic/openssl@3.0", None),
        ("pkg:pypi/", None),
        ("pkg:pypi/a%00b", None),
        ("https://pypi.org/project/django", None),
        ("pkg:pypi/" + "a" * 2000, None),
    ],
)
def test_what_a_purl_names(purl: str, said: tuple[str, str] | None) -> None:
    assert upstream(purl) == said


@pytest.mark.parametrize(
    ("url", "purl"),
    [
        ("https://pypi.org/packages/source/D/Django/Django-3.2.4.tar.gz", "pkg:pypi/django"),
        ("https://pypi.io/packages/source/r/ruamel.yaml/ruamel.yaml-0.17.tar.gz", "pkg:pypi/ruamel-yaml"),
        ("http://pypi.python.org/pypi/msgpack", "pkg:pypi/msgpack"),
        ("https://pypi.org/project/torch/", "pkg:pypi/torch"),
        ("https://files.pythonhosted.org/packages/27/a1/" + "ab" * 20 + "/Django-3.2.4.tar.gz", "pkg:pypi/django"),
        ("https://files.pythonhosted.org/packages/aa/bb/cc/foo_bar-1.0-py3-none-any.whl", "pkg:pypi/foo-bar"),
        ("https://files.pythonhosted.org/packages/aa/bb/cc/python-dateutil-2.8.2.tar.gz", "pkg:pypi/python-dateutil"),
        ("https://cran.r-project.org/src/contrib/data.table_1.14.0.tar.gz", "pkg:cran/data.table"),
        ("https://cran.r-project.org/src/contrib/Archive/png/png_0.1-7.tar.gz", "pkg:cran/png"),
        ("https://CRAN.R-project.org/package=jsonlite", "pkg:cran/jsonlite"),
        ("https://cran.r-project.org/web/packages/gh/index.html", "pkg:cran/gh"),
        ("https://github.com/Redis/redis/archive/7.0.tar.gz", "pkg:github/redis/redis"),
        ("https://www.github.com/psf/requests.git", "pkg:github/psf/requests"),
        ("https://github.com/conda-forge/numpy-feedstock", None),
        ("https://github.com/orgs/psf", None),
        ("https://github.com/psf", None),
        ("https://pypi.org/help/", None),
        ("https://pypi.org.evil.example/project/django", None),
        ("https://evil.example/?pypi.org/project/django", None),
        ("ftp://pypi.org/project/django", None),
        ("https://[::1/project/django", None),
    ],
)
def test_what_an_address_names(url: str, purl: str | None) -> None:
    assert of_url(url) == purl


@given(st.text() | st.from_regex(r"https://(pypi|github|cran\.r-project)\.(org|com)/.*"))
def test_any_text_gives_a_purl_that_can_be_read_or_none(text: str) -> None:
    made = of_url(text)
    assert made is None or upstream(made)
    upstream(text)
    upstream("pkg:pypi/" + text)
