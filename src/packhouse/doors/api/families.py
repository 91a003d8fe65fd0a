"""The family that a request asks about."""

from __future__ import annotations

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry


def known_family(family: str | None) -> str | None:
    """Return it. PackhouseError("bad_request") for one there is none of; the type of an upload is another matter."""
    if family and family not in registry.FORMATS:
        raise PackhouseError("bad_request", f"There is no package family {family[:40]!r}.", known_families())
    return family


def known_families() -> str:
    """Return the hint for who does not know."""
    return f"Known are: {', '.join(registry.FORMATS)}."
