"""Who may read a channel, and every way a client carries the proof."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from packhouse.catalog import changes
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.permissions import READ
from packhouse.core.db import Unit
from packhouse.workflows.channels.editing import Edit, edit_channel
from packhouse.workflows.people import tokens
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.asgi import Answer
from tests.kit.house import House, basic, second_process
from tests.kit.jobs import HEARD
from tests.kit.keys import SEALER

FILES = (
    "noarch/repodata_shards.msgpack.zst",
    "noarch/repodata.json",
    "noarch/repodata.json.zst",
    "noarch/one-1.0-0.conda",
    "notices.json",
    "channeldata.json",
)
PASSWORD = "correct horse battery staple"


async def private_channel(house: House, password: str | None = None) -> str:
    """Make `secret`, which belongs to `owner`; return the owner's token."""
    owner = await house.person("owner", password=password)
    await house.channel("secret", "private", owner="owner")
    await house.upload("secret", "one")
    return owner.token


async def test_every_carrier_opens_a_private_channel(house: House) -> None:
    token = await private_channel(house, PASSWORD)
    headers = {
        "x-auth": token,
        "x-api-key": token,
        "Bearer": f"Bearer {token}",
        "token": f"token {token}",
        "x-auth-token": basic(token, "x-auth-token"),
        "__token__": basic("__token__", token),
        "password": basic("owner", PASSWORD),
    }
    for file in FILES:
        for carrier, value in headers.items():
            name = carrier if carrier.startswith("x-a") and carrier != "x-auth-token" else "authorization"
            for method in ("GET", "HEAD"):
                answer = await house.web.request(method, f"/api/repo/secret/{file}", {name: value})
                assert answer.status == 200, (carrier, file)
        for target in (f"/t/{token}/api/repo/secret/{file}", f"/api/repo/t/{token}/secret/{file}"):
            assert (await house.web.get(target)).status == 200, target


async def test_a_token_in_the_path_stays_in_front_of_the_shards(house: House) -> None:
    token = await private_channel(house)
    direct = await house.as_("owner").get("/api/repo/secret/noarch/repodata_shards.msgpack.zst")
    by_path = await house.web.get(f"/t/{token}/api/repo/secret/noarch/repodata_shards.msgpack.zst")
    assert by_path.body == direct.body and token.encode() not in by_path.body


BAD = {
    "x-auth": "0" * 48,
    "x-auth odd": "not a token!",
    "x-api-key": "f" * 48,
    "authorization bearer": "Bearer " + "0" * 48,
    "authorization jwt": "Bearer aaaa.bbbb.cccc",
    "authorization token": "token zzz",
    "authorization unknown": "Digest abc",
    "authorization empty": "",
    "authorization basic": basic("owner", "wrong"),
    "authorization nobody": basic("nobody", "wrong"),
    "authorization marker": basic("0" * 48, "x-auth-token"),
    "authorization twine": basic("__token__", "0" * 48),
    "authorization garbage": "Basic ====",
}


async def test_a_bad_credential_is_401_even_where_none_is_needed(house: House) -> None:
    await private_channel(house, PASSWORD)
    await house.upload("pub", "one")
    for case, channel in itertools.product(BAD, ("pub", "secret", "nowhere")):
        answer = await house.web.get(f"/api/repo/{channel}/noarch/repodata.json", **{case.split()[0]: BAD[case]})
        assert answer.status == 401, (case, channel)
        assert answer.headers["www-authenticate"].startswith("Basic "), (case, channel)


@pytest.mark.parametrize("place", ["/t/{}/api/repo", "/api/repo/t/{}"])
async def test_a_bad_token_in_the_path(house: House, place: str) -> None:
    token = await private_channel(house)
    for bad in ("0" * 48, "x", "a b", "%00", "é", token[:-1]):
        answer = await house.web.get(f"{place.format(bad)}/secret/noarch/repodata.json".encode().decode("latin-1"))
        assert answer.status in (400, 401), bad
    both = await house.web.get(f"/t/{token}/api/repo/t/{'0' * 48}/secret/noarch/repodata.json")
    assert both.status == 401


async def test_the_request_of_conda_with_swapped_segments(house: House) -> None:
    token = await private_channel(house)
    for target in (
        f"/t/{token}/api/repo/secret/repodata_shards.msgpack.zst/noarch",
        f"/api/repo/t/{token}/secret/repodata_shards.msgpack.zst/linux-64",
        f"/t/{token}/secret/repodata_shards.msgpack.zst/noarch",
    ):
        assert (await house.web.get(target)).status == 404, target


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_who_sees_what(house: House, method: str) -> None:
    """Privacy by caller; what one may not know of is answered exactly like what is not there."""
    await house.person("owner")
    await house.person("known")
    await house.person("reader")
    for privacy in ("public", "authenticated", "private"):
        await house.channel(privacy, privacy, owner="owner")
        await house.upload(privacy, "one")
    await grant(house, "private", "reader")
    sees = {
        "anonymous": {"public"},
        "known": {"public", "authenticated"},
        "reader": {"public", "authenticated", "private"},
        "owner": {"public", "authenticated", "private"},
        "admin": {"public", "authenticated", "private"},
    }
    may_write = {"owner", "admin"}
    for who, visible in sees.items():
        client = house.web if who == "anonymous" else house.as_(who)
        for file in (*FILES, "noarch/absent-1.0-0.conda", "linux-64/repodata.json", "nonsense"):
            missing = await client.request(method, f"/api/repo/nowhere/{file}")
            assert missing.status == (401 if who == "anonymous" else 404)
            for channel in ("public", "authenticated", "private"):
                answer = await client.request(method, f"/api/repo/{channel}/{file}")
                case = (who, channel, file, answer.status)
                if channel not in visible:
                    assert answer == missing, case
                elif method == "PUT" and file != "nonsense":
                    refused = 401 if who == "anonymous" else 403
                    assert (answer.status in (415, 422)) if who in may_write else (answer.status == refused), case
                else:
                    there = file in FILES and method != "PUT"
                    assert answer.status == (200 if there else 404), case


async def grant(house: House, path: str, name: str) -> None:
    """Let somebody read a channel."""
    channel, person = await house.find(path), house.people[name].principal

    async def work(unit: Unit) -> None:
        await unit.execute(
            "INSERT INTO channel_grant (channel_id, user_id, level) VALUES (:channel, :person, :level)",
            channel=channel.id,
            person=person.account_id,
            level=int(READ),
        )

    await house.services.db.write(work)


async def test_a_scoped_token_reads_no_more_than_its_scopes(house: House) -> None:
    await private_channel(house)
    owner = house.people["owner"].principal
    db = house.services.db
    _, index_only = await tokens.create(
        db, await load_keys(db, SEALER), owner, "index", ["channel:view-artifacts"], None
    )
    web = house.web.with_headers({"x-auth": index_only})
    assert (await web.get("/api/repo/secret/noarch/repodata.json")).status == 200
    assert (await web.get("/api/repo/secret/noarch/one-1.0-0.conda")).status == 403
    assert (await web.put("/api/repo/secret/noarch/one-1.0-0.conda", b"")).status == 403


async def test_a_revoked_token_stops_everywhere(house: House, backend: Backend, tmp_path: Path) -> None:
    await private_channel(house)
    owner = house.people["owner"]
    target = "/api/repo/secret/noarch/one-1.0-0.conda"
    async with second_process(backend, house, tmp_path / "second") as other:
        clients = (house.as_("owner"), other.as_("owner"))
        for client in clients:
            assert (await client.get(target)).status == 200
        await tokens.revoke(house.services.db, owner.principal, owner.token_id)
        await until(lambda: asyncio.gather(*(client.get(target) for client in clients)), 401)


async def test_a_group_that_loses_a_channel_stops_everywhere(house: House, backend: Backend, tmp_path: Path) -> None:
    await private_channel(house)
    await house.person("guest")
    channel, guest = await house.find("secret"), house.people["guest"].principal
    target = "/api/repo/secret/noarch/one-1.0-0.conda"
    assert (await house.as_("guest").get(target)).status == 404

    async def share(unit: Unit) -> None:
        number = await unit.fetch_value(
            """INSERT INTO user_group (uuid, name, created_at, updated_at)
             VALUES ('u', 'guests', 0, 0) RETURNING id"""
        )
        await unit.execute(
            "INSERT INTO group_member (group_id, account_id, added_at) VALUES (:group, :person, 0)",
            group=number, person=guest.account_id,
        )  # fmt: skip
        await unit.execute(
            "INSERT INTO group_grant (channel_id, group_id, level) VALUES (:channel, :group, 1)",
            channel=channel.id, group=number,
        )  # fmt: skip
        await changes.note(unit, "people")

    async def end(unit: Unit) -> None:
        await unit.execute("DELETE FROM group_grant WHERE channel_id = :channel AND level = 1", channel=channel.id)
        await changes.note(unit, "people")

    async with second_process(backend, house, tmp_path / "second") as other:
        clients = (house.as_("guest"), other.as_("guest"))
        await house.services.db.write(share)
        await until(lambda: asyncio.gather(*(client.get(target) for client in clients)), 200)
        await house.services.db.write(end)
        await until(lambda: asyncio.gather(*(client.get(target) for client in clients)), 404)


async def test_what_everyone_may_do_changes_everywhere(house: House, backend: Backend, tmp_path: Path) -> None:
    await house.channel("open")
    target = "/api/repo/open/noarch/repodata.json"

    async def close(unit: Unit) -> None:
        await unit.execute("UPDATE role_level SET level = 0 WHERE role_id = 1")
        await changes.note(unit, "people")

    async with second_process(backend, house, tmp_path / "second") as other:
        for client in (house.web, other.web):
            assert (await client.get(target)).status == 200
        await house.services.db.write(close)
        await until(lambda: asyncio.gather(*(web.get(target) for web in (house.web, other.web))), 401)


async def test_a_disabled_account_stops_everywhere(house: House, backend: Backend, tmp_path: Path) -> None:
    await private_channel(house, PASSWORD)
    target = "/api/repo/secret/noarch/one-1.0-0.conda"
    by_password = {"authorization": basic("owner", PASSWORD)}
    async with second_process(backend, house, tmp_path / "second") as other:
        clients = [web.with_headers(by_password) for web in (house.web, other.web)]
        clients += [house.as_("owner"), other.as_("owner")]
        for client in clients:
            assert (await client.get(target)).status == 200
        await staffing.set_disabled(house.services.db, "owner", True, "test")
        await until(lambda: asyncio.gather(*(client.get(target) for client in clients)), 401)


async def test_privacy_changed_in_one_process_holds_in_the_other(
    house: House, backend: Backend, tmp_path: Path
) -> None:
    await house.upload("pub", "one")
    target = "/api/repo/pub/noarch/one-1.0-0.conda"
    channel = await house.find("pub")
    async with second_process(backend, house, tmp_path / "second") as other:
        for web in (house.web, other.web):
            assert (await web.get(target)).status == 200
        await edit_channel(
            house.services, channel, house.people["admin"].principal, Edit(privacy="private"), frozenset()
        )
        await until(lambda: asyncio.gather(*(web.get(target) for web in (house.web, other.web))), 401)


async def until(ask: Callable[[], Awaitable[list[Answer]]], status: int) -> None:
    """Ask until everyone is answered with `status`."""
    deadline = time.monotonic() + HEARD
    while True:
        answers = await ask()
        if all(answer.status == status for answer in answers):
            return
        assert time.monotonic() < deadline, [answer.status for answer in answers]
        await asyncio.sleep(0.02)
