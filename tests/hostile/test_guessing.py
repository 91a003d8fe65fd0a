"""Passwords guessed at three real processes on one database: few guesses are looked at, and nobody else is kept out.

What one process counts, and every way of guessing, is tried in `tests/integration/catalog/test_throttle.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from tests.conftest import Backend
from tests.kit.server import PASSWORD, Site, site_on

PROCESSES, CLIENTS = 3, 24
#: addresses of this machine, which is nobody's way to another one
HOME, OFFICE = "127.0.0.2", "127.0.0.3"
CASES = [
    ("postgres+s3", 300),
    pytest.param("postgres+s3", 10_000, marks=pytest.mark.full),
    pytest.param("sqlite+folder", 10_000, marks=pytest.mark.full),
]


def log_in(site: Site, username: str, password: str, address: str) -> int:
    """Log in from an address over a connection of its own, and so at any of the processes."""
    with urllib3.PoolManager(retries=False, source_address=(address, 0)) as pool:
        return _ask(pool, site, username, password)


def flood(site: Site, guesses: int) -> Counter[int]:
    """Guess a password, each another one, over many connections at once; return how often each status came."""

    def work(first: int) -> Counter[int]:
        with urllib3.PoolManager(retries=False, source_address=(OFFICE, 0)) as pool:
            return Counter(_ask(pool, site, "ann", f"guess {number}") for number in range(first, guesses, CLIENTS))

    with ThreadPoolExecutor(CLIENTS) as threads:
        return sum(threads.map(work, range(CLIENTS)), Counter())


def _ask(pool: urllib3.PoolManager, site: Site, username: str, password: str) -> int:
    body = json.dumps({"username": username, "password": password})
    headers = {"Content-Type": "application/json"}
    return pool.request("POST", f"{site.url}/api/auth/login", body=body, headers=headers, timeout=120).status


@pytest.mark.parametrize(("backend", "guesses"), CASES, indirect=["backend"])
def test_thousands_of_guesses_at_three_real_processes(backend: Backend, guesses: int) -> None:
    with site_on(backend, worker=False, processes=PROCESSES) as site:
        for name in ("ann", "bob"):
            site.call("POST", "/api/users", {"username": name, "password": PASSWORD})
        assert log_in(site, "ann", PASSWORD, HOME) == 200
        assert log_in(site, "bob", PASSWORD, OFFICE) == 200
        found = flood(site, guesses)
        print(f"{guesses} guesses at {len(site.children())} processes: {dict(found)}")
        assert sum(found.values()) == guesses
        assert {*found} == {401, 429}
        assert found[401] <= 100, "each of these was evaluated, and none of the others"
        events = site.call("GET", "/api/events?type=sign_in_throttled")["items"]
        assert [one["meta"]["object"] for one in events] == ["user ann"], "told once, not for each guess"
        lines = [line for line in site.log.read_text().splitlines() if "password refused" in line]
        assert len(lines) == found[401] and all("'ann'" in line and OFFICE in line for line in lines)
        assert not any("guess " in line for line in lines)
        for _ in range(PROCESSES * 2):  # of whom a few knew their passwords, whichever process they come to
            assert log_in(site, "ann", PASSWORD, HOME) == 200
            assert log_in(site, "bob", PASSWORD, OFFICE) == 200
        assert log_in(site, "ann", PASSWORD, OFFICE) == 429, "the right password is a guess like any other from here"
