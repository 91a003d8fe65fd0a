"""Structured logs: one event name and named values, as text for people or JSON for collectors."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any


class Logger:
    """A logger whose methods take an event and named values. Values are never secrets: mask before logging."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, **values: Any) -> None:
        """Something went as it should and is worth knowing."""
        self._logger.info(event, extra={"values": values})

    def warning(self, event: str, **values: Any) -> None:
        """Something needs attention, but work goes on."""
        self._logger.warning(event, extra={"values": values})

    def exception(self, event: str, **values: Any) -> None:
        """A fault of our own, with its trace."""
        self._logger.exception(event, extra={"values": values})


def get_logger(name: str) -> Logger:
    """Return the logger of a module."""
    return Logger(name)


Mask = Callable[[str], str]


class _Text(logging.Formatter):
    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        values = " ".join(f"{key}={value!r}" for key, value in getattr(record, "values", {}).items())
        line = f"{self.formatTime(record)} {record.levelname.lower():7} {record.name}: {record.getMessage()} {values}"
        return self._mask(line.rstrip() + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""))


class _Json(logging.Formatter):
    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._mask(record.getMessage()),
            # each by itself, as quotes within quotes would hide from a mask where a secret ends
            **{
                key: value if isinstance(value, int | float | None) else self._mask(str(value))
                for key, value in getattr(record, "values", {}).items()
            },
        }
        if record.exc_info:
            line["trace"] = self._mask(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def configure(form: str, level: str, mask: Mask) -> None:
    """Send logs to standard error. `form` is `text` or `json`.

    Every line goes through `mask`: what libraries and traces say is not written by us, and could hold a credential.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(mask) if form == "json" else _Text(mask))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "alembic", "_granian", "granian.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
