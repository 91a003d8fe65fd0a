"""A running house for the tests of verify, repair and sweep."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Backend
from tests.kit.house import House, open_house


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with an administrator, on both set-ups; what nobody owns is swept after two seconds."""
    async with open_house(backend, sweep_grace_seconds=2) as running:
        yield running
