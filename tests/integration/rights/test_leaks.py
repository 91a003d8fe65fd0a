"""Nothing about a private channel leaks: what asks about it is answered as if it were not there, by the same work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from packhouse.doors.api.permissions import ROUTES
from tests.conftest import Backend
from tests.kit import rights
from tests.kit.asgi import Client
from tests.kit.house import House, open_house
from tests.kit.probing import Asked, told

#: as long as each other, so that no length tells them apart
HIDDEN, ABSENT = "projectx", "projecty"
#: the process itself asks the database now and then: what is only sometimes otherwise is not about the channel
TRIES = 3
PARAMETERS = {"family": "conda", "name": "tea", "username": "nobody", "group": "people"}


class Probe(NamedTuple):
    """A request about CHANNEL."""

    method: str
    target: str
    body: bytes = b""


def probes() -> Iterator[Probe]:
    """Yield every address and body that can name a channel."""
    for method, template in ROUTES:
        if "{channel}" in template:
            for subchannel in ("dev", "none") if "{subchannel}" in template else ("",):
                here = template.replace("{channel}", "CHANNEL").replace("{subchannel}", subchannel)
                yield Probe(method, _filled(here))
            if "{subchannel}" in template:  # a private subchannel of a channel that everybody sees
                here = template.replace("{channel}", "open").replace("{subchannel}", "CHANNEL")
                yield Probe(method, _filled(here))
    for row in rights.DATA:
        method, _, tail = row.partition(" ")
        for place in ("CHANNEL", "CHANNEL/dev", "open/CHANNEL"):
            yield Probe(method, f"/api/repo/{place}{tail}")
    for query in ("q=CHANNEL", "q=tea", "q=CHANNEL&limit=0", "sort=-artifact_count"):
        yield Probe("GET", f"/api/channels?{query}")
        yield Probe("GET", f"/api/artifacts?{query}")
    yield Probe("GET", "/api/groups/CHANNEL_owners")
    yield Probe("GET", "/api/vex?channel=CHANNEL")
    copy = {"action": "copy", "items": [{"name": "tea"}], "target_channel": "CHANNEL"}
    yield Probe("PUT", "/api/channels/open/artifacts/bulk", json.dumps(copy).encode())
    for target in ("/api/openapi.json", "/api/system", "/api/account/channels", "/api/groups", "/api/roles/CHANNEL"):
        yield Probe("GET", target)


async def test_a_hidden_channel_is_answered_like_one_that_is_not_there(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(backend) as house:
        await fill(house)
        asked = Asked(house.services.db, monkeypatch)
        tried, wrong = 0, []
        for who in ("", "outsider", "author"):
            client = house.as_(who) if who else house.web
            for probe in probes():
                if who == "author" and "/api/repo/" in probe.target:
                    continue  # the same as of any outsider
                for _ in range(TRIES):
                    hidden, absent = [await look(house, client, asked, probe, name) for name in (HIDDEN, ABSENT)]
                    if hidden == absent:
                        break
                tried += 1
                if hidden != absent:
                    wrong.append((who, probe, hidden, absent))
        assert tried >= 300
        assert not wrong, f"{len(wrong)} of {tried}: {wrong[:4]}"


async def look(house: House, client: Client, asked: Asked, probe: Probe, name: str) -> tuple[object, list[str]]:
    """Return what a probe tells, and on the management side what the database was asked for it."""
    await house.caught_up()
    body = probe.body.replace(b"CHANNEL", name.encode())
    answer, work = await asked.by(client, probe.method, probe.target.replace("CHANNEL", name), body)
    return told(answer, name), [] if "/api/repo/" in probe.target or "/groups/" in probe.target else sorted(work)


async def fill(house: House) -> None:
    """Make a private channel with packages and a subchannel, and one below an open one."""
    for name in ("outsider", "author", "owner"):
        await house.person(name)
    await house.channel("open")
    await house.upload("open", "tea")
    await house.channel(HIDDEN, "private", "owner")
    for path in (f"{HIDDEN}/dev", f"open/{HIDDEN}"):
        await house.channel(path, "private", "admin" if path.startswith("open") else "owner")
    for path in (HIDDEN, f"{HIDDEN}/dev", f"open/{HIDDEN}"):
        await house.upload(path, "tea")


def _filled(template: str) -> str:
    return re.sub(
        r"{(\w+)}", lambda found: PARAMETERS.get(found[1], "1" if found[1].endswith("_id") else "x"), template
    )
