"""A running server for each test, on both set-ups."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Backend
from tests.kit.house import House, open_house


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with one public channel, `pub`."""
    async with open_house(backend) as opened:
        await opened.channel("pub")
        yield opened
