"""Package URLs: what a package is in another ecosystem, as one text. Source: ECMA-427; ecosystem names as in OSV 1.7.

A purl is what records and recipes can say of their origin. Here it is read, and made of the addresses that name one.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

#: type of a purl -> ecosystem as advisories spell it; of other types nothing is known
ECOSYSTEMS = {
    "bioconductor": "Bioconductor",
    "bitnami": "Bitnami",
    "cargo": "crates.io",
    "composer": "Packagist",
    "conda": "conda",
    "cran": "CRAN",
    "gem": "RubyGems",
    "github": "GitHub",
    "golang": "Go",
    "hex": "Hex",
    "maven": "Maven",
    "npm": "npm",
    "nuget": "NuGet",
    "pub": "Pub",
    "pypi": "PyPI",
}
MAX_LENGTH = 1024

_PURL = re.compile(r"pkg:/*([A-Za-z][A-Za-z0-9.+-]*)/([^?#]+)")
_NAME = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_PATHS = {
    "pypi": (
        re.compile(rf"/packages/source/[^/]+/{_NAME}/.*"),
        re.compile(rf"/(?:project|simple|pypi|p)/{_NAME}(?:/.*)?"),
    ),
    "hosted": (
        re.compile(rf"/packages/source/[^/]+/{_NAME}/.*"),
        re.compile(rf"/packages/.*/{_NAME}-\d[^-/]*\.(?:tar\.gz|tar\.bz2|tgz|zip)"),
        re.compile(rf"/packages/.*/{_NAME}-\d[^-/]*-[^/]+\.whl"),
    ),
    "cran": (
        re.compile(r"/src/contrib/(?:.*/)?([A-Za-z][A-Za-z0-9.]*)_[^/]+\.tar\.gz"),
        re.compile(r"/(?:web/packages/|package=)([A-Za-z][A-Za-z0-9.]*)(?:/.*)?"),
    ),
    "github": (re.compile(r"/([A-Za-z0-9-]+/[A-Za-z0-9._-]+)(?:/.*)?"),),
}
_HOSTS = {
    "pypi.org": ("pypi", "pypi"),
    "pypi.io": ("pypi", "pypi"),
    "pypi.python.org": ("pypi", "pypi"),
    "files.pythonhosted.org": ("hosted", "pypi"),
    "cran.r-project.org": ("cran", "cran"),
    "cloud.r-project.org": ("cran", "cran"),
    "github.com": ("github", "github"),
}
#: first parts of a GitHub address that are no owner
_NO_OWNERS = frozenset(("about", "apps", "features", "login", "marketplace", "orgs", "sponsors", "topics"))


def upstream(purl: str) -> tuple[str, str] | None:
    """Return (ecosystem, name) of a purl, without its version; None when it is none or of an unknown type.

    The name has the namespace before it as the ecosystem writes it: `owner/repo`, `@scope/name`, `group:artifact`.
    """
    match = _PURL.match(purl) if len(purl) <= MAX_LENGTH else None
    ecosystem = ECOSYSTEMS.get(match[1].lower()) if match else None
    if match is None or ecosystem is None:
        return None
    path = match[2].strip("/")
    at = path.rfind("@")
    if at > path.rfind("/") + 1:  # not the scope of npm, which its authors sometimes leave unescaped
        path = path[:at]
    parts = [unquote(part) for part in path.split("/") if part]
    name = (":" if ecosystem == "Maven" else "/").join(parts)
    return (ecosystem, name) if parts and name.isprintable() else None


def of_url(url: str) -> str | None:
    """Return the purl of the package that an address of a known index or forge names, without a version, or None."""
    if len(url) > MAX_LENGTH:
        return None
    try:
        split = urlsplit(url.strip())
        host = (split.hostname or "").removeprefix("www.")
    except ValueError:  # an ill-formed IPv6 address
        return None
    if split.scheme not in ("http", "https") or host not in _HOSTS:
        return None
    kind, type_ = _HOSTS[host]
    for pattern in _PATHS[kind]:
        if match := pattern.fullmatch(unquote(split.path)):
            return _made(type_, match[1])
    return None


def _made(type_: str, name: str) -> str | None:
    """Write a purl; names of PyPI and GitHub in lower case, as the purl of each type asks."""
    if type_ == "pypi":
        name = re.sub(r"[-_.]+", "-", name).lower()
    elif type_ == "github":
        owner, _, repository = name.removesuffix(".git").lower().partition("/")
        if owner in _NO_OWNERS or not repository or repository.endswith("-feedstock"):
            return None
        name = f"{owner}/{repository}"
    return f"pkg:{type_}/{name}"
