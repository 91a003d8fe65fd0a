"""What people cost: lists of what they may see, the check of a token on a download, sign-in, and until a right is gone.

Each figure is the least of many short runs: the machine may be busy, and what else it does is none of ours.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.kit.context import Context
from bench.kit.http import Connection
from bench.kit.installation import Installation, install
from bench.kit.people import PASSWORD, VIEWER, Size, fill_people
from bench.kit.report import Line
from packhouse import app
from packhouse.core.settings import Settings
from packhouse.doors.asgi import Message, Scope
from tests.kit.condapkg import make_conda

#: processes that have to learn of a right that is gone, and connections that they share
PROCESSES, CONNECTIONS = 3, 24
_FILE = "/api/repo/{0}/noarch/one-1.0-0.conda"
_JSON = {"content_type": "application/json"}
_GONE_AFTER = 60.0


def run(context: Context) -> Iterator[Line]:
    """Yield the lines."""
    size = Size(100, 20, 5, 10, 3) if context.small else Size(10_000, 2000, 200, 500, 20)
    lines: dict[str, Line] = {}
    for setup in context.setups:

        def note(work: str, unit: str, goal: str, figure: float, setup: str = setup) -> None:
            lines.setdefault(work, Line(work, unit, goal)).ours[setup] = figure

        installation = install(context, setup)
        installation.run(lambda services: fill_people(services, size))
        installation.processes = PROCESSES
        with installation.serving() as admin:
            _prepare(admin)
            token = _sign_in(installation, context.pick(1, 5), note)
            _lists(installation, token, size, context.pick(3, 100), note)
            _revocations(context, installation, note)
        _inside(context, installation.settings, token, size, note)
    yield from lines.values()


def _call(connection: Connection, method: str, path: str, body: object = None) -> Any:
    """Send JSON and return JSON. Raises RuntimeError for an answer that refuses."""
    sent = b"" if body is None else json.dumps(body).encode()
    answer = connection(method, path, sent, **_JSON)
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} was answered with {answer.status}: {answer.body[:300]!r}")
    return json.loads(answer.body) if answer.body else None


def _least(rounds: int, work: Callable[[], object]) -> float:
    """Return the seconds of the quickest of many runs."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


def _prepare(admin: Connection) -> None:
    """Make a public and a private channel with a file each, and the group that opens the private one."""
    for name, privacy in (("open", "public"), ("closed", "private")):
        _call(admin, "POST", "/api/channels", {"name": name, "privacy": privacy})
        answer = admin("PUT", _FILE.format(name), make_conda("one", "1.0"))
        if answer.status != 201:
            raise RuntimeError(f"the file was answered with {answer}")
    _call(admin, "POST", "/api/groups", {"name": "team"})
    _call(admin, "PUT", f"/api/groups/team/members/{VIEWER}", {})
    _call(admin, "PUT", "/api/channels/closed/groups/team", {"level": "read"})


def _sign_in(installation: Installation, rounds: int, note: Callable[..., None]) -> str:
    """Measure signing in, and return a token of the viewer."""
    least = _least(rounds, lambda: _signed_in(installation).close())
    note("sign-in with a password", "ms", "-", least * 1e3)
    return _new_token(_signed_in(installation))[0]


def _signed_in(installation: Installation) -> Connection:
    """Return a connection of the viewer's, who signs in with a password."""
    connection = Connection(installation.port)
    session = _call(connection, "POST", "/api/auth/login", {"username": VIEWER, "password": PASSWORD})["token"]
    connection.close()
    return Connection(installation.port, {"Authorization": f"Bearer {session}"})


def _new_token(connection: Connection) -> tuple[str, str]:
    """Return a new token of whoever the connection is for, and its id."""
    made = _call(connection, "POST", "/api/account/tokens", {"name": f"bench {time.monotonic_ns()}"})
    return made["token"], made["id"]


def _lists(installation: Installation, mine: str, size: Size, rounds: int, note: Callable[..., None]) -> None:
    late, admin = size.channels // 4, installation.token
    for work, token, path, goal in (
        (_work(size), mine, "/api/channels?limit=100", "≤ 10 ms"),
        (f"the same page after {late:,} others", mine, f"/api/channels?limit=100&offset={late}", "-"),
        ("list 100 groups, for their members", mine, "/api/groups?limit=100", "-"),
        ("list 100 groups, for an administrator", admin, "/api/groups?limit=100", "-"),
        ("list 100 people, for an administrator", admin, "/api/users?limit=100", "-"),
    ):
        connection = Connection(installation.port, {"X-Auth": token})  # an idle one would be closed meanwhile
        if not _call(connection, "GET", path)["items"]:
            raise RuntimeError(f"{path} lists nothing")
        note(work, "ms", goal, _least(rounds, lambda path=path, connection=connection: connection("GET", path)) * 1e3)  # type: ignore[misc]  # a lambda's defaults have no types


def _work(size: Size) -> str:
    return f"list 100 of {size.channels:,} channels, for a user in {size.mine} groups"


# ---------------------------------------------------------------- until a right is gone


def _revocations(context: Context, installation: Installation, note: Callable[..., None]) -> None:
    """Measure from the request that takes a right away until every process refuses: the longest of some rounds."""
    member, account = f"/api/groups/team/members/{VIEWER}", f"/api/users/{VIEWER}"
    figures: dict[str, list[float]] = {"token revoked": [], "out of the group": [], "account disabled": []}
    for _ in range(context.pick(1, 5)):
        mine = _signed_in(installation)
        admin = installation.connect()
        tokens = [_new_token(mine) for _ in figures]
        ways = (
            ("DELETE", f"{account}/tokens/{tokens[0][1]}", None),
            ("DELETE", member, None),
            ("PUT", account, {"disabled": True}),
        )
        for (value, _id), (method, path, body), seconds in zip(tokens, ways, figures.values(), strict=True):
            many = [Connection(installation.port, {"X-Auth": value}) for _ in range(CONNECTIONS)]
            _until(many, 200)
            begun = time.perf_counter()
            _call(admin, method, path, body)
            _until(many, 401, 403, 404)
            seconds.append(time.perf_counter() - begun)
            _call(admin, "PUT", member, {})
            for connection in many:
                connection.close()
        _call(admin, "PUT", account, {"disabled": False})
    for work, found in figures.items():
        note(f"{work} → refused by {PROCESSES} processes, longest", "s", "≤ 2 s", max(found))


def _until(connections: list[Connection], *statuses: int) -> None:
    """Download over each connection until it is answered with one of `statuses`."""
    left, end = list(connections), time.monotonic() + _GONE_AFTER
    while left:
        left = [one for one in left if one("GET", _FILE.format("closed")).status not in statuses]
        if time.monotonic() > end:
            raise RuntimeError(f"{len(left)} connections were never answered with {statuses}")


# ---------------------------------------------------------------- in this process


def _inside(context: Context, settings: Settings, token: str, size: Size, note: Callable[..., None]) -> None:
    """Measure what the network and another process would blur: through the entrance, in CPU time of this one."""

    async def body() -> None:
        server = app.Server(settings)
        await server.start()
        try:
            listed = await _cheapest(server, "/api/channels", token, context.pick(2, 5), context.pick(2, 20))
            note(f"{_work(size)}, CPU time", "ms", "≤ 10 ms", listed / 1e3)
            for work, anew in (("from memory", False), ("looked at anew", True)):
                calls, rounds = context.pick(20, 500), context.pick(2, 20)
                cost = [
                    await _cheapest(server, _FILE.format("open"), shown, calls, rounds, anew=anew)
                    for shown in (None, token)
                ]
                note(f"what a token adds to a download {work}, CPU time", "µs", "≤ 10 µs", max(0.0, cost[1] - cost[0]))
        finally:
            await server.stop()

    asyncio.run(body())


async def _cheapest(
    server: app.Server, path: str, token: str | None, calls: int, rounds: int, *, anew: bool = False
) -> float:
    """Return the microseconds of a request, of the cheapest of `rounds` runs of `calls` each.

    `anew`: each asks differently, so that no answer is remembered.
    """
    found = []
    for turn in range(rounds):
        scopes = [_scope(path, token, f"{turn}-{number}" if anew else "") for number in range(calls)]
        gc.collect()
        await server.services.feed.poll()  # nothing here waits, so its own task never has a turn
        begun = time.process_time()
        for scope in scopes:
            await server(scope, _nothing, _expect_200)
        found.append((time.process_time() - begun) / calls * 1e6)
    return min(found)


def _scope(path: str, token: str | None, query: str) -> Scope:
    headers = [(b"host", b"localhost"), (b"user-agent", b"conda/26.7")]
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": "GET",
        "path": path,
        "raw_path": f"{path}?{query}".encode() if query else path.encode(),
        "query_string": query.encode(),
        "headers": headers if token is None else [*headers, (b"x-auth", token.encode())],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "extensions": {"http.response.pathsend": {}},
    }


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _expect_200(message: Message) -> None:
    if message.get("status", 200) != 200:
        raise RuntimeError(f"answered {message}")
