"""Look into untrusted files in a process that can do no harm: little memory, no files written, ended when it hangs.

One worker for small files and one for large ones, started when first needed and kept; requests and replies are
messages over a socket, many together for a batch, so that a small package costs a fraction of a millisecond more than
reading it here. The worker runs `python -m packhouse.formats.archives.sandbox`. Messages are a 4-byte big-endian length
and msgpack.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.formats.archives.limits import KIB, MIB
from packhouse.formats.base import Facts, Malformed

#: files above this go to the worker for large ones, so that nobody waits for them
LARGE = 8 * MIB
#: address space over what the worker has when it is ready
MEMORY = 512 * MIB
#: seconds for any file, and bytes for which one second more is granted (bzip2 is ten times slower than zstd)
SECONDS = 5.0
SPEED = {".conda": 20 * MIB, ".tar.bz2": 3 * MIB}
_SPEED_ELSE = 5 * MIB
#: seconds for a worker to start, which are no file's: a busy machine needs many to import what the worker does
START_SECONDS = 60.0
_READY = b"!"  #: what a worker says first
#: bytes of answers the worker keeps until all requests that came together are done; each write wakes the other side
_ANSWERS = 256 * KIB
_TOO_MUCH = "The file could not be read within the limits of time and memory for its size."


class Request(msgspec.Struct):
    """Please inspect this file; `filename` is its name as a package."""

    path: str
    filename: str


class Reply(msgspec.Struct):
    """What the file says, or why it is refused."""

    facts: Facts | None = None
    refused: str = ""


_requests = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)


def seconds_for(filename: str, size: int) -> float:
    """Return how long inspecting a file of `size` bytes may take."""
    return SECONDS + _reading_seconds(filename, size)


def _reading_seconds(filename: str, size: int) -> float:
    return size / next((speed for extension, speed in SPEED.items() if filename.endswith(extension)), _SPEED_ELSE)


class Worker:
    """One limited process and the socket to it; serves one request at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._ready = False
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def ask(self, requests: Sequence[Request], seconds: float) -> list[Reply]:
        """Return the replies to requests, whose frames together fit a socket: some hundred.

        Malformed when answering them all takes too long or breaks the worker; PackhouseError("try_later") when it
        cannot be started, which says nothing about the files.
        """
        async with self._turn:
            await self._until_ready()
            try:
                return await self._in_time(requests, seconds)
            except (ConnectionError, EOFError):
                await self._until_ready()  # it may have died before, of something else: try once anew
            try:
                return await self._in_time(requests, seconds)
            except (ConnectionError, EOFError) as error:
                raise Malformed(_TOO_MUCH) from error

    async def start(self) -> None:
        """Start the process unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220  a fork and exec of about 2 ms, once per worker
                [sys.executable, "-P", "-m", "packhouse.formats.archives.sandbox"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                process_group=0,  # Ctrl-C in a terminal is for whoever started us; this one ends when we close it
                env={key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if key in os.environ},
            )
        ours.setblocking(False)
        self._socket = ours

    async def _until_ready(self) -> None:
        await self.start()
        if self._ready:
            return
        assert self._socket is not None  # start() made it
        try:
            async with asyncio.timeout(START_SECONDS):
                self._ready = await asyncio.get_running_loop().sock_recv(self._socket, len(_READY)) == _READY
        except (TimeoutError, ConnectionError):
            pass
        if not self._ready:
            self.close()
            raise PackhouseError(
                "try_later", "The process that looks into packages does not start.", "Try again shortly.", retry_after=5
            )

    async def _in_time(self, requests: Sequence[Request], seconds: float) -> list[Reply]:
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(requests)
        except BaseException as error:
            self.close()  # its answer would be taken for that of the next request
            if isinstance(error, TimeoutError):
                raise Malformed(_TOO_MUCH) from error
            raise

    async def _exchange(self, requests: Sequence[Request]) -> list[Reply]:
        """Send all at once, so that the worker need not wait for this process between two of them."""
        assert self._socket is not None  # it is ready
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, b"".join(_frame(msgspec.msgpack.encode(one)) for one in requests))
        data, replies = bytearray(), list[Reply]()
        while len(replies) < len(requests):
            piece = await loop.sock_recv(self._socket, MIB)
            if not piece:
                raise EOFError
            data += piece
            while (body := _taken(data)) is not None:
                replies.append(_replies.decode(body))
        return replies

    def close(self) -> None:
        """End the process now."""
        self._ready = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Sandbox:
    """The two workers of one server process."""

    def __init__(self) -> None:
        self._small = Worker()
        self._large = Worker()

    async def inspect(self, path: Path, filename: str) -> Facts:
        """Return what the package at `path`, named `filename`, says of itself, read in the limited process.

        Malformed with the reason it is refused; also when it cannot be read within the limits of time and memory.
        """
        size = path.stat().st_size
        worker = self._large if size > LARGE else self._small
        (reply,) = await worker.ask([_request(path, filename)], seconds_for(filename, size))
        if reply.facts is None:
            raise Malformed(reply.refused)
        return reply.facts

    async def inspect_all(self, files: Sequence[tuple[Path, str]]) -> list[Facts | Malformed]:
        """Do so for some hundred files, with few messages; each gets its facts or its refusal."""
        sizes = [path.stat().st_size for path, _ in files]
        together = [(*one, size) for one, size in zip(files, sizes, strict=True) if size <= LARGE]
        small = iter(await self._inspected_together(together))
        return [
            next(small) if size <= LARGE else await self._inspected(*one)
            for one, size in zip(files, sizes, strict=True)
        ]

    async def _inspected_together(self, files: Sequence[tuple[Path, str, int]]) -> list[Facts | Malformed]:
        if not files:
            return []
        seconds = SECONDS + sum(_reading_seconds(filename, size) for _, filename, size in files)
        try:
            replies = await self._small.ask([_request(path, filename) for path, filename, _ in files], seconds)
        except Malformed:  # one of them: each gets the time that is its own
            return [await self._inspected(path, filename) for path, filename, _ in files]
        return [reply.facts or Malformed(reply.refused) for reply in replies]

    async def _inspected(self, path: Path, filename: str) -> Facts | Malformed:
        try:
            return await self.inspect(path, filename)
        except Malformed as fault:
            return fault

    async def start(self) -> None:
        """Start the worker for small files, so that the first upload need not wait for it."""
        await self._small.start()

    def close(self) -> None:
        """End both workers."""
        self._small.close()
        self._large.close()


def _request(path: Path, filename: str) -> Request:
    return Request(str(path.absolute()), filename)


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _taken(data: bytearray) -> bytes | None:
    """Take the first message from what was received; None while it is not whole."""
    if len(data) < 4 or len(data) < (end := 4 + int.from_bytes(data[:4], "big")):
        return None
    body = bytes(data[4:end])
    del data[:end]
    return body


# ---------------------------------------------------------------- the worker's side


def _limit() -> None:
    """Take from this process what it does not need: memory, open files, written files, core dumps."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        ceiling = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    for kind, value in ((resource.RLIMIT_NOFILE, 16), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (value, value))


def _answer(request: Request) -> Reply:
    from packhouse.formats import registry  # here, since the formats import this package

    try:
        return Reply(registry.identify(request.filename).inspect(Path(request.path), request.filename))
    except Malformed as error:
        return Reply(refused=str(error))
    except (MemoryError, RecursionError):
        return Reply(refused=_TOO_MUCH)
    except Exception as error:
        return Reply(refused=f"The file could not be read: {type(error).__name__}.")


def _serve() -> None:
    """Answer requests from standard input until it is closed; what came together is answered together."""
    received, answers = bytearray(), bytearray()
    while piece := os.read(0, 64 * KIB):
        received += piece
        while (body := _taken(received)) is not None:
            answers += _frame(msgspec.msgpack.encode(_answer(_requests.decode(body))))
            if len(answers) > _ANSWERS:
                _write(answers)
        _write(answers)


def _write(answers: bytearray) -> None:
    with memoryview(answers) as rest:
        sent = 0
        while sent < len(rest):
            sent += os.write(1, rest[sent:])
    answers.clear()


def main() -> None:
    """Answer requests from standard input until it is closed."""
    from packhouse.formats import registry

    registry.identify("ready-1-0.conda")  # everything is imported before memory is limited
    _limit()
    with contextlib.suppress(ConnectionError):
        os.write(1, _READY)
        _serve()


if __name__ == "__main__":
    main()
