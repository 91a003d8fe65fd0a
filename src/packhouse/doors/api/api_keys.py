"""`/api/auth/api-keys`: a login becomes a key that a command line keeps."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post
from litestar.params import JSONBody

from packhouse.core.clock import to_iso
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Word
from packhouse.doors.api.problems import refused
from packhouse.workflows.signin.provider import api_keys


class ApiKeyRequest(Body):
    """What command lines send. A key may do whatever its account may: the scopes they name are another service's."""

    scopes: list[Word] = []  #: taken and not used
    tags: list[Word] = []  #: taken and not used


class ApiKey(msgspec.Struct, kw_only=True):
    """A key; its value is in this answer and nowhere else."""

    id: str  #: of the login that can be ended
    api_key: str  #: a JWT
    expires_at: str | None


@post(["/api/auth/api-keys", "/api/iam/api-keys"], tags=["auth"], status_code=201, responses=refused())
async def make_api_key(
    data: JSONBody[ApiKeyRequest], request: Request[Any, Any, Any], caller: Caller, services: House
) -> ApiKey:
    """Make an API key for who has just logged in; a token or another key gets none."""
    value, login = await api_keys.make(services, caller, request.headers.get("user-agent", ""))
    return ApiKey(id=login.uuid, api_key=value, expires_at=to_iso(login.expires_at))


HANDLERS: list[Any] = [make_api_key]
