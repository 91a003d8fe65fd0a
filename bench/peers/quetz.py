"""quetz 0.10.4, the conda server it is closest to. It starts only with the framework of its own time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from bench.kit.context import Context
from bench.kit.http import Connection, request
from bench.make_channel import claim, plan, records_of
from bench.peers.environment import environment
from tests.kit.processes import accepts, free_port, start, stop, wait_until

REQUIREMENTS = ("quetz-server==0.10.4", "fastapi==0.105.*", "starlette<0.28", "sqlalchemy<2.1")
KEY = "benchkey"
HEADERS = {"X-API-Key": KEY}
_CONFIG = """[session]
secret = "{secret}"
https_only = false
[sqlalchemy]
database_url = "sqlite:///{folder}/quetz.sqlite"
[local_store]
redirect_enabled = false
"""


class Quetz:
    """A server with the channel `bench`. There is no way to a first key but the database."""

    def __init__(self, context: Context) -> None:
        self._program = environment("quetz", *REQUIREMENTS) / "quetz"
        self._folder = context.folder / f"quetz-{uuid.uuid4().hex[:8]}"
        config = context.folder / f"{self._folder.name}.toml"
        config.write_text(_CONFIG.format(secret="0" * 64, folder=self._folder))
        command = [str(self._program), "create", str(self._folder), "--copy-conf", str(config)]
        subprocess.run(command, check=True, capture_output=True)
        with sqlite3.connect(self._database) as database:
            self._user = _first_user(database)
        self._server: subprocess.Popen[bytes] | None = None
        self.port = 0
        context.stack.callback(self.stop)

    @property
    def _database(self) -> Path:
        return self._folder / "quetz.sqlite"

    def seed(self, records: int) -> None:
        """Let the channel have records without bytes, as an import into its database leaves them."""
        with sqlite3.connect(self._database) as database:
            names = plan(records, 0)
            database.executemany(
                "INSERT INTO packages (name, channel_name, summary, description, channeldata, platforms)"
                " VALUES (?, 'bench', '', '', ?, 'noarch')",
                [(one.name, json.dumps({"subdirs": ["noarch"]})) for one in names],
            )
            database.executemany(
                "INSERT INTO package_versions (id, channel_name, package_name, package_format, platform, version,"
                " build_string, build_number, size, filename, info, uploader_id, version_order, download_count)"
                " VALUES (?, 'bench', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
                self._versions(records),
            )

    def _versions(self, records: int) -> Iterator[tuple[object, ...]]:
        names = plan(records, 0)
        for name in names:
            for made in records_of(name, names, 0):
                filename, record = claim(made)
                form = "conda" if filename.endswith(".conda") else "tarbz2"
                at = (uuid.uuid4().bytes, name.name, form, record["subdir"], record["version"], record["build"])
                yield (*at, 0, record["size"], filename, json.dumps(record), self._user)

    def serve(self) -> None:
        """Start the server and wait until it answers."""
        self.port = free_port()
        words = ["--port", str(self.port), "--no-supervisor", "--log-level", "error"]
        log = self._folder / "log"
        self._server = start([self._program, "start", self._folder, *words], log=log)
        wait_until(lambda: accepts(self.port), self._server, log)

    def connect(self) -> Connection:
        """Return a connection that shows the key."""
        return Connection(self.port, HEADERS)

    def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            stop(self._server)
            self._server = None


def upload_path(filename: str, data: bytes) -> str:
    """Return where a package is posted to."""
    return f"/api/channels/bench/upload/{filename}?sha256={hashlib.sha256(data).hexdigest()}"


def upload_request(filename: str, data: bytes) -> bytes:
    """Return the whole request of an upload."""
    return request("POST", upload_path(filename, data), HEADERS, data)


def _first_user(database: sqlite3.Connection) -> bytes:
    user = uuid.uuid4().bytes
    for statement, values in (
        ("INSERT INTO users (id, username, role) VALUES (?, 'bench', 'owner')", (user,)),
        ("INSERT INTO profiles (name, avatar_url, user_id) VALUES ('bench', '', ?)", (user,)),
        (
            "INSERT INTO api_keys (key, description, deleted, user_id, owner_id) VALUES (?, '', 0, ?, ?)",
            (KEY, user, user),
        ),
        ("INSERT INTO channels (name, description, private) VALUES ('bench', '', 0)", ()),
        ("INSERT INTO channel_members (channel_name, user_id, role) VALUES ('bench', ?, 'owner')", (user,)),
    ):
        database.execute(statement, values)
    return user
