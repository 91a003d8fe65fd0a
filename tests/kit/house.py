"""A whole server in this process: people, channels and packages for tests that look at it from outside."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packhouse.app import Server
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.packages.downloads import NOBODY, Download
from packhouse.catalog.rights.principal import Principal, Role
from packhouse.core.settings import load
from packhouse.workflows.channels.creating import create_channel, create_subchannel
from packhouse.workflows.people import tokens
from packhouse.workflows.publishing.moving import remove
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.asgi import Answer, Client
from tests.kit.condapkg import make_conda, make_tarbz2
from tests.kit.keys import SEALER


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account and a token that may do all the account may."""

    principal: Principal
    token: str
    token_id: str

    @property
    def auth(self) -> dict[str, str]:
        """The header this person sends."""
        return {"x-auth": self.token}


class House:
    """A started server; `web` is a stranger's client, `admin` an administrator's."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.services: Services = server.services
        self.web = Client(server)
        self.people: dict[str, Person] = {}

    @property
    def admin(self) -> Client:
        """A client of the administrator."""
        return self.as_("admin")

    def as_(self, name: str) -> Client:
        """A client that sends the person's token."""
        return self.web.with_headers(self.people[name].auth)

    async def person(self, name: str, role: Role = "author", password: str | None = None) -> Person:
        """Make an account and a token for it."""
        db = self.services.db
        account = await staffing.create_user(db, name, password, role, "test")
        principal = Principal(account.id, name, role)
        token, value = await tokens.create(db, await load_keys(db, SEALER), principal, "for tests", None, None)
        self.people[name] = Person(principal, value, token.id)
        return self.people[name]

    async def channel(self, path: str, privacy: str = "public", owner: str = "admin") -> Channel:
        """Make a channel, or a subchannel of an existing one."""
        parent_name, _, name = path.rpartition("/")
        who = self.people[owner].principal
        if not parent_name:
            return await create_channel(self.services, who, name, frozenset(), description="", privacy=privacy)
        parent = await self.find(parent_name)
        return await create_subchannel(self.services, who, parent, name, description="", privacy=privacy)

    async def find(self, path: str) -> Channel:
        """Return the channel that stands at `path`."""
        found = await channels.by_path(self.services.db, path)
        assert found is not None, path
        return found

    async def upload(self, channel: str, name: str, version: str = "1.0", build: str = "0", **more: Any) -> Answer:
        """Put a small package into a channel; `kind` is its extension, the rest goes to the package maker."""
        kind, subdir = more.pop("kind", "conda"), more.pop("subdir", "noarch")
        make = make_conda if kind == "conda" else make_tarbz2
        data = make(name, version, build, subdir, **more)
        answer = await self.admin.put(f"/api/repo/{channel}/{subdir}/{name}-{version}-{build}.{kind}", data)
        assert answer.status in (200, 201), answer.body
        return answer

    async def remove(self, channel: str, name: str) -> int:
        """Take every file of a package out of a channel."""
        return await remove(self.services, await self.find(channel), "admin", [Item(name)])

    async def download(self, channel: str, name: str, account_id: int = NOBODY) -> Download:
        """Return what a download of a package's only file is counted as."""
        [row] = await self.services.db.fetch_all(
            "SELECT entry.id, record_id, sha256, channel_id, path, family, partition, name, filename FROM entry"
            " JOIN channel ON channel.id = channel_id JOIN content ON content.id = content_id"
            " WHERE path = :path AND name = :name",
            path=channel,
            name=name,
        )
        what: Any = (*row, account_id)
        return Download(*what)

    async def caught_up(self) -> None:
        """Return when this process has heard of everything that was changed so far."""
        await self.services.feed.poll()

    async def leftovers(self) -> list[str]:
        """Return what an upload leaves: blobs, rows of content, records, entries and bindings, spooled files."""
        found = [f"blob {sha256}" async for sha256, _ in self.services.blobs.iterate()]
        for table in ("content", "record", "entry", "binding", "dirty", "shelf"):
            rows = await self.services.db.fetch_value(f"SELECT count(*) FROM {table}")
            found += [f"{rows} rows of {table}"] if rows else []
        return found + [str(path) for path in self.server.services.settings.data_dir.rglob("incoming/*")]


@asynccontextmanager
async def open_house(backend: Backend, *, data_dir: Path | None = None, **settings: Any) -> AsyncIterator[House]:
    """Run a server with an administrator called `admin`."""
    async with _running(backend, data_dir, settings) as house:
        await house.person("admin", "admin")
        yield house


@asynccontextmanager
async def second_process(backend: Backend, first: House, data_dir: Path) -> AsyncIterator[House]:
    """Run another server on the same database and blobs, which shares nothing in memory with the first."""
    async with _running(backend, data_dir, {}) as house:
        house.people = first.people
        yield house


@asynccontextmanager
async def _running(backend: Backend, data_dir: Path | None, settings: dict[str, Any]) -> AsyncIterator[House]:
    env = backend.node(data_dir) if data_dir else backend.env
    server = Server(load(env, **settings))
    await server.start()
    try:
        yield House(server)
    finally:
        await server.stop()


def basic(username: str, password: str) -> str:
    """Return the value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
