"""What an installation had readably of secrets is sealed at the next start, and opens what it opened."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from alembic import command
from sqlalchemy import text

from packhouse.app import prepare
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.installation.audit_key import load_signing_key
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.mirrors import credentials
from packhouse.catalog.mirrors.mirror import Credential, Spec
from packhouse.catalog.mirrors.origins import source_of
from packhouse.catalog.notifications import hooks
from packhouse.catalog.vulnerabilities import sources
from packhouse.catalog.vulnerabilities.feeds import Spec as FeedSpec
from packhouse.core.db import Unit
from packhouse.core.db.migrating import config, engine_for
from packhouse.core.errors import PackhouseError
from packhouse.core.sealing import Sealer
from packhouse.core.settings import load
from packhouse.core.webhooks import Webhook
from packhouse.workflows.feeding import managing
from packhouse.workflows.maintaining.sealing import seal_readable
from packhouse.workflows.mirroring.editing import create_mirror, update_mirror
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.feeding import add_feed, take
from tests.kit.inspection import findings, seal_all
from tests.kit.mirroring import events, get, make_test_channel, services_on

SOURCE, SECRET = "https://conda.example.org/main", "a-secret-of-many-letters"
READABLE = json.dumps({"username": "me", "password": SECRET})
ROWS = """SELECT credential FROM mirror UNION ALL SELECT credential FROM origin UNION ALL
 SELECT CAST(url AS TEXT) FROM webhook"""
FEED = """INSERT INTO feed (name, source, kind, enabled, every_seconds, state, progress, etag, run, settled_run,
 created_at, updated_at) VALUES (:name, :source, '', true, 3600, 'completed', '{}', '"same"', 0, 0, 7, 7)"""


async def test_what_lay_readable_is_sealed_at_the_next_start(backend: Backend) -> None:
    async with services_on(backend) as services:
        channel = await make_test_channel(services)
        mirror = await create_mirror(services, channel, "ann", Spec("main", SOURCE), administrator=True)

        async def before(unit: Unit) -> None:
            await unit.execute("UPDATE mirror SET credential = :text", text=READABLE)
            await unit.execute(
                "INSERT INTO origin (source, options, credential) VALUES (:source, '{}', :text)",
                source=SOURCE, text=READABLE,
            )  # fmt: skip
            await unit.execute(
                "INSERT INTO webhook (uuid, channel_id, url, secret, by, at) VALUES ('one', :channel, :url, :secret,"
                " 'ann', 0)",
                channel=channel.id, url=f"https://chat.example.org:8443/{SECRET}", secret=SECRET.encode(),
            )  # fmt: skip

        await services.db.write(before)
        for _ in range(2):
            await prepare(services.settings)
        kept = repr(await services.db.fetch_all(ROWS)) + repr(await services.db.fetch_all("SELECT secret FROM webhook"))
        assert SECRET not in kept and b64encode(SECRET.encode()).decode()[:-2] not in kept

        opened = credentials.unseal(services.sealer, await get(services, mirror))
        assert opened.credential == Credential(username="me", password=SECRET)
        number = await services.db.fetch_value("SELECT id FROM origin")
        source = await source_of(services.db, None, number)
        assert source is not None
        assert credentials.unseal(services.sealer, source.mirror).credential.password == SECRET
        [hook] = await hooks.of_channel(services.db, channel.id)
        assert hook.url == "https://chat.example.org:8443"
        assert hooks.unseal(services.sealer, hook) == Webhook(f"https://chat.example.org:8443/{SECRET}", SECRET)
        assert await events(services, "secrets_") == [
            ("secrets_sealed", "system", {"mirrors": 2, "webhooks": 1, "feeds": 0, "keys": 0})
        ]


async def test_keys_that_lay_readable_are_sealed_once_and_stay_the_same(backend: Backend) -> None:
    before = {"token-hashing": b"\x01" * 32, "audit-signing": b"\x02" * 32}
    async with services_on(backend) as services:
        db, sealer = services.db, services.sealer

        async def keep(unit: Unit) -> None:
            for name, value in before.items():
                await unit.execute("INSERT INTO secret (name, value) VALUES (:name, :value)", name=name, value=value)

        await db.write(keep)
        await asyncio.gather(*(seal_readable(services) for _ in range(5)))
        rows = await db.fetch_all("SELECT value FROM secret")
        assert not [value for value in before.values() if any(value in bytes(row[0]) for row in rows)]
        assert (await load_keys(db, sealer)).token == before["token-hashing"]
        assert (await load_signing_key(db, sealer)).private_bytes_raw() == before["audit-signing"]
        counts = {"mirrors": 0, "webhooks": 0, "feeds": 0, "keys": 2}
        assert await events(services, "secrets_") == [("secrets_sealed", "system", counts)]
        await record_and_seal(services)
        assert await findings(services) == []
        elsewhere = dataclasses.replace(services, sealer=Sealer(load(backend.env, secret_key="ab" * 32)))
        [unopened] = await findings(elsewhere)
        assert unopened.invariant == "I5" and "the key that signed its events does not open" in str(unopened)


async def record_and_seal(services: Services) -> None:
    await services.db.write(lambda unit: record_event(unit, type="user_created", actor="ann", object="user bob"))
    await seal_all(services)


async def test_a_credential_opens_its_own_source_only(backend: Backend) -> None:
    async with services_on(backend) as services:
        channel = await make_test_channel(services)
        spec = Spec("main", SOURCE, credential=Credential(token=SECRET))
        mirror = await create_mirror(services, channel, "ann", spec, administrator=True)
        moved = msgspec.structs.replace(mirror, source="https://elsewhere.example.org/main")
        with pytest.raises(PackhouseError, match="does not open"):
            credentials.unseal(services.sealer, moved)
        kept = Spec("other name", SOURCE)
        mirror = await update_mirror(services, channel, mirror, "ann", kept, administrator=True)
        assert credentials.unseal(services.sealer, mirror).credential.token == SECRET, "an edit keeps it"


#: the address of each feed of an older installation, and what is shown of it
ADDRESSES = {
    "login": (f"https://me:{SECRET}@feeds.example.org/all.zip", "https://***@feeds.example.org/all.zip"),
    "signed": (f"https://feeds.example.org/all.zip?X-Signature={SECRET}", "https://feeds.example.org/all.zip?***"),
    "token": (f"https://feeds.example.org/t/{SECRET}/all.zip", "https://feeds.example.org/t/***/all.zip"),
    "open": ("https://feeds.example.org/all.zip", "https://feeds.example.org/all.zip"),
}


@pytest.fixture
def older(backend: Backend, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of an installation as the version left it that sealed no addresses of feeds."""
    cluster = request.getfixturevalue("postgres") if backend.name.startswith("postgres") else None
    name = cluster.database() if cluster else ""
    url = cluster.url(name) if cluster else f"sqlite:///{tmp_path / 'old.db'}"
    engine = engine_for(url)
    with engine.connect() as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0024")
        for name_of_feed, (whole, _) in ADDRESSES.items():
            connection.execute(text(FEED), {"name": name_of_feed, "source": whole})
        connection.commit()
    engine.dispose()
    feeds = ",".join(whole for whole, _ in ADDRESSES.values())
    yield {**backend.env, "PACKHOUSE_DATABASE_URL": url, "PACKHOUSE_FEEDS": feeds}
    if cluster:
        cluster.drop(name)


async def test_addresses_of_feeds_are_sealed_when_an_older_installation_starts(
    backend: Backend, older: dict[str, str]
) -> None:
    for _ in range(2):
        await prepare(load(older))
    async with services_on(backend, older) as services:
        await managing.ensure_feeds(services)
        found = {feed.name: feed for feed in await managing.list_feeds(services.db)}
        assert {name: feed.source for name, feed in found.items()} == {
            name: shown for name, (_, shown) in ADDRESSES.items()
        }, "those that the settings name are there already"
        assert SECRET not in repr(found) and found["open"].sealed is None
        assert {name: sources.opened(services.sealer, feed) for name, feed in found.items()} == {
            name: whole for name, (whole, _) in ADDRESSES.items()
        }
        assert {(feed.updated_at, feed.etag) for feed in found.values()} == {(7, '"same"')}, "nothing is read anew"
        counts = {"mirrors": 0, "webhooks": 0, "feeds": 3, "keys": 0}
        assert await events(services, "secrets_") == [("secrets_sealed", "system", counts)]


async def test_an_address_opens_for_its_own_feed_only_and_can_be_set_anew(backend: Backend) -> None:
    whole, shown = ADDRESSES["login"]
    async with services_on(backend) as services:
        await add_feed(services, whole, "mine")
        await services.db.write(lambda unit: unit.execute("UPDATE feed SET name = 'moved'"))
        moved = await managing.get_feed(services.db, "moved")
        with pytest.raises(PackhouseError, match="does not open"):
            sources.opened(services.sealer, moved)
        assert "does not open" in (await take(services, "moved")).progress.reason
        with pytest.raises(PackhouseError, match="does not open"):
            await managing.update_feed(services, "moved", "ann", FeedSpec("moved", shown, enabled=False))
        await managing.update_feed(services, "moved", "ann", FeedSpec("moved", whole, enabled=False))
        assert sources.opened(services.sealer, await managing.get_feed(services.db, "moved")) == whole
