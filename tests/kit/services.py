"""Real services for tests: a private PostgreSQL cluster and a real S3 server (versitygw), each for one test session.

A missing part skips the tests that need it and says how to install it; PACKHOUSE_TEST_REQUIRE_SERVICES=1 (set by the
test command where it can install them) makes that an error instead, so that CI cannot pass by skipping.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from tests.kit.processes import accepts, find_program, free_port, start, stop, wait_until

_USER = "packhouse"
_ACCESS_KEY, _SECRET_KEY, _REGION = "packhouse-test", "a-secret-for-tests-only", "us-east-1"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running cluster; `database` makes fresh databases in it."""

    port: int
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str) -> str:
        """Return the address of a database of this cluster."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def database(self, template: str = "template1") -> str:
        """Create a database, as a copy of `template`, and return its name; about 50 ms."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def database_of_letters(self) -> str:
        """Create an empty database that orders `a` before `B` and `c`, as most do that are not set up for us."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE "und"')
        return name

    def drop(self, name: str) -> None:
        """Drop a database, with whoever is still connected to it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@dataclass(frozen=True, slots=True)
class S3:
    """A running S3 server; `bucket` makes fresh buckets in it."""

    port: int
    _root: Path
    access_key: str = _ACCESS_KEY
    secret_key: str = _SECRET_KEY
    region: str = _REGION
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def endpoint(self) -> str:
        """The address to give an S3 client."""
        return f"http://127.0.0.1:{self.port}"

    def bucket(self) -> str:
        """Create an empty bucket and return its name; to versitygw a bucket is a folder."""
        name = f"bucket-{next(self._numbers)}"
        (self._root / name).mkdir()
        return name

    def objects(self, bucket: str) -> list[Path]:
        """Return the files behind a bucket's objects, for tests that damage or count them."""
        return sorted(
            path for path in (self._root / bucket).rglob("*") if path.is_file() and ".sgwtmp" not in path.parts
        )


@contextmanager
def postgres(*, durable: bool = True) -> Iterator[Postgres]:
    """Run a private PostgreSQL cluster until the end of the block.

    `durable` is as in production. Without it only a crash of the whole machine loses anything, not one of a process;
    making and dropping a database for each test takes a fraction of the time.
    """
    initdb, server = _postgres_program("initdb"), _postgres_program("postgres")
    # the server refuses to run as root, so that root's tests run it as the system's own user
    user = "postgres" if os.geteuid() == 0 else None
    with _folder("packhouse-pg-", user) as root:
        words = [str(initdb), "-D", str(root / "data"), "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C"]
        done = subprocess.run(
            [*words, "--no-sync"],
            cwd=root,
            capture_output=True,
            text=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")
        port = free_port()
        options = ["-p", str(port), "-k", str(root), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        if not durable:
            options += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        process = start([server, "-D", root / "data", *options], log=root / "log", user=user)
        try:
            cluster = Postgres(port)
            wait_until(lambda: _answers(cluster), process, root / "log")
            yield cluster
        finally:
            stop(process, signal.SIGINT)  # a fast shutdown: does not wait for clients


@contextmanager
def s3() -> Iterator[S3]:
    """Run a real S3 server over a temporary folder until the end of the block."""
    program = _s3_program()
    with _folder("packhouse-s3-") as root:
        buckets, sidecar = root / "buckets", root / "sidecar"
        buckets.mkdir()
        sidecar.mkdir()
        port = free_port()
        account = ["--access", _ACCESS_KEY, "--secret", _SECRET_KEY, "--region", _REGION]
        # the sidecar folder: not every temporary file system can keep extended attributes
        backend = ["posix", "--sidecar", str(sidecar), str(buckets)]
        process = start([program, "--port", f"127.0.0.1:{port}", "--quiet", *account, *backend], log=root / "log")
        try:
            wait_until(lambda: accepts(port), process, root / "log")
            yield S3(port, buckets)
        finally:
            stop(process)


@contextmanager
def _folder(prefix: str, owner: str | None = None) -> Iterator[Path]:
    """Make a temporary folder with a short name (a Unix socket's address has 107 bytes), owned by `owner`."""
    root = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        if owner:
            account = pwd.getpwnam(owner)
            os.chown(root, account.pw_uid, account.pw_gid)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _answers(cluster: Postgres) -> bool:
    try:
        with psycopg.connect(cluster.url("postgres"), connect_timeout=10):
            return True
    except psycopg.OperationalError:
        return False


def _postgres_program(name: str) -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return find_program(name, *versions) or missing("PostgreSQL's server", "apt-get install postgresql")


def _s3_program() -> Path:
    if named := os.environ.get("PACKHOUSE_TEST_S3_BIN"):
        return Path(named)
    home = Path(os.environ.get("GOPATH") or Path.home() / "go")
    folders = [Path(os.environ["GOBIN"])] if os.environ.get("GOBIN") else []
    install = "go install github.com/versity/versitygw/cmd/versitygw@latest"
    return find_program("versitygw", *folders, home / "bin") or missing("the S3 server versitygw", install)


def missing(what: str, how: str) -> NoReturn:
    """Skip the test for lack of `what`, or fail it where everything must be there."""
    text = f"{what} is not installed; install it with: {how}"
    if os.environ.get("PACKHOUSE_TEST_REQUIRE_SERVICES"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
