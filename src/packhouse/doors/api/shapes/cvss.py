"""CVSS vectors as NVD's first JSON feeds wrote them, which old clients read: each metric under its name, in words.

Source: the JSON schemas of CVSS 2.0, 3.0 and 3.1 by FIRST.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packhouse.security.vulnerabilities.advisory import Vector, severity
from packhouse.security.vulnerabilities.scores import decimal

_NONE_LOW_HIGH = {"N": "NONE", "L": "LOW", "H": "HIGH"}
_IMPACT_2 = {"N": "NONE", "P": "PARTIAL", "C": "COMPLETE"}
_ATTACK_3 = {"N": "NETWORK", "A": "ADJACENT_NETWORK", "L": "LOCAL", "P": "PHYSICAL"}
#: metric → its name and the words of its values
_METRICS_2: dict[str, tuple[str, dict[str, str]]] = {
    "AV": ("accessVector", {"L": "LOCAL", "A": "ADJACENT_NETWORK", "N": "NETWORK"}),
    "AC": ("accessComplexity", {"H": "HIGH", "M": "MEDIUM", "L": "LOW"}),
    "Au": ("authentication", {"M": "MULTIPLE", "S": "SINGLE", "N": "NONE"}),
    "C": ("confidentialityImpact", _IMPACT_2),
    "I": ("integrityImpact", _IMPACT_2),
    "A": ("availabilityImpact", _IMPACT_2),
}
_METRICS_3: dict[str, tuple[str, dict[str, str]]] = {
    "AV": ("attackVector", _ATTACK_3),
    "AC": ("attackComplexity", {"L": "LOW", "H": "HIGH"}),
    "PR": ("privilegesRequired", _NONE_LOW_HIGH),
    "UI": ("userInteraction", {"N": "NONE", "R": "REQUIRED"}),
    "S": ("scope", {"U": "UNCHANGED", "C": "CHANGED"}),
    "C": ("confidentialityImpact", _NONE_LOW_HIGH),
    "I": ("integrityImpact", _NONE_LOW_HIGH),
    "A": ("availabilityImpact", _NONE_LOW_HIGH),
}


def worst(vectors: Iterable[Vector], edition: str) -> Vector | None:
    """Return the highest rating by a version of CVSS, `2`, `3` or `4`."""
    return max((one for one in vectors if one.version[0] == edition), key=lambda one: one.score, default=None)


def cvssv2(vectors: Iterable[Vector]) -> dict[str, Any] | None:
    """Return the highest rating by CVSS 2.0."""
    found = worst(vectors, "2")
    return None if found is None else {"severity": _band_2(found.score), "cvssV2": _metrics(found, _METRICS_2)}


def cvssv3(vectors: Iterable[Vector]) -> dict[str, Any] | None:
    """Return the highest rating by CVSS 3.0 or 3.1."""
    found = worst(vectors, "3")
    if found is None:
        return None
    band = severity(found.score).upper()
    return {"severity": band, "cvssV3": {**_metrics(found, _METRICS_3), "baseSeverity": band}}


def _metrics(vector: Vector, names: dict[str, tuple[str, dict[str, str]]]) -> dict[str, Any]:
    given = dict(part.partition(":")[::2] for part in vector.vector.split("/"))
    told = {name: words.get(given.get(metric, ""), "") for metric, (name, words) in names.items()}
    return {
        "version": vector.version,
        "vectorString": vector.vector,
        **{name: word for name, word in told.items() if word},
        "baseScore": decimal(vector.score),
    }


def _band_2(score: int) -> str:
    """Return NVD's band of CVSS 2.0, which has three."""
    return "HIGH" if score >= 70 else "MEDIUM" if score >= 40 else "LOW"
