"""Guessing is slowed down by all processes together; nobody else is locked out, after a restart neither."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress

import pytest

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.installation.keys import Keys, load_keys
from packhouse.catalog.logins.throttle_store import forget_full
from packhouse.core.clock import SECOND
from packhouse.core.db import Database, Unit, open_database
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting import throttle
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.admitting.credential import Credential
from packhouse.workflows.admitting.throttle import Throttle, network
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.keys import SEALER

PASSWORD = "correct horse"
HOME, OFFICE, AWAY = "192.0.2.1", "192.0.2.2", "198.51.100.9"
PROCESSES = 3


@pytest.fixture
async def nodes(backend: Backend) -> AsyncIterator[list[Database]]:
    """Connections of several processes, which share nothing but the database."""
    async with AsyncExitStack() as stack:
        made = [open_database(backend.database_url) for _ in range(PROCESSES)]
        for one in made:
            stack.push_async_callback(one.close)
        yield made


@pytest.fixture
async def keys(nodes: list[Database]) -> Keys:
    return await load_keys(nodes[0], SEALER)


async def people(db: Database, *names: str) -> None:
    for name in names:
        await staffing.create_user(db, name, PASSWORD, "author", "root")


async def works(authenticator: Authenticator, username: str, address: str) -> bool:
    try:
        proof = await authenticator.proof(Credential("password", PASSWORD, username), address)
    except PackhouseError as error:
        assert error.code == "too_many_attempts"
        return False
    return proof.principal.username == username


async def flood(
    authenticators: list[Authenticator],
    whom: Callable[[int], str],
    whence: Callable[[int], str],
    guesses: int,
) -> int:
    """Guess at all processes at once, in bursts and one after the other; return how many guesses were answered."""
    answered = 0

    async def guess(number: int) -> int:
        one = authenticators[number % len(authenticators)]
        with pytest.raises(PackhouseError) as error:
            await one.proof(Credential("password", f"guess {number}", whom(number)), whence(number))
        assert error.value.code in ("unauthenticated", "too_many_attempts")
        return error.value.code == "unauthenticated"

    for first in range(0, guesses, 500):
        burst = range(first, min(first + 500, guesses))
        if first % 1000:
            answered += sum([await guess(number) for number in burst])
        else:
            answered += sum(await asyncio.gather(*(guess(number) for number in burst)))
    return answered


def somewhere(number: int) -> str:
    return f"10.{number // 62500}.{number // 250 % 250}.{number % 250}"


@pytest.mark.parametrize(
    ("whom", "whence", "told"),
    [
        (lambda _: "ann", lambda _: AWAY, ("user ann", {"guessed": "password", "address": AWAY})),
        (
            lambda number: f"user{number}",
            lambda _: OFFICE,
            (f"address {OFFICE}", {"guessed": "password", "address": OFFICE}),
        ),
        (lambda _: "ann", somewhere, ("user ann", {"guessed": "password"})),
    ],
    ids=["one account from one address", "many accounts from one address", "one account from many addresses"],
)
@pytest.mark.parametrize("guesses", [500, pytest.param(10_000, marks=pytest.mark.full)])
async def test_thousands_of_guesses_at_three_processes(
    nodes: list[Database],
    keys: Keys,
    whom: Callable[[int], str],
    whence: Callable[[int], str],
    told: tuple[str, dict[str, str]],
    guesses: int,
) -> None:
    await people(nodes[0], "ann", "bob")
    before = [Authenticator(db, keys) for db in nodes]
    assert await works(before[0], "ann", HOME)
    assert await works(before[1], "bob", OFFICE)
    under_attack = [Authenticator(db, keys) for db in nodes]
    answered = await flood(under_attack, whom, whence, guesses)
    evaluations = sum(one.evaluations for one in under_attack)
    print(f"{guesses} guesses at {PROCESSES} processes: {evaluations} evaluations")
    assert 0 < answered <= evaluations <= 100
    after = [Authenticator(db, keys) for db in nodes]  # started in the middle of it
    for one in (*under_attack, *after):
        assert await works(one, "ann", HOME)
        assert await works(one, "bob", OFFICE)
    # nor does a restart give an attacker anything
    assert await flood(after, whom, whence, 500) <= 100 - answered
    rows = await nodes[0].fetch_all("SELECT object, data FROM event WHERE type = 'sign_in_throttled'")
    assert [(row[0], json.loads(row[1])) for row in rows] == [told], "once, by whichever process"


async def test_whoever_guesses_at_nobody_from_everywhere_fills_no_audit_trail(
    nodes: list[Database], keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "REMEMBER_SECONDS", 0.0)  # as if each came a second later
    admitted = 0
    for number in range(60):
        with suppress(PackhouseError):
            await Throttle(nodes[0], keys).admit("nobody", f"2001:db8:0:{number:x}::1")
            admitted += 1
    assert 40 <= admitted < 60
    assert await nodes[0].fetch_all("SELECT object FROM event WHERE type = 'sign_in_throttled'") == []


async def test_right_passwords_are_free(nodes: list[Database], keys: Keys) -> None:
    await people(nodes[0], "ann")
    throttle = Throttle(nodes[0], keys)
    for _ in range(100):
        await throttle.succeeded(await throttle.admit("ann", HOME), 1)


async def test_logins_of_ones_own_pay_for_no_guesses_at_others(nodes: list[Database], keys: Keys) -> None:
    await people(nodes[0], "ann")
    throttle = Throttle(nodes[0], keys)
    await throttle.succeeded(await throttle.admit("ann", HOME), 1)
    tried = 0
    for number in range(60):
        tried += await admitted(throttle, f"somebody{number}")
        await throttle.succeeded(await throttle.admit("ann", HOME), 1)
    assert 40 <= tried <= 45  # one a minute comes back by itself


async def test_what_could_not_be_checked_costs_nothing(nodes: list[Database], keys: Keys) -> None:
    await people(nodes[0], "ann")
    away = True

    async def directory(name: str, password: str) -> Account | None:
        if away:
            raise PackhouseError("directory_failed", "The directory does not answer.", "Try again later.")
        return await store.by_name(nodes[0], "ann")

    authenticator = Authenticator(nodes[0], keys, elsewhere=directory)
    for _ in range(50):
        with pytest.raises(PackhouseError, match="does not answer"):
            await authenticator.check_password("kim", "kim-password", HOME)
    away = False
    assert (await authenticator.check_password("kim", "kim-password", HOME)).username == "ann"


async def admitted(throttle: Throttle, username: str, address: str = HOME) -> bool:
    try:
        await throttle.admit(username, address)
    except PackhouseError as error:
        assert error.status == 429
        assert error.retry_after and error.retry_after > 0
        return False
    return True


async def test_checks_under_way_count_in_every_process(nodes: list[Database], keys: Keys) -> None:
    throttles = [Throttle(db, keys) for db in nodes]
    found = await asyncio.gather(*(admitted(throttles[number % PROCESSES], "ann") for number in range(60)))
    assert sum(found) == 10


async def pass_time(db: Database, seconds: int) -> None:
    async def work(unit: Unit) -> None:
        await unit.execute("UPDATE bucket SET at = at - :by", by=seconds * SECOND)

    await db.write(work)


async def test_waiting_helps_a_little_at_a_time(nodes: list[Database], keys: Keys) -> None:
    throttle = Throttle(nodes[0], keys)
    for _ in range(10):
        assert await admitted(throttle, "ann")
    with pytest.raises(PackhouseError) as refused:
        await throttle.admit("ann", HOME)
    assert refused.value.retry_after is not None
    assert 290 <= refused.value.retry_after <= 301
    await pass_time(nodes[0], refused.value.retry_after)
    throttle = Throttle(nodes[0], keys)
    assert await admitted(throttle, "ann")
    assert not await admitted(throttle, "ann")
    assert await admitted(throttle, "bob")


async def test_what_is_guessed_is_counted_by_itself(nodes: list[Database], keys: Keys) -> None:
    throttle = Throttle(nodes[0], keys)
    for _ in range(11):
        await admitted(throttle, "ann")
    assert not await admitted(throttle, "ann")
    await throttle.admit("ann", HOME, "code")


async def test_nothing_readable_is_kept_and_full_buckets_go(nodes: list[Database], keys: Keys) -> None:
    throttle = Throttle(nodes[0], keys)
    await people(nodes[0], "ann")
    await throttle.succeeded(await throttle.admit("ann", HOME), 1)
    await throttle.admit("bob", OFFICE)
    rows = [await nodes[0].fetch_all(f"SELECT * FROM {table}") for table in ("bucket", "known_place")]
    assert not [word for word in ("ann", "bob", HOME, OFFICE) if word in repr(rows)]
    assert all(rows)
    now = await nodes[0].now()

    async def forget(unit: Unit) -> int:
        return await forget_full(unit, now + SECOND)

    assert await nodes[0].write(forget) == len(rows[0])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
