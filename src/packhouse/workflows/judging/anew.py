"""Another engine than the one that files were judged by takes over: every name is judged again, some at a time.

A release may decide otherwise about the same facts. Names are all it takes: judging one looks at its advisories, the
verdicts of all rulesets that hold or are about to, every channel's reasons, and asks for closures.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from packhouse.catalog.policies import engine
from packhouse.catalog.policies.engine import Judging
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.log import get_logger
from packhouse.security.engine import ENGINE

#: names that are let be judged together
NAMES = 1000

log = get_logger("packhouse.judging")


async def is_due(reader: Reader) -> bool:
    """Say whether anything was judged by another engine and waits, whether that has begun or not."""
    now = await engine.judging(reader)
    return now.number != ENGINE or now.following is not None


async def take_over(db: Database) -> bool:
    """Let the next names be judged that were judged by another engine; False when there is none left.

    Whoever calls it again, after a crash and in another process, too, goes on where the last one ended.
    """
    before = await engine.judging(db)
    if before.number == ENGINE and before.following is None:
        return False
    if before.following != ENGINE:
        log.info("another engine judges everything anew", before=before.number, now=ENGINE)
    after = before.reached if before.following == ENGINE else ""
    names = await engine.names_after(db, after, NAMES)
    packages = await engine.packages(db, names)
    now = Judging(before.number, ENGINE, names[-1]) if len(names) == NAMES else Judging(ENGINE, None, "")
    await db.write(partial(_go_on, before=before, now=now, packages=packages))
    return True


async def _go_on(unit: Unit, before: Judging, now: Judging, packages: Sequence[tuple[str, str]]) -> None:
    if await engine.judging(unit) == before:  # else another process was first
        await unjudged.add(unit, packages)
        await engine.set_judging(unit, now)
