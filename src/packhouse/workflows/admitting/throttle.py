"""Slows down guessing without locking out anybody else; all processes of an installation count together.

Three token buckets stand before each check: of the account from this address, of the address, of the account. The last
two would let an attacker lock out others (colleagues behind one proxy, the owner of an attacked account), so they do
not count for an account at an address where it has logged in before. All of it is rows (`throttle_store.py`), so that a
restart in the middle of an attack opens nothing and locks nobody out. Guesses at a password that an account no longer
has do not count against it: who was given a new one can log in at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Literal, NamedTuple

from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import throttle_store
from packhouse.catalog.logins.throttle_store import Rate
from packhouse.core.clock import monotonic
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError

PAIR = Rate(10, 300)
ADDRESS = Rate(40, 60)
ACCOUNT = Rate(40, 60)
#: how long a refusal is remembered, in seconds, and how many are: a flood of guesses asks the database for few of them
REMEMBER_SECONDS = 1.0
CAPACITY = 50_000

#: what is guessed; each has buckets of its own
Purpose = Literal["password", "code", "device"]


class Charge(NamedTuple):
    """What one check was charged to."""

    buckets: tuple[bytes, ...]
    place: bytes  #: from where
    known: bytes  #: under which a refusal of the same is remembered


class Throttle:
    """Counts failed checks of whatever can be guessed."""

    def __init__(self, db: Database, keys: Keys) -> None:
        self._db, self._keys = db, keys
        self._turn = asyncio.Lock()
        self._refused: dict[bytes, float] = {}  # bucket -> until when (monotonic) it is known to be empty

    async def admit(self, username: str, address: str, purpose: Purpose = "password") -> Charge:
        """Charge one check before it is made, so that checks under way count too.

        Raises PackhouseError("too_many_attempts") with `retry_after`, charging nothing.
        """
        place = network(address)
        known = self._key(purpose, "known", username, place)
        self._recall([known])
        exists, password, at_home = await throttle_store.guessed(self._db, username, self._place(place))
        pair, of_address, of_account = self._keys_of(purpose, username, place, password)
        buckets = {pair: PAIR}
        if not at_home:
            buckets |= {of_address: ADDRESS, of_account: ACCOUNT}
        at = f"address {place}"
        told = {pair: (at, place), of_address: (at, place)}
        if exists:  # for a name that nobody has, no address waits by the guesses of others that anybody should hear of
            told |= {pair: (f"user {username}", place), of_account: (f"user {username}", "")}
        # One at a time: a burst would only wait for the same rows, with all the connections there are.
        async with self._turn:
            self._recall([known, *buckets])
            waits = await throttle_store.waits(self._db, buckets, await self._db.now())
            empty = {key: wait for key, wait in waits.items() if wait > 0}
            empty = empty or await throttle_store.try_charge(self._db, buckets)
            for key in told.keys() & empty.keys():
                await self._tell(purpose, *told[key])
            if empty:
                self._refuse(empty, {pair: known})
        return Charge(tuple(buckets), self._place(place), known)

    async def succeeded(self, charge: Charge, account_id: int, *, at_home: bool = True) -> None:
        """Give back what was charged and nothing besides, so that nobody pays for guesses with logins of their own.

        If so, remember that the account is at home at this address.
        """
        place = charge.place if at_home else None
        work = partial(throttle_store.give_back, keys=charge.buckets, account_id=account_id, place=place)
        await self._db.write(work)
        self._refused.pop(charge.known, None)

    async def undecided(self, charge: Charge) -> None:
        """Give back what was charged for a check that could not be made."""
        await self._db.write(partial(throttle_store.give_back, keys=charge.buckets, account_id=0, place=None))

    def _keys_of(self, purpose: Purpose, username: str, place: str, password: int) -> tuple[bytes, bytes, bytes]:
        """Return the buckets of an account from an address, of the address and of the account.

        Codes have theirs whatever the password is, or whoever knows it could change it for more guesses at them.
        """
        which = (str(password),) if purpose == "password" else ()
        return (
            self._key(purpose, "pair", username, place, *which),
            self._key(purpose, "address", place),
            self._key(purpose, "account", username, *which),
        )

    async def _tell(self, purpose: Purpose, object: str, place: str) -> None:
        """Tell administrators who, or which address, has to wait; `place` is "" for somebody who has to everywhere."""
        data = {"guessed": purpose} | ({"address": place} if place else {})
        await throttle_store.tell(self._db, self._key("told", purpose, object, place), object, data)

    def _refuse(self, waits: Mapping[bytes, float], aliases: Mapping[bytes, bytes]) -> None:
        """Raise: these buckets have to be waited for; seconds by bucket. Some are remembered under another name, which
        is known without asking the database.
        """
        for key, wait in waits.items():
            self._refused[aliases.get(key, key)] = monotonic() + min(wait, REMEMBER_SECONDS)
        while len(self._refused) > CAPACITY:
            del self._refused[next(iter(self._refused))]
        raise _too_many(max(waits.values()))

    def _recall(self, keys: list[bytes]) -> None:
        now = monotonic()
        left = max((self._refused.get(key, now) - now for key in keys), default=0.0)
        if left > 0:
            raise _too_many(left)

    def _key(self, *parts: str) -> bytes:
        return self._keys.hash_of("bucket", *parts)

    def _place(self, place: str) -> bytes:
        return self._keys.hash_of("place", place)


def _too_many(seconds: float) -> PackhouseError:
    return PackhouseError(
        "too_many_attempts",
        "There were too many failed attempts.",
        "Wait a few minutes, then try again.",
        retry_after=int(seconds) + 1,
    )


def network(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 an IPv6 subscriber has to choose from."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return ip.exploded[:19]
    return str(ip)
