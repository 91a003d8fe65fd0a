"""What a rule answers. There are two groups, named by `scope`.

`file`: the rule looks at the file alone, so that its verdict is shared by all channels. `channel`: it looks at what
else the channel has, or at how the file came there; its reasons become that channel's overlay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import msgspec

from packhouse.security.policies.batch import Batch, Bools, Ints
from packhouse.security.policies.context import Context

Scope = Literal["file", "channel"]
#: what a file must have before some rules can hide it
Fact = Literal["malware", "finding", "quarantine"]

#: what is looked up of files only where a rule asks for it: their names in advisories, true signatures, and what their
#: records ask of Python
Lookup = Literal["aliases", "signatures", "python"]


class Reason(msgspec.Struct, frozen=True):
    """Why a file stays out: the rule's key, what it saw, and until when it will say so (microseconds) if that is known.

    `evidence["text"]` is a sentence for people; the other keys are for programs.
    """

    rule: str
    evidence: dict[str, Any]
    until: int | None = None


class Rule(ABC):
    """One condition that keeps files out. Rules are immutable and pure; `now` is in microseconds."""

    key: str  #: how it is counted, for example "license"
    scope: Scope = "file"
    families: frozenset[str] | None = None  #: where it makes sense; None: everywhere
    #: files without it always pass, and need no look; it is all that the rule looks at. None: any file may be hidden
    hides_only: Fact | None = None
    looks_up: Lookup | None = None

    def applies(self, family: str) -> bool:
        """Say whether the rule makes sense for files of a family; where it does not, it hides nothing."""
        return self.families is None or family in self.families

    @abstractmethod
    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are kept out."""

    @abstractmethod
    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return what speaks against a file that is kept out."""

    def until(self, batch: Batch, context: Context, now: int) -> Ints | None:
        """Return for each file from when on the rule lets it pass, if time alone decides; else None."""
        return None
