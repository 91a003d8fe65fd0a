"""What is only history is forgotten in the end."""

from __future__ import annotations

from packhouse.app import _duties
from packhouse.catalog.changes import forget_old, note
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins import logins
from packhouse.catalog.packages.downloads import forget_old_chunks, take_chunk
from packhouse.core import leases
from packhouse.core.clock import DAY
from packhouse.core.db import Unit
from packhouse.core.jobs import cancel, submit
from packhouse.core.randomness import new_uuid
from tests.kit.house import House
from tests.kit.keys import SEALER


async def test_jobs_that_ended_long_ago_are_forgotten(house: House) -> None:
    db = house.services.db
    for subject in ("old", "young", "live"):
        await db.write(lambda unit, subject=subject: submit(unit, "mirror", subject, {}))  # type: ignore[misc]  # inference
    for subject in ("old", "young"):
        await db.write(lambda unit, subject=subject: cancel(unit, ("mirror", subject)))  # type: ignore[misc]  # same
    back = f"UPDATE job SET finished_at = finished_at - {31 * DAY} WHERE subject = 'old'"
    await db.write(lambda unit: unit.execute(back))
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    assert await db.fetch_all("SELECT subject FROM job ORDER BY subject") == [("live",), ("young",)]


async def test_old_changes_and_chunks_go_in_batches(house: House) -> None:
    db = house.services.db
    for _ in range(5):
        await db.write(lambda unit: note(unit, "entry", 1))
        await db.write(lambda unit: take_chunk(unit, new_uuid()))
    back = [f"UPDATE {table} SET at = at - {31 * DAY}" for table in ("change", "download_chunk")]
    for statement in back:
        await db.write(lambda unit, statement=statement: unit.execute(statement))  # type: ignore[misc]  # inference
    assert await db.write(lambda unit: forget_old(unit, limit=2)) == 2
    assert await db.write(lambda unit: forget_old_chunks(unit, 2**62, limit=2)) == 2
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    assert [await db.fetch_value(f"SELECT count(*) FROM {table}") for table in ("change", "download_chunk")] == [0, 0]


async def test_leases_of_holders_that_died_long_ago_are_forgotten(house: House) -> None:
    db = house.services.db
    for name in ("fetch:old", "fetch:young"):
        await db.write(lambda unit, name=name: leases.acquire(unit, name, "holder", 1.0))  # type: ignore[misc]  # inference
    back = f"UPDATE lease SET until = until - {31 * DAY} WHERE name = 'fetch:old'"
    await db.write(lambda unit: unit.execute(back))
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    assert await db.fetch_all("SELECT name FROM lease WHERE name LIKE 'fetch:%'") == [("fetch:young",)]


#: of what signing in leaves: how a row is made that ends at :end, with :hash as its key
LEFT_BY_SIGNING_IN = {
    "login": "INSERT INTO login (uuid, account_id, kind, created_at, seen_at, checked_at, expires_at)"
    " VALUES (:text, :account, 'browser', 0, 0, 0, :end)",
    "auth_code": "INSERT INTO auth_code (code_hash, client_id, redirect_uri, account_id, login_id, created_at,"
    " expires_at) SELECT :hash, 'c', 'u', :account, id, 0, :end FROM login WHERE uuid = :text",
    "device_grant": "INSERT INTO device_grant (device_hash, user_hash, client_id, state, login_id, wait, created_at,"
    " expires_at) SELECT :hash, :hash, 'c', 'used', id, 5, 0, :end FROM login WHERE uuid = :text",
    "known_place": "INSERT INTO known_place (account_id, place_hash, seen_at) VALUES (:account, :hash, :end - :year)",
    "signing_key": "INSERT INTO signing_key (kid, algorithm, private, public, created_at, signs_from, verifies_until)"
    " VALUES (:text, 'RS256', :hash, '{}', 0, 0, :end)",
}


async def test_what_signing_in_leaves_is_forgotten(house: House) -> None:
    db, account = house.services.db, house.people["admin"].principal.account_id
    ended, now = 31 * DAY, await db.now()
    await db.write(lambda unit: unit.execute("INSERT INTO provider (id, name, kind) VALUES (1, 'corp', 'oidc')"))

    async def leave(unit: Unit) -> None:
        for text, end in (("old", now - ended), ("young", now - DAY), ("live", now + DAY)):
            values = {"text": text, "hash": text.encode(), "account": account, "end": end, "year": 335 * DAY}
            for statement in LEFT_BY_SIGNING_IN.values():
                await unit.execute(statement, **values)
            attempt = """INSERT INTO attempt (state_hash, provider_id, browser_hash, nonce_hash, verifier, created_at,
             expires_at) VALUES (:hash, 1, :hash, :hash, :hash, 0, :end)"""
            await unit.execute(attempt, hash=text.encode(), end=end)

    await db.write(leave)
    keys = await load_keys(db, SEALER)
    signed_out, _ = await db.write(
        lambda unit: logins.begin(unit, keys, account or 0, "browser", client="", lifetime=DAY)
    )
    back = "UPDATE login SET ended_at = :at WHERE uuid = :uuid"
    await db.write(lambda unit: unit.execute(back, at=now - ended, uuid=signed_out.uuid))
    assert await db.write(lambda unit: logins.forget_old(unit, now - 30 * DAY)) == 1  # not what codes still name
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    for table in LEFT_BY_SIGNING_IN:
        assert await db.fetch_value(f"SELECT count(*) FROM {table}") == 2, table
    assert [bytes(row[0]) for row in await db.fetch_all("SELECT state_hash FROM attempt")] == [b"live"]
    assert {row[0] for row in await db.fetch_all("SELECT uuid FROM login")} == {"young", "live"}
