"""Whose word on the client's address is believed."""

from __future__ import annotations

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.core.settings import load
from packhouse.doors.proxies import Proxies


def seen(names: str, peer: str, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    settings = load({"PACKHOUSE_TRUSTED_PROXIES": names})
    return Proxies(settings.proxies).client({"client": (peer, 5000), "headers": headers})


def test_without_named_proxies_the_peer_counts() -> None:
    assert seen("", "10.0.0.7", "1.2.3.4") == "10.0.0.7"


def test_a_stranger_cannot_lend_himself_an_address() -> None:
    assert seen("10.0.0.7", "6.6.6.6", "1.2.3.4") == "6.6.6.6"
    assert seen("10.0.0.7", "10.0.0.7", "1.2.3.4, 6.6.6.6") == "6.6.6.6"


def test_the_nearest_machine_before_the_proxies_counts() -> None:
    assert seen("10.0.0.0/24, fd00::/8", "fd00::1", "1.2.3.4, 10.0.0.9") == "1.2.3.4"
    assert seen("10.0.0.0/24", "10.0.0.7", "1.2.3.4", "10.0.0.9") == "1.2.3.4"
    assert seen("10.0.0.0/24", "::ffff:10.0.0.7", "1.2.3.4") == "1.2.3.4"
    assert seen("10.0.0.0/24", "10.0.0.7", "fe80::1%eth0") == "fe80::1"


@pytest.mark.parametrize("forwarded", ["", "unknown", "1.2.3.4, x", ","])
def test_nonsense_is_not_believed(forwarded: str) -> None:
    assert seen("10.0.0.7", "10.0.0.7", forwarded) == "10.0.0.7"


def test_only_proxies_are_known_from_inside() -> None:
    assert seen("10.0.0.0/24", "10.0.0.7", "10.0.0.8") == "10.0.0.8"


def test_a_name_that_is_no_address_is_refused() -> None:
    with pytest.raises(PackhouseError, match=r"environment variable PACKHOUSE_TRUSTED_PROXIES.*'nginx'"):
        load({"PACKHOUSE_TRUSTED_PROXIES": "10.0.0.7,nginx"})
