"""Figures and the table they are printed in."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: units of which more is better; of all others less is
RATES = frozenset({"/s", "MB/s"})


@dataclass(slots=True)
class Line:
    """One kind of work: what we need for it in each set-up, what each peer needs, and what was aimed at."""

    work: str
    unit: str  #: "ms", "s", "MB" or one of `RATES`
    goal: str = "-"
    ours: dict[str, float] = field(default_factory=dict)  #: set-up → figure
    peers: dict[str, float] = field(default_factory=dict)  #: peer → figure

    def best_peer(self) -> tuple[str, float] | None:
        """Return the peer with the best figure, or None when no peer ran."""
        pick = max if self.unit in RATES else min
        return pick(self.peers.items(), key=lambda one: one[1]) if self.peers else None

    def ratio(self, setup: str) -> float | None:
        """Return how many times better we are in one set-up than the best peer."""
        best = self.best_peer()
        if best is None or not self.ours.get(setup) or not best[1]:
            return None
        return self.ours[setup] / best[1] if self.unit in RATES else best[1] / self.ours[setup]


def number(value: float, unit: str) -> str:
    """Return a figure with three significant digits and its unit."""
    text = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return f"{text}{unit if unit.startswith('/') else ' ' + unit}"


def table(lines: Iterable[Line], setups: Sequence[str]) -> str:
    """Return the lines as a Markdown table; the ratio is of the first set-up and the best peer."""
    head = ["work", *setups, "peers", "ratio", "goal"]
    rows = [head, ["---"] * len(head)]
    for line in lines:
        ratio = line.ratio(setups[0])
        rows.append(
            [
                line.work,
                *(number(line.ours[one], line.unit) if one in line.ours else "-" for one in setups),
                ", ".join(f"{peer} {number(value, line.unit)}" for peer, value in line.peers.items()) or "-",
                "-" if ratio is None else f"{number(ratio, 'x')}",
                line.goal,
            ]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 … 1) of all values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Iterable[float]) -> float:
    """Return the middle value: one slow round of a shared machine does not move it."""
    return statistics.median(values)
