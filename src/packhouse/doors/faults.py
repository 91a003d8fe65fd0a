"""Faults of our own that a workflow names itself, such as a package whose bytes are gone."""

from __future__ import annotations

from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_hex
from packhouse.doors.credentials import mask

_log = get_logger("packhouse.faults")


def told_to_the_log(error: PackhouseError, method: str, path: str) -> PackhouseError:
    """Return the error; one with the code `internal` is logged, and carries the number under which the log has it.

    Call it where the error is being handled: the log gets its trace.
    """
    if error.code == "internal" and "request_id" not in error.details:
        number = error.details["request_id"] = random_hex(8)
        _log.exception("request failed", request_id=number, method=method, path=mask(path))
        error.hint = f"{error.hint} The log has the details under {number}.".strip()
    return error
