"""A running house for the tests of verify, repair and sweep."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.kit.house import House, open_house
from tests.kit.inspection import findings, seal_all


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with an administrator, on both set-ups; what nobody owns is swept after five seconds."""
    async with open_house(backend, sweep_grace_seconds=5) as running:
        yield running


@pytest.fixture
async def stocked(house: House) -> House:
    """Two channels after some uploads, a copy and a removal; everything sealed, nothing amiss."""
    await house.channel("lab")
    await house.channel("lab/sub")
    for name, version in (("numpy", "1.0"), ("numpy", "1.1"), ("scipy", "2.0"), ("zlib", "3.0")):
        await house.upload("lab", name, version, depends=["zlib"] if name == "numpy" else [])
    await house.upload("lab", "zlib", "3.0", subdir="linux-64")
    lab, sub = await house.find("lab"), await house.find("lab/sub")
    await copy(house.services, lab, sub, "test", [Item("scipy")])
    await remove(house.services, lab, "test", [Item("scipy")])
    await seal_all(house.services)
    assert await findings(house.services, deep=True) == []
    return house
