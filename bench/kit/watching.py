"""Looks at a figure again and again while something else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

EVERY_SECONDS = 0.02


class Watch:
    """Within the block a thread asks for the figure; `most` is the largest it saw."""

    def __init__(self, figure: Callable[[], float]) -> None:
        self._figure = figure
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most = 0.0

    def _look(self) -> None:
        while not self._end.wait(EVERY_SECONDS):
            try:
                self.most = max(self.most, self._figure())
            except (FileNotFoundError, ProcessLookupError):
                continue  # a process ended while we looked

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
