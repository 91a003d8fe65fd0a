"""`/api/openapi.json`: the API's own description, complete by construction since it is made from the routes."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Request, Response, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from packhouse import __version__

DESCRIPTION = """The management API of Packhouse. Everything here is also found below `/api/repo/`.

A credential goes as `X-Auth: TOKEN`, `Authorization: Bearer SESSION-OR-TOKEN`, or Basic with a user name and password.
Times are RFC 3339 in UTC, sizes are bytes. Lists answer `items` and `total_count`; any `limit` is honoured.
Refusals are `application/problem+json` with a stable `code`."""

#: `bytes` that are already JSON
MEDIA_TYPE = "application/vnd.oai.openapi+json"


class Document(Controller):
    """Serves the document; instead of Litestar's own router, which also takes every other path beside it."""

    include_in_schema = False

    @get("/api/openapi.json", sync_to_thread=False)
    def openapi(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return the OpenAPI 3.1 document."""
        return Response(msgspec.json.encode(request.app.openapi_schema.to_schema()), media_type=MEDIA_TYPE)


def openapi_config() -> OpenAPIConfig:
    """Return what the document says beside the routes."""
    schemes: dict[str, Any] = {
        "token": SecurityScheme(type="apiKey", name="X-Auth", security_scheme_in="header"),
        "bearer": SecurityScheme(type="http", scheme="bearer"),
        "basic": SecurityScheme(type="http", scheme="basic"),
    }
    return OpenAPIConfig(
        title="Packhouse",
        version=__version__,
        description=DESCRIPTION,
        openapi_controller=Document,  # type: ignore[arg-type]  # any controller does: it is only registered
        components=Components(security_schemes=schemes),
        security=[{}, {"token": []}, {"bearer": []}, {"basic": []}],
        use_handler_docstrings=True,
    )
