"""What `packhouse verify` says of an installation under test."""

from __future__ import annotations

from packhouse.catalog.audit.chain import seal
from packhouse.catalog.installation.audit_key import load_signing_key
from packhouse.workflows.maintaining.finding import Finding
from packhouse.workflows.maintaining.verify import verify
from packhouse.workflows.services import Services


async def findings(services: Services, *, deep: bool = False, after: str = "") -> list[Finding]:
    """Return what is not as it must be."""
    return [one async for one in verify(services, deep=deep, after=after) if not one.information]


async def information(services: Services) -> list[str]:
    """Return what is only worth knowing, as a person reads it."""
    return [str(one) async for one in verify(services) if one.information]


async def seal_all(services: Services) -> None:
    """Bring every event into the chain, as the worker does each second."""
    while await seal(services.db, await load_signing_key(services.db, services.sealer)):
        pass
