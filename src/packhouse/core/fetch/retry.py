"""When to ask again: transient faults, jittered back-off, and an upstream's own Retry-After."""

from __future__ import annotations

import asyncio
import random
import time
from email.utils import parsedate_to_datetime

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.model import FetchSettings

#: bytes after which an attempt counts as progress, so that a long download may fail often but not trickle for ever
PROGRESS_BYTES = 1 << 20


class Transient(Exception):
    """A fault that may be gone the next time. `weight` is how many plain failures it counts as."""

    def __init__(self, message: str, *, weight: int = 1, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.weight = weight
        self.retry_after = retry_after  #: seconds


class Attempts:
    """Counts the failures of one request and waits between its repetitions."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._tries = 0

    def note_progress(self, received: int) -> None:
        """Start counting anew when the last attempt brought enough bytes."""
        if received >= PROGRESS_BYTES:
            self._failures = 0

    async def pause(self, fault: Transient) -> None:
        """Wait until the next attempt is due. Raises PackhouseError("upstream_failed") when there is none."""
        self._failures += fault.weight
        self._tries += 1
        asked = fault.retry_after or 0.0
        if self._failures >= self._settings.attempts or asked > self._settings.max_wait:
            raise self._exhausted(fault, asked) from None
        exponential = self._settings.backoff * 2 ** (self._failures - 1)
        # jitter only ever lengthens what an upstream asked for
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        await asyncio.sleep(min(max(exponential * jitter, asked * (1 + jitter / 10)), self._settings.max_wait))

    def _exhausted(self, fault: Transient, asked: float) -> PackhouseError:
        times = "once" if self._tries == 1 else f"{self._tries} times"
        later = {"retry_after": int(asked) + 1} if asked else {}
        return PackhouseError(
            "upstream_failed", f"{str(fault).rstrip('.')} (tried {times}).", "Try again later.", **later
        )


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds a Retry-After header asks for (RFC 9110 10.2.3: a number or a date); None if unreadable."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value[:12])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
