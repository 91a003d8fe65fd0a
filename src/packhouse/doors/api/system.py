"""`/api/system`: what this server is; the first thing clients ask."""

from __future__ import annotations

import msgspec
from litestar import get

from packhouse import __version__
from packhouse.doors.api.parameters import House
from packhouse.doors.api.problems import refused


class SystemShape(msgspec.Struct, kw_only=True):
    """The server."""

    service_name: str  #: always `repo`: by it clients know that the address is right
    name: str
    version: str
    features: list[str]


@get("/api/system", tags=["system"], responses=refused())
async def system(services: House) -> SystemShape:
    """Tell what this server is; `try_later` while its database is away."""
    await services.db.now()
    return SystemShape(service_name="repo", name="packhouse", version=__version__, features=["channel_service_account"])


HANDLERS = [system]
