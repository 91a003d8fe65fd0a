"""Refusals as `application/problem+json` (RFC 9457): one body, whoever refuses."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi.datastructures import ResponseSpec

from packhouse.core.errors import CODES, PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_hex
from packhouse.doors.api.bodies import choices, unknown_member
from packhouse.doors.asgi import REALM
from packhouse.doors.credentials import mask
from packhouse.doors.faults import told_to_the_log

log = get_logger("packhouse.api")
MEDIA_TYPE = "application/problem+json"
#: what msgspec says of a body, without a place inside it
_MISSING = re.compile(r"Object missing required field `(.*)`")
_OTHER = re.compile(r"Expected `object(?: \| null)?`, got `(?!null)(\w+)`")
#: what every route can refuse with; a password may come with any request, hence the attempts
_ANY_ROUTE = (
    "bad_request", "unauthenticated", "forbidden", "not_found", "too_large", "too_many_attempts", "internal",
    "try_later",
)  # fmt: skip


class ErrorPart(msgspec.Struct, frozen=True):
    """What old clients read."""

    code: str
    message: str


class Problem(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    type: str
    title: str
    status: int
    detail: str
    code: str  #: stable; the reference lists all
    message: str
    error: ErrorPart
    details: dict[str, Any] = {}


def refused(*codes: str) -> dict[int, ResponseSpec]:
    """Describe the refusals of a route for the OpenAPI document: these codes, and those any route can give."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*_ANY_ROUTE, *codes)):
        by_status.setdefault(CODES[code][0], []).append(code)
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=" / ".join(f"`{code}`: {CODES[code][1]}" for code in names),
            generate_examples=False,
            media_type=MEDIA_TYPE,
        )
        for status, names in by_status.items()
    }


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the answer to whatever was raised; a fault of our own tells the client a number, and the log the rest."""
    refusal = _translated(request, error)
    headers = {"Cache-Control": "private, no-store"}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = REALM.decode()
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if isinstance(error, MethodNotAllowedException) and error.headers:
        headers["Allow"] = error.headers.get("Allow", "")
    body = msgspec.json.encode(refusal.body())
    return Response(body, status_code=refusal.status, headers=headers, media_type=MEDIA_TYPE)


def _translated(request: Request[Any, Any, Any], error: Exception) -> PackhouseError:
    if isinstance(error, PackhouseError):
        return told_to_the_log(error, request.method, request.url.path)
    if isinstance(error, NotFoundException):
        return PackhouseError("not_found", "There is nothing at this address.", "`/api/openapi.json` lists all.")
    if isinstance(error, MethodNotAllowedException):
        return PackhouseError(
            "method_not_allowed", f"{request.method} does not work here.", "`/api/openapi.json` lists what does."
        )
    if isinstance(error, RecursionError):  # msgspec's only answer to JSON of thousands of levels
        return PackhouseError("bad_request", "The body is nested too deeply.", "Send plain JSON.")
    if isinstance(error, InternalServerException) and "disconnected" in error.detail:  # Litestar's word for it
        return PackhouseError("bad_request", "The request broke off.", "Send it again.")
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _ill_formed(request, error)
    request_id = random_hex(8)
    log.exception("request failed", request_id=request_id, method=request.method, path=mask(request.url.path))
    return PackhouseError(
        "internal",
        f"The server failed to answer; the log has the details under {request_id}.",
        "Tell the administrator this number.",
        request_id=request_id,
    )


def _ill_formed(request: Request[Any, Any, Any], error: HTTPException) -> PackhouseError:
    if error.status_code == 413:
        return PackhouseError("too_large", "The body of the request is too large.", "Send less at once.")
    first = error.extra[0] if isinstance(error, ValidationException) and isinstance(error.extra, list) else None
    if not isinstance(first, dict):
        return PackhouseError("bad_request", "The body of the request is not what this needs.", "Send valid JSON.")
    name, message = first.get("key", ""), str(first.get("message", ""))
    if first.get("source") == "body":
        body = request.route_handler.parsed_fn_signature.parameters["data"].annotation
        if (unknown := unknown_member(message, name, body)) is not None:
            return unknown
        if name == "data" and (missing := _MISSING.match(message)) is not None:
            lacking = missing[1]
            return PackhouseError("bad_request", f"The body lacks the member `{lacking}`.", "Send it.", field=lacking)
        if name == "data" and (other := _OTHER.match(message)) is not None:
            return PackhouseError("bad_request", f"The body is of type `{other[1]}`.", "Send a JSON object.")
        if name == "data":
            return PackhouseError("bad_request", "The request needs a body.", "Send a JSON object.")
    hint = "`/api/openapi.json` says what it takes."
    if message.startswith("Invalid enum value") and (words := _words(request, first)):
        hint = f"Known are: {', '.join(words)}."
    return PackhouseError("bad_request", f"`{name}`: {message}.", hint, field=name)


def _words(request: Request[Any, Any, Any], first: dict[str, Any]) -> list[str]:
    """Return what could have been sent where something else was."""
    parameters = request.route_handler.parsed_fn_signature.parameters
    known = parameters.get("data" if first.get("source") == "body" else first.get("key", ""))
    return [] if known is None else choices(first.get("key", ""), known.annotation)
