"""What `verify` and `repair` say."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it must be, or worth knowing, about one object."""

    invariant: str  #: I1 … I6, I9, I10: which of the invariants
    object: str  #: what it is about, as a user would write it
    sentence: str
    information: bool = False  #: only worth knowing: nothing is wrong

    def __str__(self) -> str:
        return f"{self.invariant} {self.object}: {self.sentence}"
