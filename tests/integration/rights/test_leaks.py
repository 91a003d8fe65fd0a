"""Nothing about a private channel leaks: what asks about it is answered as if it were not there, by the same work."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from packhouse.doors.api.permissions import ROUTES
from tests.conftest import Backend
from tests.kit import rights
from tests.kit.asgi import Client
from tests.kit.calls import call
from tests.kit.house import House, open_house
from tests.kit.probing import Asked, told
from tests.kit.rights import MANAGE
from tests.kit.town import give_roles

#: as long as each other, so that no length tells them apart
HIDDEN, ABSENT = "projectx", "projecty"
#: the process itself asks the database now and then: what is only sometimes otherwise is not about the channel
TRIES = 3
#: person -> what a role of theirs gives beside what authors have
CURIOUS = {"curator": {"cve": MANAGE, "policy": MANAGE, "channel.mirror": MANAGE}, "users": {"account": MANAGE}}
PARAMETERS = {"family": "conda", "name": "tea", "username": "nobody", "group": "people"}


class Probe(NamedTuple):
    """A request about CHANNEL."""

    method: str
    target: str
    body: bytes = b""


#: what an answer told, and what the database was asked for it
Look = tuple[object, list[str]]


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
    for target in (
        "/api/openapi.json", "/api/system", "/api/account/channels", "/api/groups", "/api/roles/CHANNEL",
        "/api/vex?channel=CHANNEL", "/api/statements?channel=CHANNEL", "/api/waivers?channel=CHANNEL",
        "/api/cves/CVE-2024-0001/files?channel=CHANNEL", "/api/mirrors", "/api/service-accounts", "/api/quarantine",
    ):  # fmt: skip
        yield Probe("GET", target)
    yield from people()
    yield from bodies()


def people() -> Iterator[Probe]:
    """Yield every address of a group or an account: the owners of the channel, and others that nobody may know of."""
    for method, template in ROUTES:
        if "{group}" in template and "{channel}" not in template:
            for name in ("CHANNEL_owners", "CHANNEL"):
                yield Probe(method, _filled(template.replace("{group}", name)), b"{}" if method == "PUT" else b"")
        if "{group}" in template and "{subchannel}" not in template:
            yield Probe(
                method, _filled(template.replace("{group}", "CHANNEL_owners").replace("{channel}", "mine")), b"{}"
            )
        machine = template.replace("{username}", "service-account-channel-CHANNEL").replace("{channel}", "mine")
        if "{username}" in template and "{subchannel}" not in template:
            yield Probe(method, _filled(machine), b"{}" if method == "PUT" else b"")
        if template.startswith("/api/users/{username}"):
            yield Probe(method, _filled(template.replace("{username}", "CHANNEL")), b"{}" if method == "PUT" else b"")


def bodies() -> Iterator[Probe]:
    """Yield requests that name a channel in what they send."""
    copy = {"action": "copy", "items": [{"name": "tea"}], "target_channel": "CHANNEL"}
    below = {**copy, "target_channel": "open", "target_subchannel": "CHANNEL"}
    waiver = {"name": "tea", "reason": "Why not?", "until": "2099-01-01", "channel": "CHANNEL"}
    resource = {"resource_type": "channel", "resource_id": "CHANNEL", "permission": "read"}
    report = {"from_date": "2026-01-01", "to_date": "2026-02-01", "channel_names": ["CHANNEL"]}
    for method, target, body in (
        ("PUT", "/api/channels/open/artifacts/bulk", copy),
        ("PUT", "/api/channels/open/artifacts/bulk", below),
        ("POST", "/api/waivers", waiver),
        ("POST", "/api/waivers", {**waiver, "channel": "open/CHANNEL"}),
        ("POST", "/api/reservations", {"pattern": "tea", "channel": "CHANNEL"}),
        ("POST", "/api/policies", {"name": "ours", "channel_name": "CHANNEL"}),
        ("POST", "/api/policies/POLICY/assign", {"channels": ["open", "CHANNEL"]}),
        ("POST", "/api/policies/POLICY/unassign", {"channels": ["CHANNEL"]}),
        ("POST", "/api/quarantine", {"channel": "CHANNEL", "ckey": "noarch/tea-1.0-0.conda", "reason": "x"}),
        ("PUT", "/api/account", {"default_channel_name": "CHANNEL"}),
        ("PUT", "/api/account", {"default_channel_name": "open/CHANNEL"}),
        ("POST", "/api/account/tokens", {"name": "t", "resources": [resource]}),
        ("POST", "/api/reports/artifact_downloads", report),
    ):  # fmt: skip
        yield Probe(method, target, json.dumps(body).encode())


async def test_a_hidden_channel_is_answered_like_one_that_is_not_there(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(backend) as house:
        await fill(house)
        made = await call(house.admin, "POST", "/api/policies", {"name": "strict", "license_not": ["GPL3"]})
        policy = made.json()["id"]
        asked = Asked(house.services.db, monkeypatch)
        tried, wrong = 0, []
        for who in ("", "outsider", *CURIOUS):
            client = house.as_(who) if who else house.web
            for probe in probes():
                if who in CURIOUS and ("/channels/CHANNEL" in probe.target or "/api/repo/" in probe.target):
                    continue  # no role opens a channel: the same as of any outsider
                for _ in range(TRIES):
                    hidden, absent = [
                        await look(house, client, asked, probe, name, policy) for name in (HIDDEN, ABSENT)
                    ]
                    if hidden == absent:
                        break
                tried += 1
                if hidden != absent:
                    wrong.append((who, probe, differing(hidden, absent)))
        assert tried >= 300
        assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(str(one) for one in wrong[:20])


def differing(hidden: Look, absent: Look) -> object:
    """Return what told two answers apart."""
    if hidden[0] != absent[0]:
        return hidden[0], absent[0]
    more, less = Counter(hidden[1]), Counter(absent[1])
    return {"only of the hidden one": more - less, "only of the absent one": less - more}


async def look(house: House, client: Client, asked: Asked, probe: Probe, name: str, policy: str) -> Look:
    """Return what a probe tells, and on the management side what the database was asked for it."""
    await house.caught_up()
    body = probe.body.replace(b"CHANNEL", name.encode())
    target = probe.target.replace("CHANNEL", name).replace("POLICY", policy)
    answer, work = await asked.by(client, probe.method, target, body)
    return told(answer, name), sorted(work)


async def fill(house: House) -> None:
    """Make a private channel with packages and a subchannel, and one below an open one; a group and an account."""
    for name in ("outsider", *CURIOUS, "owner"):
        await house.person(name)
    await house.person(HIDDEN, "admin")
    await house.services.db.write(lambda unit: give_roles(unit, CURIOUS))
    assert (await call(house.admin, "POST", "/api/groups", {"name": HIDDEN})).status == 201
    await house.channel("open")
    await house.channel("mine", owner="outsider")
    await house.upload("open", "tea")
    await house.channel(HIDDEN, "private", "owner")
    for path in (f"{HIDDEN}/dev", f"open/{HIDDEN}"):
        await house.channel(path, "private", "admin" if path.startswith("open") else "owner")
    for path in (HIDDEN, f"{HIDDEN}/dev", f"open/{HIDDEN}"):
        await house.upload(path, "tea")
    assert (await call(house.admin, "POST", f"/api/channels/{HIDDEN}/service-accounts", {})).status == 200


def _filled(template: str) -> str:
    return re.sub(
        r"{(\w+)}", lambda found: PARAMETERS.get(found[1], "1" if found[1].endswith("_id") else "x"), template
    )
