"""Credentials that an installation had readably are sealed at the next start, and open what they opened."""

from __future__ import annotations

import json
from base64 import b64encode

import msgspec
import pytest

from packhouse.app import prepare
from packhouse.catalog.mirrors import credentials
from packhouse.catalog.mirrors.mirror import Credential, Spec
from packhouse.catalog.mirrors.origins import source_of
from packhouse.catalog.notifications import hooks
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.webhooks import Webhook
from packhouse.workflows.mirroring.editing import create_mirror, update_mirror
from tests.conftest import Backend
from tests.kit.mirroring import events, get, make_test_channel, services_on

SOURCE, SECRET = "https://conda.example.org/main", "a-secret-of-many-letters"
READABLE = json.dumps({"username": "me", "password": SECRET})
ROWS = """SELECT credential FROM mirror UNION ALL SELECT credential FROM origin UNION ALL
 SELECT CAST(url AS TEXT) FROM webhook"""


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
        assert await events(services, "secrets_") == [("secrets_sealed", "system", {"mirrors": 2, "webhooks": 1})]


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
