"""Guessing is slowed down; nobody else is locked out."""

from __future__ import annotations

import pytest

from packhouse.catalog.accounts.throttle import Throttle, network
from packhouse.core.errors import PackhouseError


def admitted(throttle: Throttle, username: str, address: str, now: float = 0.0) -> bool:
    try:
        throttle.admit(username, address, now)
    except PackhouseError as error:
        assert error.status == 429
        assert error.retry_after and error.retry_after > 0
        return False
    return True


def test_one_address_one_account() -> None:
    throttle = Throttle()
    assert sum(admitted(throttle, "ann", "192.0.2.1", i / 100) for i in range(10_000)) <= 100
    assert admitted(throttle, "ann", "192.0.2.2", 100)  # ann herself, elsewhere
    assert admitted(throttle, "bob", "192.0.2.1", 100)  # a colleague behind the same proxy


def test_one_address_many_accounts() -> None:
    throttle = Throttle()
    throttle.admit("bob", "192.0.2.1", 0)
    throttle.succeeded("bob", "192.0.2.1", 0)
    assert sum(admitted(throttle, f"user{i}", "192.0.2.1", i / 100) for i in range(10_000)) <= 100
    assert admitted(throttle, "bob", "192.0.2.1", 100)  # has logged in here before
    assert admitted(throttle, "ann", "192.0.2.2", 100)


def test_many_addresses_one_account() -> None:
    throttle = Throttle()
    throttle.admit("ann", "192.0.2.1", 0)
    throttle.succeeded("ann", "192.0.2.1", 0)
    addresses = [f"10.0.{i // 250}.{i % 250}" for i in range(10_000)]
    assert sum(admitted(throttle, "ann", address, i / 100) for i, address in enumerate(addresses)) <= 100
    assert admitted(throttle, "ann", "192.0.2.1", 100)
    assert admitted(throttle, "bob", addresses[0], 100)


def test_right_passwords_are_free() -> None:
    throttle = Throttle()
    for _ in range(1000):
        throttle.admit("ann", "192.0.2.1", 0)
        throttle.succeeded("ann", "192.0.2.1", 0)


def test_checks_under_way_count() -> None:
    throttle = Throttle()
    assert sum(admitted(throttle, "ann", "192.0.2.1") for _ in range(50)) == 10


def test_waiting_helps_a_little_at_a_time() -> None:
    throttle = Throttle()
    for _ in range(10):
        throttle.admit("ann", "192.0.2.1", 0)
    with pytest.raises(PackhouseError) as refused:
        throttle.admit("ann", "192.0.2.1", 0)
    assert refused.value.retry_after is not None
    assert admitted(throttle, "ann", "192.0.2.1", refused.value.retry_after)
    assert not admitted(throttle, "ann", "192.0.2.1", refused.value.retry_after)


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
