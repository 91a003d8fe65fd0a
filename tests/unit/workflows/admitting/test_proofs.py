"""What is remembered of credentials is found by its name, and goes when it is over."""

from __future__ import annotations

import pytest

from packhouse.catalog.rights.principal import Principal
from packhouse.workflows.admitting import proofs
from packhouse.workflows.admitting.proofs import Proof, Proofs

ANN = Principal(1, "ann", "author", login_id="l1")
BOB = Principal(2, "bob", "author", token_id="t1")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return what holds the time that it is."""
    now = [0.0]
    monkeypatch.setattr(proofs, "monotonic", lambda: now[0])
    return now


def test_a_change_drops_what_it_names_and_nothing_else(clock: list[float]) -> None:
    for kind, name, gone in (
        ("account", "ann", {b"cookie", b"password"}),
        ("login", "l1", {b"cookie"}),
        ("token", "t1", {b"token"}),
        ("token", "l1", set()),
        ("account", "carl", set()),
    ):
        known = Proofs()
        known.put(b"cookie", Proof(ANN, 60))
        known.put(b"password", Proof(Principal(1, "ann", "author"), 60))
        known.put(b"token", Proof(BOB, 60))
        for _ in range(2):  # the second time there is nothing left
            known.forget(kind, name)
        assert {key for key in (b"cookie", b"password", b"token") if known.get(key) is None} == gone, (kind, name)


def test_a_proof_counts_until_it_is_over_or_replaced(clock: list[float]) -> None:
    known = Proofs()
    known.put(b"x", Proof(ANN, 60))
    known.put(b"x", Proof(BOB, 50))
    known.forget("account", "ann")
    assert known.get(b"x") == Proof(BOB, 50)
    clock[0] = 50
    assert known.get(b"x") is None
    known.clear()
    known.forget("account", "bob")
    assert len(known) == 0


def test_what_is_over_does_not_pile_up(clock: list[float]) -> None:
    known = Proofs()
    for number in range(1000):
        clock[0] = number
        known.put(b"%d" % number, Proof(Principal(number, f"u{number}", "author"), number + 60))
    assert len(known) == 60
    assert not [number for number in range(940) if known._named.get(("account", f"u{number}"))]


def test_no_more_are_remembered_than_there_is_room_for(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "CAPACITY", 3)
    known = Proofs()
    for number in range(5):
        known.put(b"%d" % number, Proof(ANN, 60))
    assert [known.get(b"%d" % number) is not None for number in range(5)] == [False, False, True, True, True]
