"""A mirror whose pages are asked for on demand: once, again when they are old, and not while the upstream is away."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from packhouse.catalog.mirrors import store
from packhouse.core.clock import DAY, to_iso
from packhouse.workflows.mirroring import listing
from tests.conftest import Backend
from tests.kit.asgi import Answer
from tests.kit.calls import call
from tests.kit.house import House, open_house
from tests.kit.mirroring import run_and_wait
from tests.kit.misbehaviour import Connection, Misbehaviour
from tests.kit.pythonindex import PythonSource, wheel_of
from tests.kit.upstream import Fails, Upstream, WrongBytes

JSON = "application/vnd.pypi.simple.v1+json"


class Held(Misbehaviour):
    """Answers when told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def send(self, connection: Connection, body: bytes) -> None:
        await self.go.wait()
        await connection.send(body)


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        await opened.channel("lazy")
        yield opened


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


async def mirror(house: House, up: Upstream, **more: Any) -> str:
    """Let the channel ask the upstream; return the mirror's id."""
    body = {"mirror_name": "up", "source_root": f"{up.url}/simple", "mirror_type": "python_simple", **more}
    answer = await call(house.admin, "POST", "/api/channels/lazy/mirrors", body)
    assert answer.status == 201, answer.body
    await house.caught_up()
    return str(answer.json()["mirror_id"])


_numbers = count()


async def ask(house: House, project: str) -> Answer:
    """Ask for a page, each time a little differently: the same question is answered from memory for a second."""
    await house.caught_up()
    return await house.web.get(f"/api/repo/lazy/simple/{project}/", accept=f"{JSON}, x/{next(_numbers)};q=0.1")


async def files(house: House, project: str) -> list[str]:
    answer = await ask(house, project)
    assert answer.status == 200, answer.body
    return [one["filename"] for one in answer.json()["files"]]


def forget(house: House) -> None:
    """Let this process ask again at once."""
    house.server._listings._words.clear()


async def test_fifty_who_want_a_name_ask_once_and_the_file_comes_when_it_is_wanted(house: House, up: Upstream) -> None:
    source = PythonSource()
    filename = source.add("tea", needs=("pot",), **{"requires-python": ">=3.8", "yanked": "cold"})
    source.put_on(up)
    await mirror(house, up)
    answers = await asyncio.gather(*(ask(house, "tea") for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert up.hits("simple/tea/") == 1 and up.hits(f"simple/tea/{filename}") == 0
    (said,) = answers[0].json()["files"]
    assert (said["url"], said["requires-python"], said["yanked"]) == (filename, ">=3.8", "cold")
    apart = await house.web.get(f"/api/repo/lazy/simple/tea/{filename}.metadata")
    assert b"Requires-Dist: pot" in apart.body and up.hits(f"simple/tea/{filename}") == 0
    for _ in range(2):
        got = await house.web.get(f"/api/repo/lazy/simple/tea/{filename}")
        assert got.body == source.bytes[f"simple/tea/{filename}"]
    assert up.hits(f"simple/tea/{filename}") == 1
    assert (await ask(house, "coffee")).status == 404 and (await ask(house, "coffee")).status == 404
    assert up.hits("simple/coffee/") == 1


async def test_a_file_whose_page_nobody_asked_for_is_found_by_its_address(house: House, up: Upstream) -> None:
    source = PythonSource()
    filename = source.add("tea")
    source.put_on(up)
    await mirror(house, up)
    assert (await house.web.get(f"/api/repo/lazy/simple/tea/{filename}")).status == 200


async def test_a_token_in_the_address_of_a_mirror_is_not_kept_with_its_files(house: House, up: Upstream) -> None:
    """Neither of those below it nor of those beside it, where many indexes have them."""
    source, root = PythonSource(), "t/s3cr3t/simple"
    (near, wheel), (far, other) = wheel_of("tea"), wheel_of("tea", "2.0")
    for filename, content, url in ((near, wheel, near), (far, other, f"../../files/{far}")):
        hashes = {"sha256": hashlib.sha256(content).hexdigest()}
        source.projects.setdefault("tea", []).append({"filename": filename, "url": url, "hashes": hashes})
    source.put_on(up)
    up.files = {f"{root}/tea/": up.files["simple/tea/"], f"{root}/tea/{near}": wheel, f"t/s3cr3t/files/{far}": other}
    up.types = {f"{root}/tea/": JSON}
    await mirror(house, up, source_root=f"{up.url}/{root}")
    assert await files(house, "tea") == [near, far]
    kept = [row[0] for row in await house.services.db.fetch_all("SELECT source_url FROM entry ORDER BY filename")]
    assert kept == [f"tea/{near}", f"../files/{far}"]
    for filename, content in ((near, wheel), (far, other)):
        assert (await house.web.get(f"/api/repo/lazy/simple/tea/{filename}")).body == content


async def test_old_pages_are_asked_for_again_and_what_left_the_upstream_leaves(
    house: House, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = PythonSource()
    one, two = source.add("tea"), source.add("tea", "2.0")
    source.put_on(up)
    await mirror(house, up)
    assert await files(house, "tea") == [one, two]
    forget(house)
    assert await files(house, "tea") == [one, two] and up.hits("simple/tea/") == 1, "another process asked just now"
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
    forget(house)
    await files(house, "tea")
    assert up.requests[-1].headers.get("if-none-match"), "unchanged, it costs one 304"
    source.drop("tea", one)
    three = source.add("tea", "3.0")
    source.put_on(up)
    forget(house)
    assert await files(house, "tea") == [two, three]
    events = await house.services.db.fetch_all("SELECT data FROM event WHERE type = 'mirror_listing_taken' ORDER BY id")
    assert len(events) == 2 and '"removed":1' in events[1][0] and '"added":1' in events[1][0]


async def test_while_the_upstream_is_away_there_is_what_was_there(
    house: House, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
    source = PythonSource()
    filename = source.add("tea")
    source.add("pot")
    source.put_on(up)
    mirror_id = await mirror(house, up)
    await files(house, "tea")
    for name in ("tea", "pot"):
        up.misbehave(f"simple/{name}/", Fails(403, times=100))
    forget(house)
    assert await files(house, "tea") == [filename]
    refused = await ask(house, "pot")
    assert refused.status == 502 and "pot" in refused.json()["message"] and up.hostport not in refused.body.decode()
    shown = await call(house.admin, "GET", f"/api/channels/lazy/mirrors/{mirror_id}")
    assert {one["ckey"] for one in shown.json()["sync_state"]["failures"]} == {"tea", "*"}


async def test_made_up_names_are_asked_for_in_turn_and_fill_no_list(
    house: House, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_ASKED", 3)
    monkeypatch.setattr(listing, "MOST_WANTED", 10)
    source = PythonSource()
    filename = source.add("tea")
    source.put_on(up)
    mirror_id = await mirror(house, up)
    held = Held()
    for number in range(40):
        path = f"simple/made-up-{number}/"
        up.files[path], up.types[path] = b"no page", JSON
        up.misbehave(path, held)
    asking = [asyncio.create_task(ask(house, f"made-up-{number}")) for number in range(40)]
    while sum(one.done() for one in asking) < 30:  # whoever comes when ten wait is sent away
        await asyncio.sleep(0.02)
    assert {one.result().status for one in asking if one.done()} == {503}
    assert all(one.result().headers["retry-after"] for one in asking if one.done())
    while up.hits() < 3:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)  # time enough for a fourth
    assert up.hits() == 3
    held.go.set()
    answers = await asyncio.gather(*asking)
    assert up.hits() == 10 and [answer.status for answer in answers].count(502) == 10
    shown = await call(house.admin, "GET", f"/api/channels/lazy/mirrors/{mirror_id}")
    assert [one["ckey"] for one in shown.json()["sync_state"]["failures"]] == ["*"]
    assert await files(house, "tea") == [filename], "nobody is left waiting"
    assert (await ask(house, "nothing")).status == 404
    after = await call(house.admin, "GET", f"/api/channels/lazy/mirrors/{mirror_id}")
    assert after.json()["sync_state"]["failures"] == shown.json()["sync_state"]["failures"], (
        "not to have it is no failure"
    )


async def test_bytes_that_are_not_those_of_the_page_never_arrive(house: House, up: Upstream) -> None:
    source = PythonSource()
    filename = source.add("tea")
    source.put_on(up)
    up.misbehave(f"simple/tea/{filename}", WrongBytes())
    await mirror(house, up)
    assert (await house.web.get(f"/api/repo/lazy/simple/tea/{filename}")).status == 502
    assert await house.services.db.fetch_value("SELECT count(*) FROM content") == 0


async def test_filters_decide_what_is_asked_for_and_what_is_taken(house: House, up: Upstream) -> None:
    source = PythonSource()
    source.add("tea")
    two = source.add("tea", "2.0")
    source.add("pot")
    source.put_on(up)
    await mirror(house, up, filters={"projects": ["Tea"], "only_specs": ["python:tea>=2"]})
    assert await files(house, "tea") == [two]
    assert (await ask(house, "pot")).status == 404 and up.hits("simple/pot/") == 0


@pytest.mark.parametrize(
    "body",
    [{"mirror_mode": "active"}, {"filters": {"subdirs": ["noarch"]}}, {"source_root": "file:///srv/simple"}],
    ids=["active", "subdirs", "folder"],
)
async def test_what_makes_no_sense_for_a_lazy_mirror_is_refused(house: House, body: dict[str, Any]) -> None:
    asked = {"mirror_name": "up", "source_root": "https://example.org/simple", "mirror_type": "python_simple", **body}
    answer = await call(house.admin, "POST", "/api/channels/lazy/mirrors", asked)
    assert answer.status == 400, answer.body


async def test_a_frozen_channel_asks_nobody(house: House, up: Upstream) -> None:
    source = PythonSource()
    source.add("tea", "9.0")
    source.put_on(up)
    await mirror(house, up)
    frozen = await call(house.admin, "PUT", "/api/channels/lazy", {"indexing_behavior": "frozen"})
    assert frozen.status in (200, 204)
    assert (await ask(house, "tea")).status == 404 and not up.requests


async def test_a_name_that_was_uploaded_stays_ours_and_no_upstream_hears_of_it(house: House, up: Upstream) -> None:
    source = PythonSource()
    source.add("tea", "9.0")
    source.put_on(up)
    mirror_id = await mirror(house, up, filters={"projects": ["tea"]})
    filename, content = wheel_of("tea")
    assert (await house.admin.put(f"/api/repo/lazy/simple/tea/{filename}", content)).status == 201
    assert await files(house, "tea") == [filename]
    theirs = await house.web.get("/api/repo/lazy/simple/tea/tea-9.0-py3-none-any.whl")
    assert theirs.status == 404, theirs.body
    found = await store.by_uuid(house.services.db, mirror_id)
    assert found is not None
    assert (await run_and_wait(house.services, found)).state == "completed"
    assert not up.requests


async def test_a_reserved_name_is_asked_of_no_upstream_unless_that_is_waived(house: House, up: Upstream) -> None:
    source = PythonSource()
    filename = source.add("acme-tea")
    source.put_on(up)
    await mirror(house, up)
    made = await call(house.admin, "POST", "/api/reservations", {"pattern": "acme_*"})
    assert made.status == 201, made.body
    assert (await ask(house, "acme-tea")).status == 404
    assert (await house.web.get(f"/api/repo/lazy/simple/acme-tea/{filename}")).status == 404
    assert not up.requests
    until = to_iso(await house.services.db.now() + DAY)
    waiver = {"name": "acme-tea", "family": "python", "rules": ["reserved_name"], "reason": "Known.", "until": until}
    assert (await call(house.admin, "POST", "/api/waivers", waiver)).status == 201
    forget(house)
    assert await files(house, "acme-tea") == [filename]
