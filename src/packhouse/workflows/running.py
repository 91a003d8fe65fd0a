"""The life of what runs again and again as a job, a mirror or a feed: offered, begun, begun anew when edited, failed.

Its row is the truth and the job only the means: `catalog.runs` has what the row says of runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from packhouse.catalog.runs import Requests
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import Job, RunEnded, list_jobs, submit
from packhouse.core.log import Logger


class Edited(Exception):
    """What runs was edited or deleted meanwhile: the run begins anew with what it is now."""


class Begun(Protocol):
    """A run that has begun."""

    @property
    def progress(self) -> Requests:
        """What is shown of it, and what people ask of the next."""


T = TypeVar("T", bound=Begun)


async def run_again(
    begin: Callable[[], Awaitable[T | None]],
    run: Callable[[T], Awaitable[None]],
    fail: Callable[[T, str], Awaitable[None]],
) -> None:
    """Run, again when it is edited meanwhile or somebody asks for another run.

    `begin` returns None when there is nothing to run; `fail` writes down why a run failed. What ended it is raised.
    """
    while (turn := await begin()) is not None:
        try:
            await run(turn)
            if not turn.progress.asked_by:
                return
        except Edited:
            continue
        except RunEnded:
            raise  # stopped, lost or handed back: whoever wanted that has written it down
        except PackhouseError as fault:
            if fault.code == "try_later":
                raise  # a part of this server is away: the job waits and begins anew
            await fail(turn, str(fault))
            raise
        except Exception as fault:
            await fail(turn, f"A fault of the server itself ({type(fault).__name__}); the worker's log says more.")
            raise


async def offer(unit: Unit, kind: str, subject: str) -> None:
    """Submit a job. While an earlier one is still being cancelled, the next round will."""
    try:
        await submit(unit, kind, subject, {})
    except PackhouseError as error:
        if error.code != "conflict":
            raise


async def latest_job(reader: Database | Unit, kind: str, subject: str) -> Job | None:
    """Return the job that was submitted last."""
    return next(iter(await list_jobs(reader, kind=kind, subject=subject, limit=1)), None)


async def see_to(step: Awaitable[object], log: Logger, **which: Any) -> None:
    """Do one step of a round; what goes wrong with one does not hold up the others, and is tried again next round."""
    try:
        await step
    except Exception:
        log.exception("could not be seen to; its turn comes again in the next round", **which)
