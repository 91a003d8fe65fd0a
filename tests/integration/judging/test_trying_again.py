"""A policy tried again: the channel is kept in memory, and what has changed since is seen nevertheless."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.security.policies.batch import Batch
from packhouse.security.policies.policy import Rules, edited
from packhouse.workflows.answering import keeping
from packhouse.workflows.answering.keeping import last_channel
from packhouse.workflows.answering.simulating import simulate_policy
from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.condapkg import make_conda
from tests.kit.feeding import osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, judged

STRICT: dict[str, Any] = {"cve_score": 7, "cve_score_comparator": "<=", "settled_vulnerabilities": "ignore"}


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with two channels, `pub` and `other`."""
    async with open_house(backend) as opened:
        await opened.channel("pub")
        await opened.channel("other")
        yield opened


async def tried(house: House, channel: str = "pub", **fields: Any) -> tuple[int, int, int]:
    """Return how many files there are, are seen, and would be seen under rules."""
    [said] = await simulate_policy(house.services.db, await house.find(channel), edited(Rules(), fields))
    return said.counts


async def put(house: House, version: str, channel: str = "pub") -> None:
    """Upload a version of a Python package."""
    await house.upload(channel, "lib", version, depends=["python >=3.8"])


async def test_what_changes_between_two_tries_is_seen(house: House, tmp_path: Path) -> None:
    await put(house, "1.0")
    assert await tried(house, cve_score=7) == (1, 1, 1)
    await put(house, "1.5")
    assert await tried(house, cve_score=7) == (2, 2, 2)
    await put(house, "1.5", "other")
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    assert await tried(house, **STRICT) == (2, 2, 0)
    await put(house, "2.0")
    assert await tried(house, **STRICT) == (3, 3, 1)
    said = {"cve": "CVE-2024-0001", "name": "lib", "spec": "==1.5", "status": "mitigated", "note": "Patched."}
    answer = await call(house.admin, "POST", "/api/statements", said)
    assert answer.status < 300, answer.body
    assert await tried(house, **STRICT) == (3, 3, 2)
    bad = hashlib.sha256(make_conda("lib", "2.0", depends=["python >=3.8"])).hexdigest()
    answer = await call(house.admin, "POST", "/api/quarantine", {"sha256": bad, "reason": "it bites"})
    assert answer.status < 300, answer.body
    assert await tried(house, **STRICT) == (3, 2, 1)
    assert await house.remove("pub", "lib") == 3
    await put(house, "2.1")
    assert await tried(house, **STRICT) == (1, 1, 1)
    assert await tried(house, "other", **STRICT) == (1, 1, 1), "what was said of it holds everywhere"


async def test_rules_that_ask_for_more_find_it_in_what_is_kept(house: House) -> None:
    await put(house, "1.0")
    assert await tried(house) == (1, 1, 1)
    assert await tried(house, only_signed_packages=True) == (1, 1, 0)
    assert await tried(house, python_versions=["3.7"]) == (1, 1, 0)
    assert await tried(house, python_versions=["3.9"]) == (1, 1, 1)


async def test_one_is_tried_at_a_time_and_nothing_is_kept_for_ever(house: House) -> None:
    await put(house, "1.0")
    kept = last_channel(house.services.db)
    async with kept.alone():
        with pytest.raises(PackhouseError, match="Another simulation"):
            await tried(house)
    assert await tried(house) == (1, 1, 1)
    kept.forget()
    assert await tried(house) == (1, 1, 1)


async def test_a_try_that_was_broken_off_leaves_nothing_wrong(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(house, "1.0")
    assert await tried(house) == (1, 1, 1)
    with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr(keeping, "batch_of_channel", _broken_off)
        await tried(house, python_versions=["3.7"])
    assert await tried(house, python_versions=["3.7"]) == (1, 1, 0)


async def _broken_off(*_: Any) -> Batch:
    raise asyncio.CancelledError
