"""`/api/identity-providers`: who else vouches for people, and how synchronising with directories went."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, JSONBody

from packhouse.catalog.identities import store
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Limit, Offset, Page, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.identity_providers import ProviderShape, provider_shape
from packhouse.workflows.signin.directory.syncing import ask
from packhouse.workflows.signin.identity import LdapProvider, Provider


class SyncRequest(Body, kw_only=True):
    """How a directory shall be synchronised with now."""

    accept_shrink: bool = False  #: the answer to a synchronisation that is held because it would shut out too many


@get("/api/identity-providers", tags=["identity providers"], responses=refused())
async def list_providers(services: House, limit: Limit = 100, offset: Offset = 0) -> Page[ProviderShape]:
    """List the identity providers of the identity file, in its order."""
    found = services.providers[offset : offset + page_size(limit)]
    return Page([await _shape(services, provider) for provider in found], len(services.providers))


@post(
    "/api/identity-providers/{provider_name:str}/sync",
    tags=["identity providers"],
    status_code=202,
    responses=refused("conflict"),
)
async def sync_provider(
    provider_name: FromPath[str], caller: Caller, services: House, data: JSONBody[SyncRequest | None] = None
) -> ProviderShape:
    """Have a directory synchronised with as soon as a worker looks, which is within seconds."""
    provider = next((one for one in services.providers if one.name == provider_name), None)
    if provider is None:
        raise PackhouseError(
            "not_found",
            f"There is no identity provider {provider_name[:80]!r}.",
            "List the providers; they stand in the identity file.",
        )
    if not isinstance(provider, LdapProvider):
        raise PackhouseError(
            "conflict",
            f"{provider.name} is no directory: it says who somebody is only when they sign in.",
            "Have them sign in again; end their logins to make them.",
        )
    await ask(services, provider, caller.username, accept_shrink=bool(data and data.accept_shrink))
    return await _shape(services, provider)


async def _shape(services: House, provider: Provider) -> ProviderShape:
    row = await store.by_name(services.db, provider.name)
    return provider_shape(provider, row, await store.count(services.db, row.id) if row else 0)


HANDLERS = [list_providers, sync_provider]
