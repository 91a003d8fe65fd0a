"""Cron expressions: five fields, UTC, as crontab(5) writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from packhouse.core.clock import SECOND
from packhouse.core.errors import PackhouseError

#: an expression of 60 minutes, 24 hours and 31 days, all listed, is shorter
MAX_LENGTH = 500


def next_time(cron: str, after: int) -> int:
    """Return the first moment later than `after` that the expression names; both in microseconds, UTC.

    The fields are minute, hour, day of month, month, day of week. Raises PackhouseError("bad_request") when the
    expression is not well-formed or never comes true.
    """
    if len(cron) > MAX_LENGTH or len(cron.split()) != 5:
        raise _refusal(cron, "it needs five fields: minute, hour, day of month, month, day of week")
    try:
        moment = next(CronSim(cron, datetime.fromtimestamp(after // SECOND, UTC)))
    except CronSimError as error:
        raise _refusal(cron, str(error)[:1].lower() + str(error)[1:]) from error
    except (StopIteration, ValueError) as error:
        raise _refusal(cron, "it never comes true") from error
    return int(moment.timestamp()) * SECOND


def validate(cron: str) -> None:
    """Raise PackhouseError("bad_request") unless `next_time` can use the expression."""
    next_time(cron, 0)


def _refusal(cron: str, why: str) -> PackhouseError:
    return PackhouseError(
        "bad_request",
        f"The schedule {cron[:100]!r} is not a cron expression: {why}.",
        "Write for example `30 2 * * *` for every day at 02:30 UTC.",
    )
