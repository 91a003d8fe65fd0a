"""What one run of the benches has in hand: its size, its folder, and what must be stopped at the end."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.kit.services import S3, Postgres, postgres, s3

SQLITE, POSTGRES, POSTGRES_3 = "SQLite + folder", "PostgreSQL + S3", "PostgreSQL + S3, 3 processes"

#: files in the largest channel on PostgreSQL
LARGEST_BESIDE = 100_000


class Missing(Exception):
    """A peer or a tool is not here; the text says which, and how to get it."""


@dataclass(slots=True)
class Context:
    """One run. `small` is for CI: every script runs, no figure means anything."""

    small: bool
    folder: Path  #: scratch; removed at the end unless the caller keeps it
    setups: tuple[str, ...]
    peers: bool  #: whether peers run too
    stack: ExitStack
    largest: int = 1_000_000  #: files in the largest channel
    notes: list[str] = field(default_factory=list)
    kept: dict[tuple[object, ...], Any] = field(default_factory=dict)  #: costly things made once per run
    _services: tuple[Postgres, S3] | None = None

    @property
    def rounds(self) -> int:
        """How often a short measurement is repeated for its median."""
        return 1 if self.small else 3

    @property
    def large_sizes(self) -> list[int]:
        """The largest channel for every set-up, and the largest of all."""
        return sorted({min(self.largest, LARGEST_BESIDE), self.largest})

    @property
    def sizes(self) -> list[int]:
        """How many files the channels have that something is measured in."""
        return [size for size in (1000, 10_000, 100_000, 1_000_000) if size <= self.largest]

    def setups_for(self, records: int) -> list[str]:
        """Return the set-ups that are measured at this size: filling PostgreSQL with a million takes too long."""
        return [one for one in self.setups if one == SQLITE or records <= LARGEST_BESIDE]

    def pick(self, small: int, full: int) -> int:
        """Return the number that fits the size of this run."""
        return small if self.small else full

    def services(self) -> tuple[Postgres, S3]:
        """Return a PostgreSQL cluster and an S3 server, started when first asked for. Raises Missing."""
        if self._services is None:
            try:
                self._services = self.stack.enter_context(postgres()), self.stack.enter_context(s3())
            except pytest.skip.Exception as skipped:
                raise Missing(str(skipped)) from None
        return self._services

    def note(self, text: str) -> None:
        """Say something about this run below its table, once."""
        if text not in self.notes:
            self.notes.append(text)
            self.say(text)

    def say(self, text: str) -> None:
        """Tell whoever waits what happens."""
        print(f"  {text}", file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """Return the folder outside the checkout where peers are installed once."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("PACKHOUSE_BENCH_CACHE") or Path(base) / "packhouse-bench")
