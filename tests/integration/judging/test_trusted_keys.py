"""Records count as signed by what their signature says about their bytes, and by whom an administrator trusts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from packhouse.catalog.packages import leftovers
from packhouse.catalog.signing.signatures import verified
from packhouse.core.db import Unit
from tests.conftest import Backend
from tests.kit.calls import call, read
from tests.kit.feeding import waiting
from tests.kit.house import House, open_house
from tests.kit.mirroring import CondaSource, add_mirror, events, run_and_wait
from tests.kit.signing import Signer
from tests.kit.upstream import Upstream

ANN, BOB = Signer(1), Signer(2)
KEYS = "/api/trusted-keys"


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        await opened.person("author")
        yield opened


def source() -> CondaSource:
    """Files signed by Ann, by both, by nobody, falsely, and by whom cannot be said."""
    made = CondaSource()
    for name in ("by-ann", "by-both", "plain", "changed", "mere"):
        made.add(name, real=False)
    records = {key.split("-1.0")[0]: (key, record) for key, record in made.records["noarch"].items()}
    made.signatures = {
        records["by-ann"][0]: ANN.sign(records["by-ann"][1]),
        records["by-both"][0]: ANN.sign(records["by-both"][1]) | BOB.sign(records["by-both"][1]),
        records["changed"][0]: ANN.sign(records["changed"][1] | {"depends": []} | {"license": "BSD"}),
        records["mere"][0]: {ANN.public: {"signature": "0" * 128}},
    }
    return made


async def mirror(house: House, files: CondaSource) -> None:
    channel = await house.channel("ours")
    async with Upstream(files.files()) as up:
        ended = await run_and_wait(house.services, await add_mirror(house.services, channel, up.url))
    assert ended.state == "completed"


async def signed(house: House) -> set[str]:
    """Return the names whose files count as signed."""
    db = house.services.db
    names = {row[0]: row[1] for row in await db.fetch_all("SELECT id, name FROM record")}
    return {names[one] for one in await verified(db, list(names))}


async def trust(house: House, name: str, key: str) -> Any:
    answer = await call(house.admin, "POST", KEYS, {"name": name, "key": key})
    assert answer.status == 201, answer.body
    return answer.json()


async def test_only_a_true_signature_by_a_trusted_key_counts(house: House) -> None:
    await trust(house, "bob", BOB.public)
    await mirror(house, source())
    assert await signed(house) == {"by-both"}
    await waiting(house.services)
    made = await trust(house, "ann", ANN.public.upper())
    assert (made["key"], made["name"], made["added_by"], made["packages"]) == (ANN.public, "ann", "admin", 2)
    assert await signed(house) == {"by-ann", "by-both"}
    assert await waiting(house.services) == {("conda", "by-ann"), ("conda", "by-both")}
    assert (await call(house.admin, "DELETE", f"{KEYS}/{BOB.public}")).status == 204
    assert await waiting(house.services) == {("conda", "by-both")}
    assert await signed(house) == {"by-ann", "by-both"}, "Ann signed both, and is still trusted"
    assert (await call(house.admin, "DELETE", f"{KEYS}/{ANN.public}")).status == 204
    assert await signed(house) == set()
    assert [(kind, data) for kind, _, data in await events(house.services, "trusted_key")] == [
        ("trusted_key_added", {"key": BOB.public}),
        ("trusted_key_added", {"key": ANN.public}),
        ("trusted_key_removed", {"key": BOB.public}),
        ("trusted_key_removed", {"key": ANN.public}),
    ]


async def test_a_signature_that_comes_later_is_another_record(house: House) -> None:
    files = source()
    signatures, files.signatures = files.signatures, {}
    await trust(house, "ann", ANN.public)
    channel = await house.channel("ours")
    async with Upstream(files.files()) as up:
        made = await add_mirror(house.services, channel, up.url)
        await run_and_wait(house.services, made)
        assert await signed(house) == set()
        files.signatures = signatures
        up.files |= files.files()
        await run_and_wait(house.services, made)
    shown = await house.services.db.fetch_all("SELECT record_id FROM entry")
    assert len(await verified(house.services.db, [row[0] for row in shown])) == 2


async def test_a_removed_record_leaves_no_signature(house: House) -> None:
    await trust(house, "ann", ANN.public)
    await mirror(house, source())
    ids = [row[0] for row in await house.services.db.fetch_all("SELECT id FROM record")]
    await house.remove("ours", "by-ann")

    async def work(unit: Unit) -> int:
        return await leftovers.drop_records(unit, ids)

    assert await house.services.db.write(work) == 1
    assert await signed(house) == {"by-both"}
    assert await house.services.db.fetch_value("SELECT count(*) FROM record_signature") == 2


async def test_lists_and_refusals(house: House) -> None:
    await trust(house, "b", BOB.public)
    await trust(house, "a", ANN.public)
    listed = await read(house.admin, KEYS)
    assert ([one["name"] for one in listed["items"]], listed["total_count"]) == (["a", "b"], 2)

    async def refused(method: str, target: str, body: Any = None) -> tuple[int, str]:
        answer = await call(house.admin, method, target, body)
        return answer.status, answer.json()["code"]

    assert await refused("POST", KEYS, {"name": "c", "key": ANN.public}) == (409, "conflict")
    assert await refused("POST", KEYS, {"name": "a", "key": Signer(3).public}) == (409, "conflict")
    for body in ({"name": "c", "key": "zz"}, {"name": "c", "key": "00" * 32}, {"name": " ", "key": Signer(3).public}):
        assert await refused("POST", KEYS, body) == (400, "bad_request")
    assert await refused("DELETE", f"{KEYS}/{Signer(3).public}") == (404, "not_found")
    assert await refused("DELETE", f"{KEYS}/zz") == (400, "bad_request")
    assert (await read(house.admin, KEYS))["total_count"] == 2


async def test_only_administrators_say_whom_they_trust(house: House) -> None:
    body = {"name": "mine", "key": ANN.public}
    for who, status in ((house.web, 401), (house.as_("author"), 403)):
        assert (await who.get(KEYS)).status == status
        assert (await call(who, "POST", KEYS, body)).status == status
        assert (await call(who, "DELETE", f"{KEYS}/{ANN.public}")).status == status
