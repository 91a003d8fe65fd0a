"""Keep only files of some platforms."""

from __future__ import annotations

from collections.abc import Iterable

from packhouse.security.policies.subject import Context, Subject


class Platforms:
    """Hides files of every subdir that is not listed."""

    key = "subdirs"

    def __init__(self, subdirs: Iterable[str]) -> None:
        self._subdirs = frozenset(subdirs)

    def hides(self, subject: Subject, context: Context, now: int) -> str | None:
        """Return the subdir when it is not one to keep."""
        return None if subject.partition in self._subdirs else f"the subdir {subject.partition} is not selected"
