"""Products: package URLs made of our files, and the files a package URL of anybody means (ECMA-427)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from packhouse.security.vulnerabilities.statements import File, Statement

#: family -> type of its purls
TYPES = {"conda": "conda", "python": "pypi", "cran": "cran"}
_FAMILIES = {type_: family for family, type_ in TYPES.items()}
MAX_LENGTH = 2048
_PURL = re.compile(
    r"pkg:/*(?P<type>[A-Za-z][A-Za-z0-9.+-]*)/(?P<path>[^?#@]+)(@(?P<version>[^?#]*))?(\?(?P<more>[^#]*))?"
)
_WORD = re.compile(r"[A-Za-z0-9_.!+-]+")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
#: where a package was found and how it was packed: true of our copies, too
_PASSED_OVER = frozenset({"channel", "type", "repository_url", "download_url", "vcs_url"})
_VERS = re.compile(r"(>=|<=|!=|=|>|<)?(.+)")


class Unusable(Exception):
    """Something of a document that is passed over; the message says why."""


class Product(NamedTuple):
    """What a statement is about, in the words of `Statement`."""

    family: str
    name: str
    spec: str = ""
    sha256: str = ""


def purl_of_file(one: Statement, file: File) -> str:
    """Return the purl of a file of the statement's package."""
    more = {"build": file.build, "subdir": file.partition} if one.family == "conda" else {}
    return _purl(one, file.version, more)


def purl_of_package(one: Statement, *, known: bool) -> str:
    """Return the purl for a statement that decides about no file we know (`known`: there are others of the package).

    Where it is not about every version there is, a qualifier says what it is about. Readers who do not know it find no
    such package, and so do not take the statement for more than it says.
    """
    if one.sha256:
        return _purl(one, "", {"checksum": f"sha256:{one.sha256}"})
    return _purl(one, "", {"spec": one.spec or "*"} if known or one.spec else {})


def _purl(one: Statement, version: str, more: dict[str, str]) -> str:
    type_ = TYPES.get(one.family, "generic")
    at = f"@{quote(version, safe='')}" if version else ""
    qualifiers = "&".join(f"{key}={quote(value, safe=':')}" for key, value in sorted(more.items()) if value)
    return f"pkg:{type_}/{quote(one.name, safe='')}{at}" + (f"?{qualifiers}" if qualifiers else "")


def package_of(purl: str) -> Product:
    """Return which package a purl is about, whatever else it says. Raises Unusable."""
    return _package(_parts(purl))


def product_of(purl: str, sha256: str = "", version: str = "") -> Product:
    """Return which files a purl means. `sha256` and `version` stand beside it in the document. Raises Unusable.

    A part we cannot honour makes the purl unusable, since without it the statement would be about more files.
    """
    parts = _parts(purl)
    package = _package(parts)
    more = _qualifiers(parts["more"] or "")
    checksum = more.pop("checksum", "")
    sha256 = sha256 or checksum.removeprefix("sha256:") * checksum.startswith("sha256:")
    if sha256:
        return package._replace(sha256=sha256.lower())
    build, subdir = (more.pop("build", ""), more.pop("subdir", "")) if package.family == "conda" else ("", "")
    if unknown := [key for key in (*more, *["checksum"] * bool(checksum)) if key not in _PASSED_OVER]:
        raise Unusable(f"{purl[:120]!r} asks for {unknown[0][:40]!r}, which cannot be honoured.")
    version = unquote(parts["version"] or "") or version
    if not all(_WORD.fullmatch(text) for text in (version, build, subdir) if text):
        raise Unusable(f"{purl[:120]!r} has a version, build or subdir that is none.")
    return package._replace(spec=_spec(version, build, subdir))


def spec_of_version(version: str) -> str:
    """Return the spec of one version. Raises Unusable."""
    if not _WORD.fullmatch(version):
        raise Unusable(f"{version[:80]!r} is no version.")
    return f"=={version}"


def spec_of_vers(range_: str, family: str) -> str:
    """Return a range in VERS notation as a match spec: `vers:conda/>=1|<2|3` is `>=1,<2|==3`. Raises Unusable."""
    scheme, _, text = range_.partition("/")
    if scheme.lower() != f"vers:{TYPES.get(family)}" or not text:
        raise Unusable(f"The range {range_[:80]!r} is not one of versions of this package.")
    if text.strip() == "*":
        return ""
    alternatives: list[str] = []
    excluded, lower = "", ""
    for part in text.split("|"):
        compare, version = _constraint(part, range_)
        if compare == "=":
            alternatives.append(f"=={version}")
        elif compare == "!=":
            excluded += f",!={version}"
        elif compare in (">", ">="):
            if lower:
                raise Unusable(f"The range {range_[:80]!r} opens twice.")
            lower = f"{compare}{version}"
        else:
            alternatives.append(f"{lower},{compare}{version}".lstrip(","))
            lower = ""
    if lower:
        alternatives.append(lower)
    if excluded:
        alternatives = [one + excluded if one[0] != "=" else one for one in alternatives] or [excluded[1:]]
    return "|".join(alternatives)


def _constraint(part: str, range_: str) -> tuple[str, str]:
    match = _VERS.fullmatch(part.strip())
    version = unquote(match[2]).strip() if match else ""
    if match is None or not _WORD.fullmatch(version):
        raise Unusable(f"The range {range_[:80]!r} cannot be read.")
    return match[1] or "=", version


def _parts(purl: str) -> re.Match[str]:
    match = _PURL.fullmatch(purl) if len(purl) <= MAX_LENGTH else None
    if match is None:
        raise Unusable(f"{purl[:120]!r} is no package URL of a whole package.")
    return match


def _package(parts: re.Match[str]) -> Product:
    type_ = parts["type"].lower()
    name = unquote(parts["path"].strip("/"))
    if type_ not in _FAMILIES:
        raise Unusable(f"No packages of the type {type_[:40]!r} are kept here.")
    if not _NAME.fullmatch(name):
        raise Unusable(f"{name[:80]!r} is no package name.")
    family = _FAMILIES[type_]
    if family == "python":
        return Product(family, re.sub(r"[-_.]+", "-", name).lower())
    return Product(family, name.lower() if family == "conda" else name)


def _qualifiers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {key.lower(): unquote(value) for key, _, value in pairs if value}


def _spec(version: str, build: str, subdir: str) -> str:
    said = f"=={version}" if version else "*"
    if subdir:
        return f'{said} {build or "*"}[subdir="{subdir}"]'
    if build:
        return f"{said} {build}"
    return said if version else ""
