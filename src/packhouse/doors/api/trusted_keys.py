"""`/api/trusted-keys`: the public keys whose signatures make a file a signed one (`only_signed_packages`)."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from packhouse.catalog.signing import trusted_keys
from packhouse.core.clock import to_iso
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Page, Word
from packhouse.doors.api.problems import refused
from packhouse.workflows.curating.trusted_keys import distrust_key, trust_key


class TrustedKeyRequest(Body):
    """A key to be trusted."""

    name: Word  #: whose it is
    key: Word  #: Ed25519 public key, 64 hexadecimal digits


class TrustedKeyShape(msgspec.Struct, kw_only=True):
    """A key that is trusted."""

    key: str  #: Ed25519 public key, 64 hexadecimal digits
    name: str
    added_by: str
    added_at: str  #: RFC 3339
    packages: int  #: names of which it signed a file that is or was here


@get("/api/trusted-keys", tags=["policies"], responses=refused())
async def list_trusted_keys(services: House) -> Page[TrustedKeyShape]:
    """List the trusted keys by name."""
    found = [_shape(one, packages) for one, packages in await trusted_keys.every(services.db)]
    return Page(found, len(found))


@post("/api/trusted-keys", tags=["policies"], responses=refused("conflict"))
async def add_trusted_key(data: JSONBody[TrustedKeyRequest], caller: Caller, services: House) -> TrustedKeyShape:
    """Trust a key; what it signed passes `only_signed_packages` within seconds, also what is here already."""
    made = await trust_key(services, caller, data.name, data.key)
    packages = {one.key: number for one, number in await trusted_keys.every(services.db)}
    return _shape(made, packages.get(made.key, 0))


@delete("/api/trusted-keys/{key:str}", tags=["policies"], responses=refused())
async def remove_trusted_key(key: FromPath[str], caller: Caller, services: House) -> None:
    """Trust a key no more."""
    await distrust_key(services, caller, key)


def _shape(one: trusted_keys.TrustedKey, packages: int) -> TrustedKeyShape:
    return TrustedKeyShape(
        key=one.key.hex(), name=one.name, added_by=one.by, added_at=to_iso(one.at) or "", packages=packages
    )


HANDLERS = [list_trusted_keys, add_trusted_key, remove_trusted_key]
