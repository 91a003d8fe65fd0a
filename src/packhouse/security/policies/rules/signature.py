"""Keep only files whose record is signed."""

from __future__ import annotations

from packhouse.security.policies.subject import Context, Subject


class OnlySigned:
    """Hides files whose source gave no signature for their record."""

    key = "only_signed"

    def hides(self, subject: Subject, context: Context, now: int) -> str | None:
        """Return a reason when there is no signature."""
        return None if subject.signed else "its record is not signed"
