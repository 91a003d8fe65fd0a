"""Small files that stand for much: refused before they cost memory, whichever way they come."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.house import open_house
from tests.kit.mirroring import CondaSource, add_mirror, make_test_channel, run_and_wait, services_on, shown
from tests.kit.upstream import Upstream

HEAVY: dict[str, dict[str, Any]] = {
    "a record": {"zz": ["A" * 16_000] * 255},
    "values": {"info": {"info/about.json": json.dumps({"zz": [[]] * 60_000}).encode()}},
    "an about.json": {"info": {"info/about.json": json.dumps({"zz": "A" * 2_000_000}).encode()}},
}


@pytest.mark.parametrize("wrong", list(HEAVY))
async def test_a_heavy_upload_is_refused_at_once(backend: Backend, wrong: str) -> None:
    async with open_house(backend) as house:
        await house.channel("pub")
        before = await house.leftovers()
        started = time.monotonic()
        answer = await house.admin.put("/api/repo/pub/noarch/w-1.0-0.conda", make_conda("w", "1.0", **HEAVY[wrong]))
        assert (answer.status, time.monotonic() - started < 5) == (422, True), answer.body
        assert await house.leftovers() == before


async def test_a_heavy_upstream_record_is_passed_over(backend: Backend) -> None:
    source = CondaSource()
    source.add("good")
    source.add("heavy", zz="A" * 200_000)
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert (mirror.state, mirror.progress.count.failed) == ("completed", 1)
        assert set(await shown(services, channel)) == {"good-1.0-0.conda"}
