"""The OpenAPI document: every route, parameter and refusal is in it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from packhouse.core.errors import CODES
from packhouse.doors.api import create_api, management_words
from packhouse.doors.api.permissions import ROUTES

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    return create_api(cast(Any, None), cast(Any, None)).litestar.openapi_schema.to_schema()


def operations(document: Document) -> dict[tuple[str, str], Document]:
    """Return (method, path) → operation."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "put", "post", "delete", "patch")
    }


def test_it_has_every_route_but_itself(document: Document) -> None:
    assert set(operations(document)) == set(ROUTES) - {("GET", "/api/openapi.json")}


def test_every_path_parameter_is_described(document: Document) -> None:
    for (method, path), operation in operations(document).items():
        named = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}, (method, path)


def test_what_the_application_hands_in_is_no_parameter(document: Document) -> None:
    for operation in operations(document).values():
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert not names & {"caller", "here", "services", "authenticator", "reserved", "data", "request"}


def test_every_operation_says_how_it_can_be_refused(document: Document) -> None:
    for route, operation in operations(document).items():
        responses = operation["responses"]
        assert {"400", "401", "403", "404", "500", "503"} <= set(responses), route
        for status, response in responses.items():
            if int(status) >= 400:
                assert "application/problem+json" in response["content"], (route, status)
                assert any(f"`{code}`" in response["description"] for code in CODES), (route, status)


def test_every_write_describes_its_body(document: Document) -> None:
    for (method, path), operation in operations(document).items():
        if method in ("PUT", "POST") and "stop_mirror" not in path and "restart" not in path and "dry_run" not in path:
            assert operation["requestBody"]["content"], (method, path)


def test_operation_ids_are_unique(document: Document) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))


def test_management_words_are_the_first_segments() -> None:
    words = management_words(create_api(cast(Any, None), cast(Any, None)))
    assert {"account", "artifacts", "auth", "channels", "system", "users"} <= words
    assert not any("{" in word for word in words)
