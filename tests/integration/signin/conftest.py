"""A server with an owner, an outsider and a private channel, on both set-ups."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Backend
from tests.kit.house import House, open_house


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        await opened.person("owner")
        await opened.person("outsider")
        yield opened
