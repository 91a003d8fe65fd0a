"""What a rule may know about one file, and what it answers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec


class Subject(NamedTuple):
    """One file as a record describes it. A tuple, since a million of them are judged in a second or two."""

    partition: str
    name: str
    version: str
    build: str
    build_number: int
    license: str
    license_family: str  #: one of `formats.conda.licenses.FAMILIES`
    published_at: int | None  #: microseconds, as the source claims
    signed: bool


class Reason(msgspec.Struct, frozen=True):
    """Why a file stays out: the rule's key and what it saw, for people."""

    rule: str
    evidence: str


class Context(msgspec.Struct, frozen=True):
    """What rules that look at other files may know of the channel, at one version of it."""

    version: int = 0


class Rule(Protocol):
    """One condition that keeps files out."""

    key: str  #: how it is counted, for example "license"

    def hides(self, subject: Subject, context: Context, now: int) -> str | None:
        """Return the evidence against the file, or None. `now` is in microseconds."""
