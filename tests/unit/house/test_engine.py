"""Who changes what the engine says raises its number, so that installations judge anew what they have.

What it said when the number was given is in `engine.txt`, for many samples. `python -m tests.unit.house.test_engine`
writes them anew after the number was raised; with `--same`, without: for other samples, or more of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from packhouse.security.engine import ENGINE
from tests.kit.outcomes import outcomes
from tests.unit.security.policies.test_random_decisions import judged

KEPT = Path(__file__).with_name("engine.txt")
WRITE = "python -m tests.unit.house.test_engine"


def _said() -> list[str]:
    return [f"engine {ENGINE}", *(line.rstrip() for line in outcomes(judged))]


def test_an_engine_that_says_something_else_has_another_number() -> None:
    kept, said = KEPT.read_text().splitlines(), _said()
    assert kept[0] == said[0], f"The engine has another number. Keep what it says now, with samples of that: {WRITE}"
    other = [f"{before}\n  now: {now}" for before, now in zip(kept, said, strict=False) if before != now]
    assert kept == said, (
        f"The engine says something else than before, of {len(other)} samples:\n"
        + "\n".join(other[:5])
        + f"\nIf that is meant, raise ENGINE in security/engine.py, so that installations judge anew; then: {WRITE}\n"
        f"If only the samples are others: {WRITE} --same"
    )


def _write(same: bool) -> None:
    kept, said = KEPT.read_text().splitlines() if KEPT.exists() else [""], _said()
    if kept[0] == said[0] and kept != said and not same:
        raise SystemExit("It says something else under the same number: raise ENGINE in security/engine.py first.")
    KEPT.write_text("\n".join(said) + "\n")


if __name__ == "__main__":
    _write("--same" in sys.argv)
