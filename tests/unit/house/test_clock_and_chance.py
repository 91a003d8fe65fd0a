"""No clock and no randomness outside `core`: what decides about packages must give the same answer twice."""

from __future__ import annotations

import re

from tests.unit.house.sources import Use, sources, uses

#: reading the time or rolling dice; formatting a given time is neither
_READS = re.compile(
    r"time\.(time|monotonic|perf_counter|process_time|clock_gettime)(_ns)?"
    r"|datetime\.datetime\.(now|utcnow|today)|datetime\.date\.today"
    r"|os\.(urandom|getrandom)|uuid\.uuid[1467]|(random|secrets)(\..+)?"
)


def clocks_and_dice() -> list[tuple[str, Use]]:
    """Return every use of a clock or of randomness outside core."""
    return [
        (source.name, use)
        for source in sources()
        if not source.name.startswith("src/packhouse/core/")
        for use in uses(source)
        if _READS.fullmatch(use.name)
    ]


def test_only_core_reads_a_clock_or_rolls_dice() -> None:
    assert clocks_and_dice() == [], "take the time from the unit of work or core.clock, randomness from core"


def test_the_rule_sees_aliases() -> None:
    for name in ("time.time", "datetime.datetime.now", "secrets.token_hex", "random", "uuid.uuid4"):
        assert _READS.fullmatch(name)
    for name in ("time.gmtime", "datetime.datetime.fromisoformat", "uuid.UUID", "time.struct_time"):
        assert not _READS.fullmatch(name)
