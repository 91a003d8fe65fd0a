"""Requests made from the OpenAPI document, and whether the answers are what it promises (schemathesis)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.kit.asgi import Answer, Client

BASE = "http://127.0.0.1"
#: what every answer is held against
RULES = [status_code_conformance, content_type_conformance, response_schema_conformance]
#: what an answer with a part of a document is held against: JSON cut anywhere is none
OF_PARTS = [status_code_conformance, content_type_conformance]
#: headers that say who asks, or that the transport sets itself
_OURS = {"x-auth", "x-api-key", "authorization", "cookie", "host"}


def operations(document: dict[str, Any]) -> Iterator[Any]:
    """Yield every operation of the document. Raises what schemathesis raises for one that is ill-formed."""
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(result, Ok), result.err()
        yield result.ok()


def cases_of(operation: Any, right: int, wrong: int) -> list[Any]:
    """Return requests for an operation, the same at each run: so many that fit the document, and that do not."""
    found = _drawn(operation, GenerationMode.POSITIVE, right)
    if wrong and (operation.query or operation.body):  # a path alone is hardly ever wrong
        found += _drawn(operation, GenerationMode.NEGATIVE, wrong)
    return found


def _drawn(operation: Any, mode: GenerationMode, count: int) -> list[Any]:
    found: list[Any] = []

    @settings(
        max_examples=count, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def draw(case: Any) -> None:
        found.append(case)

    try:
        draw()
    except Unsatisfiable:
        return found
    return found


async def ask(client: Client, case: Any, known: Mapping[str, str]) -> str:
    """Send a request, `known` in the place of parameters of its path; return what is wrong with the answer, or ""."""
    case.path_parameters = {name: known.get(name, value) for name, value in (case.path_parameters or {}).items()}
    try:
        given_ = case.as_transport_kwargs(base_url=BASE)
        prepared = requests.Request(**{key: given_[key] for key in given_ if key in _REQUEST}).prepare()
    except (ValueError, requests.exceptions.RequestException):  # what no client can send
        return ""
    headers = {name: _latin(value) for name, value in prepared.headers.items() if name.lower() not in _OURS}
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
    assert isinstance(body, bytes)
    target = quote(str(prepared.url).removeprefix(BASE), safe="%/?&=+:@!$'()*,;~-._[]")
    answer = await client.request(str(prepared.method), target, headers, [body] if body else [])
    return _faults(case, prepared, answer)


_REQUEST = ("method", "url", "headers", "files", "data", "params", "json", "cookies")


def _faults(case: Any, prepared: requests.PreparedRequest, answer: Answer) -> str:
    where = f"{prepared.method} {str(prepared.url)[:200]} {bytes(str(prepared.body), 'utf-8', 'replace')[:300]!r}"
    if answer.status in (500, 503):
        return f"{where}: {answer.status} {answer.body[:300]!r}"
    response = Response(
        answer.status, {name: [value] for name, value in answer.headers.items()}, answer.body, prepared, 0.0, False
    )
    try:
        case.validate_response(response, checks=OF_PARTS if answer.status == 206 else RULES)
    except FailureGroup as several:
        return f"{where}: {answer.status} {[_told(one) for one in several.exceptions]} {answer.body[:200]!r}"
    except Failure as failure:
        return f"{where}: {answer.status} {_told(failure)} {answer.body[:200]!r}"
    return ""


def _told(failure: BaseException) -> str:
    return f"{getattr(failure, 'title', '')}: {getattr(failure, 'message', failure)}"[:400]


def _latin(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value.encode("latin-1", "replace").decode("latin-1")
