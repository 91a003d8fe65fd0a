"""`/api/openapi.json`: the API's own description, made from the routes and from what the data plane says of itself."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Litestar, Request, Response, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from packhouse import __version__
from packhouse.doors.api.meanings import with_meanings
from packhouse.doors.api.words import with_null
from packhouse.doors.serve.description import repository_paths

DESCRIPTION = """The HTTP interface of Packhouse. What is below `/api/` for management is also found below `/api/repo/`;
what package clients read and write is tagged `repository`. HEAD works wherever GET does.

A credential goes as `X-Auth: TOKEN`, `Authorization: Bearer SESSION-OR-TOKEN`, or Basic with a user name and password.
Times are RFC 3339 in UTC, sizes are bytes. Lists answer at most 10,000 `items` and `total_count`.
Refusals are `application/problem+json` with a stable `code`."""

#: `bytes` that are already JSON
MEDIA_TYPE = "application/vnd.oai.openapi+json"
#: (method, end of the path) -> the types of what is answered as a whole file, which is no structure of ours
FILES: dict[tuple[str, str], tuple[str, ...]] = {
    ("post", "/simulate/lines"): ("application/x-ndjson",),
    ("get", "/cves/report"): ("application/json", "text/csv"),
    ("get", "/api/events/export"): ("application/x-ndjson", "text/csv"),
    ("get", "/api/vex"): ("application/json",),
    ("post", "/api/reports/artifact_downloads"): ("application/json", "text/csv"),
}


class Document(Controller):
    """Serves the document; instead of Litestar's own router, which also takes every other path beside it."""

    include_in_schema = False

    @get("/api/openapi.json", sync_to_thread=False)
    def openapi(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return the OpenAPI 3.1 document."""
        return Response(msgspec.json.encode(document(request.app)), media_type=MEDIA_TYPE)


def document(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the whole server: the management API and the data plane."""
    described = app.openapi_schema.to_schema()
    with_null(described["components"]["schemas"])
    with_meanings(described["components"]["schemas"])
    _with_files(described["paths"])
    described["paths"] |= repository_paths()
    return described


def _with_files(paths: dict[str, Any]) -> None:
    for path, methods in paths.items():
        for (method, end), types in FILES.items():
            if path.endswith(end) and method in methods:
                methods[method]["responses"]["200"]["content"] = {media: {"schema": {}} for media in types}


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
