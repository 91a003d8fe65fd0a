"""How bad a vulnerability is: CVSS scores from vectors, and the one score that stands for many.

Scores are integer tenths everywhere: 98 is 9.8. The score is computed from the vector, never taken from a feed.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from cvss import CVSS2, CVSS3, CVSS4, CVSSError  # type: ignore[import-untyped]  # ships no types

from packhouse.security.vulnerabilities.advisory import Status, Vector

Edition = Literal["2.0", "3.0", "3.1", "4.0"]

_EDITIONS: tuple[Edition, ...] = ("4.0", "3.1", "3.0", "2.0")
_CALCULATORS = {"2.0": CVSS2, "3.0": CVSS3, "3.1": CVSS3, "4.0": CVSS4}
#: how much longer than any vector a text must be that nobody wants to parse: CVSS 4.0 has 32 short metrics
_LONGEST = 500


def read_vector(text: str, source: str = "") -> tuple[Vector | None, str]:
    """Return a CVSS rating with its score in tenths, or None and the reason why the text is no vector.

    The prefix ("CVSS:3.1/") may be missing, and the brackets of CVSS 2.0 be there; the vector that is returned has
    them as its specification says. For 2.0 and 3.x the score is the base score, whatever temporal and environmental
    metrics follow; CVSS 4.0 has one score, of all metrics given (specification 4.0, section 1.3).
    """
    bare = text.strip()
    if len(bare) > _LONGEST:
        return None, f"A CVSS vector is not {len(bare)} characters long."
    edition, metrics = _split(bare)
    if edition is None:
        return None, f"{bare[:40]!r} is of no CVSS version we know: {', '.join(reversed(_EDITIONS))}."
    vector = metrics if edition == "2.0" else f"CVSS:{edition}/{metrics}"
    try:
        score = Decimal(str(_CALCULATORS[edition](vector).base_score))
    except CVSSError as error:
        return None, f"{error}."
    return Vector(edition, vector, int(score * 10), source), ""


def decimal(tenths: int | None) -> float | None:
    """Return a score as it goes out: 9.8 for 98; None stays None.

    The quotient of tenths and ten is the number nearest to the decimal, so that it is written as the decimal.
    """
    return None if tenths is None else tenths / 10


def headline(vectors: Iterable[Vector]) -> int | None:
    """Return the score of a vulnerability: the highest of the newest CVSS it is rated by, None without any."""
    return max(((vector.version[0], vector.score) for vector in vectors), default=(None, None))[1]


def headline_of_package(items: Iterable[tuple[Status, int | None]]) -> int | None:
    """Return the score of a package or file: the highest of what is active or reported in it.

    Only when nothing is, the highest of what was cleared, mitigated or disputed. `items` are status and score of each
    vulnerability; None says that there is no score, which is what an open one without a score leaves it at.
    """
    known = list(items)
    still_open = [score for status, score in known if status in ("active", "reported")]
    scores = still_open or [score for _, score in known]
    return max((score for score in scores if score is not None), default=None)


def _split(text: str) -> tuple[Edition | None, str]:
    """Return the CVSS version of a vector and its metrics. Without a prefix, the metrics tell: each has its own."""
    for edition in _EDITIONS:
        if text.startswith(f"CVSS:{edition}/"):
            return edition, text.removeprefix(f"CVSS:{edition}/")
    if text.startswith("CVSS:"):
        return None, text
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    named = {field.partition(":")[0] for field in text.split("/")}
    telling: tuple[tuple[str, Edition], ...] = (("Au", "2.0"), ("VC", "4.0"), ("PR", "3.1"))
    return next((edition for metric, edition in telling if metric in named), None), text
