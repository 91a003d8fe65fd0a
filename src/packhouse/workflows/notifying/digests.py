"""What a digest says: the vulnerabilities newly found in one channel, the worst first; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from packhouse.catalog.vulnerabilities.news import Subject
from packhouse.core.text import one_line
from packhouse.security.vulnerabilities.advisory import severity
from packhouse.security.vulnerabilities.scores import decimal

#: vulnerabilities in one digest, and versions named of one package; of the rest it says how many there are
MOST_ITEMS = 100
MOST_VERSIONS = 10
MOST_PACKAGES = 20


class Package(msgspec.Struct, kw_only=True):
    """Versions of a package that a vulnerability affects."""

    family: str
    name: str
    versions: list[str]  #: some of them
    version_count: int
    file_count: int


class Item(msgspec.Struct, kw_only=True):
    """A vulnerability that was newly found."""

    id: str  #: its key, the CVE where there is one
    kind: str  #: vulnerability | malware
    score: float | None  #: 0 to 10, with one digit
    severity: str
    exploited: bool
    summary: str
    packages: list[Package]  #: some of them
    packages_count: int


class Digest(msgspec.Struct, kw_only=True):
    """What was newly found in a channel since the digest before."""

    vulnerability_count: int
    malware_count: int
    file_count: int
    items: list[Item]  #: the worst
    more: int  #: vulnerabilities that are not among `items`


class Release(NamedTuple):
    """A version of a package, and how many files of it a channel has."""

    family: str
    name: str
    version: str
    files: int


class Collected:
    """What was found in one channel, while it is gathered."""

    def __init__(self) -> None:
        self._found: dict[int, dict[tuple[str, str], Package]] = {}
        self._files: dict[tuple[str, str, str], int] = {}

    @property
    def vulnerability_ids(self) -> list[int]:
        """What was found."""
        return sorted(self._found)

    def add(self, release: Release, vulnerability_ids: Iterable[int]) -> None:
        """Note which vulnerabilities affect a version; each version comes once."""
        family, name, version, files = release
        self._files[family, name, version] = files
        for number in vulnerability_ids:
            packages = self._found.setdefault(number, {})
            if (package := packages.get((family, name))) is None:
                package = Package(family=family, name=name, versions=[], version_count=0, file_count=0)
                packages[family, name] = package
            if len(package.versions) < MOST_VERSIONS:
                package.versions.append(version)
            package.version_count += 1
            package.file_count += files

    def digest(self, known: Mapping[int, Subject]) -> Digest:
        """Return the digest; vulnerabilities of which nothing is known any more are left out."""
        found = sorted((known[number] for number in self._found if number in known), key=_worst_first)
        return Digest(
            vulnerability_count=len(found),
            malware_count=sum(one.kind == "malware" for one in found),
            file_count=sum(self._files.values()),
            items=[_item(one, self._found[one.id]) for one in found[:MOST_ITEMS]],
            more=max(len(found) - MOST_ITEMS, 0),
        )


def subject(channel: str, digest: Digest) -> str:
    """Return the subject of the mail."""
    worst = digest.items[0]
    what = _count(digest.vulnerability_count, "new vulnerability", "new vulnerabilities")
    rating = "malware" if worst.kind == "malware" else f"{_score(worst.score)}{worst.severity}"
    return f"{channel}: {what}, {worst.id} ({rating})"


def text(channel: str, digest: Digest) -> str:
    """Return the text of the mail. What feeds say is made one line each, without control characters."""
    what = _count(digest.vulnerability_count, "vulnerability was", "vulnerabilities were")
    lines = [f"{what} newly found in {_count(digest.file_count, 'file')} of the channel {channel}.", ""]
    for item in digest.items:
        lines += [_headline(item), *([f"  {one_line(item.summary)}"] if item.summary.strip() else [])]
        lines += [f"  {_package(one)}" for one in item.packages]
        if hidden := item.packages_count - len(item.packages):
            lines.append(f"  and {_count(hidden, 'more package')}")
        lines.append("")
    if digest.more:
        lines += [f"And {_count(digest.more, 'more')}: see the channel.", ""]
    lines += [
        "You get this because you own this channel or subscribed to its notifications. Whether you do is set with",
        f"PUT /api/channels/{channel.replace('/', '/subchannels/')}/notifications/subscription.",
    ]
    return "\n".join(lines) + "\n"


def _worst_first(one: Subject) -> tuple[bool, bool, int, str]:
    return one.kind != "malware", not one.exploited, 0 if one.score is None else -one.score - 1, one.key


def _item(one: Subject, packages: Mapping[tuple[str, str], Package]) -> Item:
    return Item(
        id=one.key,
        kind=one.kind,
        score=decimal(one.score),
        severity=severity(one.score),
        exploited=one.exploited,
        summary=one.summary,
        packages=[packages[key] for key in sorted(packages)[:MOST_PACKAGES]],
        packages_count=len(packages),
    )


def _headline(item: Item) -> str:
    if item.kind == "malware":
        return f"{item.id}  malware"
    exploited = ", known to be exploited" if item.exploited else ""
    return f"{item.id}  {_score(item.score)}{item.severity}{exploited}"


def _package(one: Package) -> str:
    named = ", ".join(one.versions)
    more = (
        f" and {_count(one.version_count - len(one.versions), 'more')}" if one.version_count > len(one.versions) else ""
    )
    return one_line(f"{one.family}: {one.name} {named}{more} ({_count(one.file_count, 'file')})")


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.1f} "


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or (one if one == 'more' else one + 's')}"
