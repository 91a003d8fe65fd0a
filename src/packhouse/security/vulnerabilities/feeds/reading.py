"""What the readers of all feeds share: what is refused, what is cut short, and how dates, scores and names are read.

A feed is somebody else's text. A record that cannot be read is passed over with a reason; so is a part of a record
whose rest is of use. What would make a statement wider than it was meant (a checksum that is none, a status nobody
knows) refuses its record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from packhouse.core.clock import from_iso
from packhouse.formats.base import Malformed
from packhouse.security.vulnerabilities.advisory import Advisory, Vector
from packhouse.security.vulnerabilities.scores import Edition, read_vector

KIB = 1024
_EDITIONS: dict[str, Edition] = {
    "2.0": "2.0",
    "2": "2.0",
    "3.0": "3.0",
    "3": "3.1",
    "3.1": "3.1",
    "4.0": "4.0",
    "4": "4.0",
}


class Most:
    """The limits of one record. Sizes are bytes where they are not said to be characters."""

    RECORD = 4096 * KIB
    DESCRIPTION = 64 * KIB  #: characters; what is longer is cut, and says so
    SUMMARY = 1 * KIB  #: characters; as the description
    NOTE = 8 * KIB  #: characters; as the description
    ID = 128  #: characters of an identifier
    NAME = 256  #: characters of a package name
    VERSION = 256  #: characters of a version or a CVSS vector
    ALIASES = 2_000
    PACKAGES = 2_000  #: affected ones of one record
    VERSIONS = 10_000  #: listed versions and events of one record, all packages together
    VECTORS = 100
    REFERENCES = 500  #: the rest is left out
    URL = 2_048  #: characters; a longer one is left out


class Refused(Exception):
    """A record cannot be read; the message is a sentence for whoever looks after the feed."""


class NoFeed(Malformed):
    """The file is sound, for all we know, but no feed."""


class Skipped(NamedTuple):
    """What was passed over: where it stands in the file, and why. Also one part of a record whose rest was read."""

    where: str
    reason: str


class Row(NamedTuple):
    """One record as it was cut out of a file: where it stood, and its JSON."""

    where: str
    data: bytes


#: reads the JSON of one record; what it passes over it says to the second argument
Reader = Callable[[bytes, "Notes"], Advisory]


class Notes:
    """What one record's reader passes over; the same reason is kept once, and of many only the first."""

    _MOST = 20

    def __init__(self) -> None:
        self.reasons: dict[str, None] = {}

    def add(self, reason: str) -> None:
        """Keep a reason, a sentence."""
        if len(self.reasons) < self._MOST:
            self.reasons[reason] = None


def shown(text: str) -> str:
    """Return a foreign text as it may stand in a message: short, printable, quoted."""
    return ascii(text[:60] + "…" * (len(text) > 60))


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/-]*\Z")
_URL = re.compile(r"(?:https?|ftp)://[^\s\x00-\x20<>\"\x7f]+\Z", re.IGNORECASE)
_NO_WORD = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_PEP503 = re.compile(r"[-_.]+")


def identifier(text: str) -> str:
    """Return an advisory's identifier, CVE in upper case. Refused for anything that could not be one."""
    text = text.strip(" \t\r\n,;")  # real lists of aliases have commas in them
    if len(text) > Most.ID or not _ID.match(text):
        raise Refused(f"{shown(text)} is no identifier of an advisory.")
    return text.upper() if text[:4].upper() == "CVE-" else text


def identifiers(texts: Iterable[str], own: str, notes: Notes) -> tuple[str, ...]:
    """Return the other names of the advisory `own`, each once, in the order given. Refused when there are too many."""
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[identifier(text)] = None
        except Refused as error:
            notes.add(f"An alias was left out: {error}")
    found.pop(own, None)
    if len(found) > Most.ALIASES:
        raise Refused(f"It has {len(found):,} aliases; at most {Most.ALIASES:,} are read.")
    return tuple(found)


def prose(text: str | None, most: int) -> str:
    """Return a text to be read by people: of at most `most` characters, with a mark where it was cut."""
    if not text:
        return ""
    cut = text if len(text) <= most else f"{text[:most]}\n[… {len(text) - most:,} more characters]"
    # PostgreSQL keeps no U+0000, and half a surrogate pair is no UTF-8
    return _NO_TEXT.sub("\ufffd", cut)


def word(text: str, what: str, most: int) -> str:
    """Return a name or version as it is given. Refused when it is empty, too long, or holds space or control codes."""
    text = text.strip()
    if not text:
        raise Refused(f"The {what} is empty.")
    if len(text) > most:
        raise Refused(f"The {what} has {len(text):,} characters; at most {most:,} are read.")
    if _NO_WORD.search(text) or _NO_TEXT.search(text):
        raise Refused(f"The {what} {shown(text)} holds spaces or control characters.")
    return text


@lru_cache(maxsize=65_536)
def package(name: str, ecosystem: str) -> str:
    """Return a package's name as its ecosystem compares it: PyPI by PEP 503, others in lower case. Refused: `word`."""
    name = word(name, "package name", Most.NAME).lower()
    return _PEP503.sub("-", name) if ecosystem == "PyPI" else name


def moment(text: str | None, what: str, notes: Notes) -> int | None:
    """Return a date or time in microseconds; None where none is given, or, with a note, where it cannot be read."""
    if not text:
        return None
    try:
        return from_iso(text.strip()[:64])
    except (ValueError, OverflowError):
        notes.add(f"The date {shown(text)} ({what}) cannot be read.")
        return None


def links(urls: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses that may stand on a page: http, https and ftp, each once, `Most.REFERENCES` at most."""
    found: dict[str, None] = {}
    for url in urls:
        if len(url) <= Most.URL and _URL.match(url) and not _NO_TEXT.search(url):
            found[url] = None
            if len(found) == Most.REFERENCES:
                break
    return tuple(found)


def _tenths(score: float | str) -> int | None:
    try:
        value = float(score)
    except ValueError:
        return None
    if "_" in str(score):  # Python reads "1_0" as 10
        return None
    return round(value * 10) if 0 <= value <= 10 else None


def rating(
    text: str | None, source: str, notes: Notes, *, score: float | str | None = None, edition: str | None = None
) -> Vector | None:
    """Return a CVSS rating: the score computed from the vector `text`; the `score` given where there is no vector.

    None, with a note, for what is no vector and no score from 0 to 10, and where neither is given.
    """
    if text and text.strip():
        found, reason = _rating(text.strip()[: Most.VERSION + 1], source)
        if reason:
            notes.add(f"The CVSS vector {shown(text)} was left out: {reason}")
        return found
    if score is None or score == "":
        return None
    tenths = _tenths(score)
    if tenths is None:
        notes.add(f"The score {shown(str(score))} was left out: it is no number from 0 to 10.")
        return None
    return Vector(_EDITIONS.get(edition or "", "3.1"), "", tenths, source)


@lru_cache(maxsize=65_536)
def _rating(text: str, source: str) -> tuple[Vector | None, str]:
    # feeds repeat a few thousand vectors, and a score takes a hundred times as long to compute as to look up
    if len(text) > Most.VERSION:
        return None, f"it has more than {Most.VERSION} characters."
    return read_vector(text, source)


def unique(vectors: Iterable[Vector | None]) -> tuple[Vector, ...]:
    """Return the vectors that could be read, each once, in the order given. Refused when there are too many."""
    found = tuple(dict.fromkeys(one for one in vectors if one))
    if len(found) > Most.VECTORS:
        raise Refused(f"It has {len(found):,} CVSS vectors; at most {Most.VECTORS} are read.")
    return found
