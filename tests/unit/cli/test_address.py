"""The address of a server: nobody else gets it, and people can use what is printed."""

from __future__ import annotations

import socket

import pytest

from packhouse.cli import address
from packhouse.cli.address import Address, claim
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import load


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "PATIENCE_SECONDS", 0.0)


def test_a_claimed_port_is_refused_to_the_next_one() -> None:
    first = claim(load({}, port=0))
    try:
        with pytest.raises(PackhouseError, match="is in use") as caught:
            claim(load({}, port=first.port))
        assert caught.value.code == "conflict"
        with socket.socket() as ours:  # one of our own processes, as Granian's listen
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            ours.bind((first.ip, first.port))
            ours.listen()
            with pytest.raises(PackhouseError, match="is in use"):
                claim(load({}, port=first.port))
            first.wait_until_served()
    finally:
        first.guard.close()
    claim(load({}, port=first.port)).guard.close()


def test_a_name_is_taken_as_its_ipv4_address() -> None:
    found = claim(load({}, host="localhost", port=0))
    found.guard.close()
    assert found.ip == "127.0.0.1"


@pytest.mark.parametrize(
    ("ip", "url", "elsewhere"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", False),
        ("192.0.2.7", "http://192.0.2.7:80", False),
        ("0.0.0.0", "http://127.0.0.1:80", True),
        ("::1", "http://[::1]:80", False),
        ("::", "http://[::1]:80", True),
    ],
)
def test_what_is_printed_can_be_used(ip: str, url: str, elsewhere: bool) -> None:
    with socket.socket() as guard:
        made = Address(ip, 80, guard)
        assert made.url == url
        assert made.elsewhere == (f"http://{socket.gethostname()}:80" if elsewhere else "")
