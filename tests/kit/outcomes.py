"""What the engine says of many samples, one a line: by it a test notices that it says something else than before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

import msgspec

from packhouse.core.clock import DAY
from packhouse.formats import registry
from packhouse.security.vulnerabilities.advisory import Advisory, Affected, Event
from packhouse.security.vulnerabilities.aliases import Origin, aliases_of, known_names, resolve
from packhouse.security.vulnerabilities.matching import match
from packhouse.security.vulnerabilities.orders import order_of
from tests.kit.chances import Chance
from tests.kit.oracle import Case

NOW = 20_600 * DAY  # in 2026
#: random channels that are judged
CHANNELS = 150
VERSIONS = (
    "0", "0.0.1", "1", "1.0", "1.0.0", "1.0.0a1", "1.0.0b2", "1.0.0rc1", "1.0.0-rc.1", "1.0.0-alpha.2", "1.0.dev3",
    "1.0.post1", "1.0.0.post2", "1.0+cu118", "1.0.1", "1.0.1a", "1.0.1b", "1.0_2", "1.0-2", "1.1", "1.1.1w", "1.1.1za",
    "1.2.3", "1.9", "1.10", "1!0.5", "2.0*", "2.0.0+build.5", "2024.2.2", "20240131", "v2.1", "9e", "9f", "main", "r5",
)  # fmt: skip
SCALES = ("PyPI", "CRAN", "npm", "Go", "crates.io", "Bitnami", "Maven", "conda", "GIT")
MATCHED = ("PyPI", "CRAN", "npm", "Bitnami", "conda")
RANGES = (
    (("introduced", "0"),),
    (("introduced", "0"), ("fixed", "1.0.1")),
    (("introduced", "1.0.0"), ("last_affected", "1.1")),
    (("introduced", "1.0.0rc1"), ("fixed", "1.1.1w"), ("introduced", "1.9"), ("fixed", "2.0.0")),
    (("introduced", "1.10"), ("limit", "2.1")),
    (("introduced", "0"), ("fixed", "9f")),
)
NAMES = (
    "pillow", "openssl", "r-curl", "bioconductor-rsamtools", "python", "numpy", "libcurl", "nodejs", "ripgrep", "go",
    "pytorch", "py-opencv", "opencv", "tensorflow-base", "nobody-knows",
)  # fmt: skip
ORIGINS: dict[str, tuple[Origin, ...]] = {
    "nothing": (),
    "python": (Origin("1.0", ("python",)),),
    "r": (Origin("1.0", ("r-base",)),),
    "purl": (Origin("1.0", ("python",), ("pkg:pypi/Some_Thing@1.0",)),),
    "recipe": (Origin("1.0", (), (), ("pkg:github/acme/tool@v1.0", "pkg:pypi/tool@1.0")),),
    "contents": (Origin("1.0", (), (), (), (("PyPI", "pillow", "1.0"), ("PyPI", "vendored", "0.1"))),),
}


def outcomes(judged: Callable[[Case], tuple[set[str], Any]]) -> list[str]:
    """Return what is said now, one sample a line. `judged` says which files of a channel the rules let be seen."""
    return [_map(), *_orders(), *_matches(), *_aliases(), *_channels(judged)]


def _map() -> str:
    known = known_names()
    text = json.dumps([msgspec.to_builtins(known.is_), msgspec.to_builtins(known.is_not)], sort_keys=True)
    return f"map {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _orders() -> Iterator[str]:
    for family, format in registry.FORMATS.items():
        yield f"order of {family}: {_in_order(VERSIONS, format.order)}"
    for ecosystem in SCALES:
        read = order_of(ecosystem, "python").own.read
        known = [version for version in VERSIONS if read(version) is not None]
        yield f"scale of {ecosystem}: {_in_order(known, read)}"


def _in_order(versions: Sequence[str], key: Callable[[str], Any]) -> str:
    def compare(one: str, other: str) -> int:
        left, right = key(one), key(other)
        return 0 if left == right else -1 if left < right else 1

    ordered = sorted(versions, key=cmp_to_key(compare))
    signs = [f" {'=' if compare(one, other) == 0 else '<'} {other}" for one, other in pairwise(ordered)]
    return "".join([*ordered[:1], *signs])


def _matches() -> Iterator[str]:
    for ecosystem in MATCHED:
        for number, events in enumerate(RANGES):
            said = Affected(ecosystem, "demo", (tuple(Event(*event) for event in events),), ("1.1.1za",))  # type: ignore[arg-type]  # its words are above
            for family in registry.FORMATS:
                found = match([Advisory("A-1", affected=(said,))], [(ecosystem, "demo")], VERSIONS, family)
                words = " ".join(f"{VERSIONS[one.version]}→{one.fixed_in or '-'}" for one in found)
                yield f"range {number} of {ecosystem} for {family}: {words}"


def _aliases() -> Iterator[str]:
    for name in NAMES:
        for what, origins in ORIGINS.items():
            for family in registry.FORMATS:
                found = resolve(aliases_of(family, name, origins))
                words = " ".join(f"{one.ecosystem}/{one.upstream}({one.provenance})" for one in found)
                yield f"{family} {name} by {what}: {words}"


def _channels(judged: Callable[[Case], tuple[set[str], Any]]) -> Iterator[str]:
    for seed in range(CHANNELS):
        case = Chance(seed).case(NOW)
        seen, _ = judged(case)
        marks = "".join("." if file.ckey in seen else "x" for file in case.files)
        yield f"channel {seed} ({' '.join(sorted(case.fields or ())) or 'no policy'}): {marks}"
