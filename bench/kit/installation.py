"""An installation of Packhouse for a bench: its settings, its token, its server as a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.kit.context import POSTGRES_3, SQLITE, Context
from bench.kit.filling import fill
from bench.kit.http import Connection
from packhouse import app
from packhouse.catalog.accounts import store as accounts
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.principal import Principal
from packhouse.core.settings import DESCRIPTIONS, PREFIX, Settings
from packhouse.workflows.channels.creating import create_channel
from packhouse.workflows.people import tokens
from packhouse.workflows.services import Services
from tests.kit.processes import accepts, free_port, start, stop, wait_until

T = TypeVar("T")


@dataclass(slots=True)
class Installation:
    """A data folder with its database and blobs, an administrator's token, and, once started, a server."""

    settings: Settings
    processes: int = 1
    token: str = ""
    admin: Principal = field(default_factory=lambda: Principal(None, "", "everyone"))
    server: subprocess.Popen[bytes] | None = None
    port: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """The credential of every request."""
        return {"X-Auth": self.token}

    def connect(self) -> Connection:
        """Return a connection that shows the token."""
        return Connection(self.port, self.headers)

    def run(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Run `work` in this process, on services of its own."""

        async def body() -> T:
            services = app.build_services(self.settings)
            try:
                return await work(services)
            finally:
                await app.close(services)

        return asyncio.run(body())

    def channel(self, path: str) -> Channel:
        """Create a private channel."""
        return self.run(
            lambda services: create_channel(services, self.admin, path, frozenset(), description="", privacy="private")
        )

    def prepare(self) -> None:
        """Make the schema, the administrator and a token that the server knows."""
        asyncio.run(app.prepare(self.settings))

        async def work(services: Services) -> None:
            account = await accounts.by_name(services.db, "admin")
            assert account is not None
            self.admin = Principal(account.id, "admin", "admin")
            keys = await load_keys(services.db, services.sealer)
            _, self.token = await tokens.create(services.db, keys, self.admin, "bench", None, None)

        self.run(work)

    @contextmanager
    def serving(self) -> Iterator[Connection]:
        """Serve until the end of the block; yields a connection that shows the token."""
        self.serve()
        connection = self.connect()
        try:
            yield connection
        finally:
            connection.close()
            self.stop()

    def serve(self) -> None:
        """Start the server the way an administrator does, and wait until it answers."""
        self.port = free_port()
        words = ["serve", "--host", "127.0.0.1", "--port", str(self.port), "--processes", str(self.processes)]
        log = self.settings.data_dir / "server.log"
        self.server = start([sys.executable, "-m", "packhouse", *words], log=log, env=self._environment())
        wait_until(lambda: accepts(self.port), self.server, log)

    def _environment(self) -> dict[str, str]:
        named = {PREFIX + name.upper(): str(getattr(self.settings, name)) for name in DESCRIPTIONS}
        return {**os.environ, **named}

    def stop(self) -> None:
        """End the server and what it started."""
        if self.server is not None:
            stop(self.server)
            self.server = None

    def resident_mb(self) -> float:
        """Return the resident memory of the server and the processes it started, in MB, shared pages counted once."""
        assert self.server is not None
        return sum(_proportional_kb(pid) for pid in _tree(self.server.pid)) / 1024


def install(context: Context, setup: str, **settings: str) -> Installation:
    """Return a fresh, prepared installation; what it needs is stopped with the run. Raises Missing."""
    number = len(list(context.folder.glob("installation-*")))
    folder = context.folder / f"installation-{number}"
    folder.mkdir()
    if setup != SQLITE:
        settings |= _with_services(context)
    made = Installation(Settings(data_dir=folder, admin_password="a-password-for-benches", **settings))  # type: ignore[arg-type]  # all of them are texts
    made.prepare()
    made.processes = 3 if setup == POSTGRES_3 else 1
    context.stack.callback(made.stop)
    return made


def filled(context: Context, setup: str, records: int) -> Installation:
    """Return an installation whose channel `big` shows that many files; made once per run, so not quite untouched."""
    key = ("filled", setup == SQLITE, records)
    if key not in context.kept:
        context.say(f"filling a channel with {records:,} records on {setup}")
        made = install(context, setup)
        channel = made.channel("big")
        made.run(lambda services: fill(services, channel, records))
        context.kept[key] = made
    found: Installation = context.kept[key]
    found.processes = 3 if setup == POSTGRES_3 else 1
    return found


def _with_services(context: Context) -> dict[str, str]:
    cluster, bucket_server = context.services()
    return {
        "database_url": cluster.url(cluster.database()),
        "blob_url": f"s3://{bucket_server.bucket()}",
        "s3_endpoint": bucket_server.endpoint,
        "s3_access_key": bucket_server.access_key,
        "s3_secret_key": bucket_server.secret_key,
        "s3_region": bucket_server.region,
    }


def _tree(pid: int) -> list[int]:
    """Return a process and all it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _tree(int(child))
    return found


def _proportional_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
