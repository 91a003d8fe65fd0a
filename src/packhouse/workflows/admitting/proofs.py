"""What one process remembers of credentials that were checked: who showed them, for a minute at most.

Whatever names a proof finds it by a look-up: a change may name one of twenty thousand, and while they are forgotten the
process answers nobody.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import monotonic

CAPACITY = 20_000
#: the member of a principal that the change rows of a kind name
NAMED = {"account": "username", "token": "token_id", "login": "login_id"}


class Proof(NamedTuple):
    """Who showed a credential, and until when (monotonic) that may be taken for true without asking again."""

    principal: Principal
    until: float


class Proofs:
    """Proofs by the hash of what was shown, the oldest first."""

    def __init__(self) -> None:
        self._known: dict[bytes, Proof] = {}
        self._named: dict[tuple[str, str], set[bytes]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: bytes) -> Proof | None:
        """Return the proof of that hash unless it is too old."""
        known = self._known.get(key)
        return known if known is not None and known.until > monotonic() else None

    def put(self, key: bytes, proof: Proof) -> None:
        """Remember a proof. Two of the oldest go if they are over, so that what is over does not pile up."""
        self._drop(key)
        self._known[key] = proof
        for name in _names(proof):
            self._named.setdefault(name, set()).add(key)
        now = monotonic()
        for old in list(islice(self._known, 2)):
            if self._known[old].until <= now or len(self._known) > CAPACITY:
                self._drop(old)

    def forget(self, kind: str, name: str) -> None:
        """Drop what a change row of a kind in `NAMED` names."""
        for key in list(self._named.get((kind, name), ())):
            self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        self._known.clear()
        self._named.clear()

    def _drop(self, key: bytes) -> None:
        proof = self._known.pop(key, None)
        for name in _names(proof) if proof else ():
            keys = self._named[name]
            keys.discard(key)
            if not keys:
                del self._named[name]


def _names(proof: Proof) -> list[tuple[str, str]]:
    found = ((kind, getattr(proof.principal, member)) for kind, member in NAMED.items())
    return [(kind, name) for kind, name in found if name is not None]
