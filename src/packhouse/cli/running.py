"""Starting the server and its workers as processes of this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces

from packhouse.core import log
from packhouse.core.settings import DESCRIPTIONS, PREFIX, Settings, load

#: wait before a worker that ended is started again, in seconds
RESTART_SECONDS = 2.0


def settings_of(
    data: Path | None, host: str | None = None, port: int | None = None, admin_password: str | None = None
) -> Settings:
    """Return the settings, with what the command line says on top, and send logs where they say."""
    settings = load(data_dir=data, host=host, port=port, admin_password=admin_password)
    log.configure(settings.log_format, settings.log_level)
    return settings


def serve(
    settings: Settings, *, processes: int = 1, worker: bool = True, ready: Callable[[], None] = lambda: None
) -> None:
    """Prepare the installation and serve until a signal ends it; `ready` runs beside, in a thread of its own."""
    from packhouse.app import prepare

    password = asyncio.run(prepare(settings))
    if password is not None:
        sys.stdout.write(f"User `admin` was made. Its password, shown this once: {password}\n")
    sys.stdout.write(f"Packhouse serves http://{settings.host}:{settings.port}/ from {settings.data_dir}\n")
    sys.stdout.flush()
    _export(settings)
    beside = Beside([sys.executable, "-m", "packhouse", "worker", "--until-stdin-closes"]) if worker else None
    threading.Thread(target=ready, daemon=True).start()
    try:
        Granian(
            "packhouse.app:create_from_environment",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            factory=True,
            workers=processes,
            websockets=False,
            log_access=False,
            log_enabled=False,
            respawn_failed_workers=True,
        ).serve()
    finally:
        if beside is not None:
            beside.stop()


def worker(settings: Settings, *, until_stdin_closes: bool = False) -> None:
    """Run jobs and duties until a signal comes, or until whoever holds our standard input is gone."""
    from packhouse.app import WorkerProcess

    async def run() -> None:
        process = WorkerProcess(settings)
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        if until_stdin_closes:
            threading.Thread(target=_at_end_of_stdin, args=(loop, ended.set), daemon=True).start()
        await process.run(ended)

    asyncio.run(run())


class Beside:
    """A worker process that lives as long as this one: it ends when the pipe to it closes, even after `kill -9`."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._stopping = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE)

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._stopping.wait(RESTART_SECONDS):
                return
            self._process = self._start()

    def stop(self) -> None:
        """Let the worker hand its jobs back and end."""
        self._stopping.set()
        if self._process.poll() is None:
            self._process.terminate()
        self._keeper.join(timeout=20)


def _at_end_of_stdin(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(then)


def _export(settings: Settings) -> None:
    """Hand the settings to the processes we start, the way any administrator would."""
    for name in DESCRIPTIONS:
        os.environ[PREFIX + name.upper()] = str(getattr(settings, name))
