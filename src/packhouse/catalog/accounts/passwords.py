"""Passwords: argon2id, checked away from the event loop, a bounded number at a time."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from packhouse.core.errors import PackhouseError

MIN_LENGTH = 8
MAX_LENGTH = 1024
#: evaluations at the same time: each takes 64 MiB and some 50 ms of a core
PARALLEL = 2

_hasher = PasswordHasher()
#: stands in for the hash of an unknown user, so that the answer takes as long as for a known one; made beforehand,
#: since a start would wait for it, and the first stranger for twice as long as others if it were made then
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$nH8MPRmuCxqyADGhuBtQOQ$/LwRNHC5QHF5Jwq/diKb0fvHEQm2JQJ5dLovCd5viOE"


def check_strength(password: str) -> str:
    """Return `password` if it may be set. Raises PackhouseError("bad_request")."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PackhouseError(
            "bad_request", f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.", "Choose another password."
        )
    return password


async def hash_password(password: str) -> str:
    """Return the argon2id hash, in the encoded form that carries its parameters and salt."""
    return await asyncio.to_thread(_hasher.hash, password)


class PasswordChecker:
    """Checks passwords of one process; `evaluations` counts how often it did the costly work."""

    def __init__(self) -> None:
        self.evaluations = 0
        self._slots = asyncio.Semaphore(PARALLEL)

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Whether `password` belongs to `hashed`; None (no such user, or one without a password) never matches."""
        async with self._slots:
            self.evaluations += 1
            fits = await asyncio.to_thread(_verify, hashed or NOBODY, password[: MAX_LENGTH + 1])
        return fits and hashed is not None


def _verify(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
