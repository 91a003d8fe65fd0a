"""Starting the server and its workers as processes of this machine."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.server.common import AbstractServer

from packhouse.cli.address import Address
from packhouse.core import log, tls
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import DESCRIPTIONS, PREFIX, Settings, load, similar, unknown_variables
from packhouse.doors.credentials import mask

_log = log.get_logger(__name__)
#: wait before a worker that ended is started again, in seconds
RESTART_SECONDS = 2.0


def settings_of(data: Path | None, host: str | None = None, port: int | None = None, **given: Any) -> Settings:
    """Begin a process: return the settings, with what the command line says on top, and send logs where they say.

    What the process and those it starts write from now on is for its user only.
    """
    os.umask(0o077)
    settings = load(data_dir=data, host=host, port=port, **given)
    log.configure(settings.log_format, settings.log_level, mask)
    known = [PREFIX + name.upper() for name in DESCRIPTIONS]
    for name in unknown_variables():
        _log.warning(f"The environment variable {name} sets nothing. {similar(name, known)}".rstrip())
        del os.environ[name]  # so that the processes we start do not say it again
    return settings


def serve(
    settings: Settings,
    address: Address,
    *,
    processes: int = 1,
    worker: bool = True,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Prepare the installation and serve at an address that `claim` gave, until a signal ends it.

    `ready` runs beside, in a thread of its own, once requests are answered; a PackhouseError of it ends the server.
    Raises that one, and PackhouseError when the installation cannot be prepared.
    """
    pair = tls.given(settings)
    _load_server()
    password = _prepared(settings)
    if password is not None:
        _say(f"User `admin` was made. Its password, shown this once: {password}")
    if settings.tls_self_signed:
        pair, instead = tls.self_signed(settings)
        if instead:
            _say(f"A new certificate was made in place of the one before: {instead}. Give clients the new file.")
        _say(f"The certificate signs itself; clients have to trust the file {pair.certificate}")
    _export(settings)
    beside = Beside([sys.executable, "-m", "packhouse", "worker", "--until-stdin-closes"]) if worker else None
    server = _granian(address, processes, pair)
    _let_children_end()
    announcing = Announcing(server, f"{_served(address)} from {settings.data_dir}", address, ready)
    server.on_startup(announcing.start)
    try:
        server.serve()
    except SystemExit as end:
        if end.code:
            raise PackhouseError(
                "internal",
                "The server processes ended by themselves, again and again.",
                "The log above says why; when it does not, the system may have ended them for want of memory.",
            ) from None
    finally:
        if beside is not None:
            beside.stop()
    if announcing.error is not None:
        raise announcing.error


def _load_server() -> None:
    """Import the server, once for this process and those that are forked from it: it takes longer than all else."""
    with _loading():
        importlib.import_module("packhouse.app")
        from packhouse.doors.api import application

        application()


@contextmanager
def _loading() -> Iterator[None]:
    """Let the collector rest while modules come in, a tenth of the time, and never look at them afterwards.

    What it does not touch, processes that are forked from this one share.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _prepared(settings: Settings) -> str | None:
    with ProcessPoolExecutor(1, get_context("fork")) as beforehand:
        try:
            return beforehand.submit(_prepare, settings).result()
        except BrokenProcessPool:
            raise PackhouseError(
                "internal",
                "The process that prepares the installation was killed, perhaps for want of memory.",
                "Start again: it goes on where it was.",
            ) from None


def _prepare(settings: Settings) -> str | None:
    """Prepare the installation, in a process of its own: the server processes are forked from this one, and what an S3
    client or a pool of connections leaves behind, threads and locks among it, would hang them.
    """
    from packhouse.app import prepare

    return asyncio.run(prepare(settings))


def _granian(address: Address, processes: int, pair: tls.Pair | None) -> AbstractServer[Any]:
    return Granian(
        "packhouse.app:create_from_environment",
        address=address.ip,
        port=address.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        factory=True,
        workers=processes,
        websockets=False,
        log_access=False,
        log_enabled=False,
        respawn_failed_workers=True,
        ssl_cert=pair.certificate if pair else None,
        ssl_key=pair.key if pair else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )


def _let_children_end() -> None:
    """Let a process that is forked from now on end of the signals that ask for it, until it handles them itself.

    Granian forks with handlers that only note the signal for the server: a process that was still loading when its
    server was asked to end would not hear of it, and the server would wait for it for ever. A signal that comes in
    between is held back until it can be obeyed.
    """
    numbers = {signal.SIGTERM, signal.SIGINT}

    def child() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, numbers),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, numbers),
        after_in_child=child,
    )


def _served(address: Address) -> str:
    elsewhere = f" (from other machines {address.elsewhere}/)" if address.elsewhere else ""
    return f"Packhouse serves {address.url}/{elsewhere}"


class Announcing(threading.Thread):
    """Says that the server is there when it is, then does what the caller wants done with it."""

    def __init__(self, server: AbstractServer[Any], line: str, address: Address, ready: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._server, self._line, self._address, self._ready = server, line, address, ready
        self.error: PackhouseError | None = None  #: why this thread ended the server

    def run(self) -> None:
        self._address.wait_until_served()
        _say(self._line)
        try:
            self._ready()
        except PackhouseError as error:
            time.sleep(0.2)  # a signal to all our processes reaches some of them first
            if not self._server.interrupt_signal:
                self.error = error
                os.kill(os.getpid(), signal.SIGTERM)


def worker(settings: Settings, *, until_stdin_closes: bool = False) -> None:
    """Run jobs and duties until a signal comes, or until whoever holds our standard input is gone."""
    holder = _Holder()
    if until_stdin_closes:
        holder.start()
    with _loading():
        from packhouse.app import WorkerProcess

    async def run() -> None:
        process = WorkerProcess(settings)
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        holder.gone = partial(loop.call_soon_threadsafe, ended.set)
        await process.run(ended)

    asyncio.run(run())


class Beside:
    """A worker process that lives as long as this one: it ends when the pipe to it closes, even after `kill -9`."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._stopping = threading.Event()
        self._turn = threading.Lock()  #: held to start a process and to end it
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        # a process group of its own: Ctrl-C in a terminal is for us, and we end the worker
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, process_group=0)

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._stopping.wait(RESTART_SECONDS):
                return
            with self._turn:
                if self._stopping.is_set():
                    return
                self._process = self._start()

    def stop(self) -> None:
        """Let the worker hand its jobs back and end."""
        self._stopping.set()
        with self._turn:  # or one that is being started now would never hear of it
            if self._process.poll() is None:
                self._process.terminate()
        self._keeper.join(timeout=20)


class _Holder(threading.Thread):
    """Waits until whoever holds our standard input is gone, and then does `gone`: ends this process at once as long as
    it only loads what it needs, which takes seconds where much else is going on.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.gone: Callable[[], object] = partial(os._exit, 1)

    def run(self) -> None:
        """Read until the end."""
        while os.read(0, 4096):
            pass
        self.gone()


def _export(settings: Settings) -> None:
    """Hand the settings to the processes we start, the way any administrator would."""
    for name in DESCRIPTIONS:
        os.environ[PREFIX + name.upper()] = str(getattr(settings, name))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
