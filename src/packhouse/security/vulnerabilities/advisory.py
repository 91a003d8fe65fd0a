"""What one source says about one vulnerability, whatever format it came in.

An *advisory* is a statement of a feed. A *vulnerability* is what advisories of all feeds are about: a CVE where one is
named, else whatever identifier the advisory has. Scores are integer tenths, so 98 is 9.8; times are microseconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["vulnerability", "malware"]
#: what is said of a vulnerability in a file; all but the first are somebody's judgement
Status = Literal["reported", "active", "mitigated", "cleared", "disputed"]


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One turn on a line of versions, as in OSV: from `introduced` on affected, from `fixed` on no more."""

    kind: Literal["introduced", "fixed", "last_affected", "limit"]
    version: str


class Affected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One package in one ecosystem, and which of its versions are affected.

    A version is affected when it is listed, or when a range holds it. Several ranges are alternatives.
    """

    ecosystem: str  #: as OSV spells it, for example "PyPI", "CRAN", "Bitnami"; "conda" for conda packages
    name: str  #: normalised as the ecosystem does
    ranges: tuple[tuple[Event, ...], ...] = ()
    versions: tuple[str, ...] = ()


class Vector(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One CVSS rating."""

    version: Literal["2.0", "3.0", "3.1", "4.0"]
    vector: str
    score: int  #: tenths, computed from the vector where there is one
    source: str = ""


class Said(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a curated feed says of a vulnerability in some files of a package."""

    family: str
    name: str
    spec: str  #: a match spec's version and build, for example ">=3.2,<4 py39_1"; empty: every file
    status: Status
    note: str = ""
    sha256: str = ""  #: of the one file it is about


class Advisory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record of a feed."""

    id: str
    kind: Kind = "vulnerability"
    aliases: tuple[str, ...] = ()
    summary: str = ""
    description: str = ""
    published_at: int | None = None
    modified_at: int | None = None
    withdrawn_at: int | None = None
    vectors: tuple[Vector, ...] = ()
    references: tuple[str, ...] = ()
    affected: tuple[Affected, ...] = ()
    said: tuple[Said, ...] = ()
    known_exploited: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The vulnerabilities it is about, sorted: every CVE it names, else one name that sources share."""
        names = {self.id, *self.aliases}
        for prefix in ("CVE-", "GHSA-"):
            if found := sorted(name for name in names if name.startswith(prefix)):
                return tuple(found) if prefix == "CVE-" else (found[0],)
        return (self.id,)


def severity(score: int | None) -> str:
    """Return the band of a score in tenths: none, low, medium, high or critical; unknown without one."""
    if score is None:
        return "unknown"
    for least, word in ((90, "critical"), (70, "high"), (40, "medium"), (1, "low")):
        if score >= least:
            return word
    return "none"
