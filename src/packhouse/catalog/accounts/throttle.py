"""Slows down password guessing without locking out anybody else.

Three token buckets stand before each check: of the account from this address, of the address, of the account. The last
two would let an attacker lock out others (colleagues behind one proxy, the owner of an attacked account), so they do
not count for an account at an address where it has logged in before. In memory, per process.
"""

from __future__ import annotations

from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from packhouse.core.errors import PackhouseError


class Rate(NamedTuple):
    """A bucket: `burst` checks at once, then one every `seconds`."""

    burst: int
    seconds: float


PAIR = Rate(10, 300)
ADDRESS = Rate(40, 60)
ACCOUNT = Rate(40, 60)
#: remembered buckets and known places; the oldest are forgotten first
CAPACITY = 50_000


class Throttle:
    """Counts failed checks. Times are seconds of a clock that only grows."""

    def __init__(self) -> None:
        self._spent: dict[Hashable, tuple[float, float]] = {}  # bucket -> (checks spent, when)
        self._known: dict[tuple[str, str], None] = {}

    def admit(self, username: str, address: str, now: float) -> None:
        """Charge one check before it is made, so that checks under way count too.

        Raises PackhouseError("too_many_attempts") with `retry_after`, charging nothing.
        """
        buckets = self._buckets(username, network(address))
        waits = [self._wait(key, rate, now) for key, rate in buckets.items()]
        if max(waits) > 0:
            raise PackhouseError(
                "too_many_attempts",
                "There were too many failed logins.",
                "Wait a few minutes, then try again.",
                retry_after=int(max(waits)) + 1,
            )
        for key, rate in buckets.items():
            self._put(key, self._level(key, rate, now) + 1, now)

    def succeeded(self, username: str, address: str, now: float) -> None:
        """Give back what `admit` charged and remember that the account is at home at this address."""
        place = network(address)
        for key, rate in self._buckets(username, place).items():
            self._put(key, max(self._level(key, rate, now) - 1, 0), now)
        self._known.pop((username, place), None)
        self._known[username, place] = None
        if len(self._known) > CAPACITY:
            del self._known[next(iter(self._known))]

    def _buckets(self, username: str, place: str) -> dict[Hashable, Rate]:
        pair: dict[Hashable, Rate] = {("pair", username, place): PAIR}
        if (username, place) in self._known:
            return pair
        return {**pair, ("address", place): ADDRESS, ("account", username): ACCOUNT}

    def _level(self, key: Hashable, rate: Rate, now: float) -> float:
        spent, since = self._spent.get(key, (0.0, now))
        return max(spent - (now - since) / rate.seconds, 0.0)

    def _wait(self, key: Hashable, rate: Rate, now: float) -> float:
        return (self._level(key, rate, now) + 1 - rate.burst) * rate.seconds

    def _put(self, key: Hashable, spent: float, now: float) -> None:
        self._spent.pop(key, None)
        self._spent[key] = (spent, now)
        if len(self._spent) > CAPACITY:
            del self._spent[next(iter(self._spent))]


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
