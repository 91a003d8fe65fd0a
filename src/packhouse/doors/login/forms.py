"""Forms of our own pages, as browsers send them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from litestar import Request

from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import STRANGERS_BYTES


async def form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the fields of a form (application/x-www-form-urlencoded). Raises PackhouseError("bad_request")."""
    if request.content_type[0] != "application/x-www-form-urlencoded":
        raise PackhouseError("bad_request", "The request carries no form.", "Use the form of the page.")
    body = await request.body()
    if len(body) > STRANGERS_BYTES:
        raise PackhouseError("too_large", "The form is too large.", "Use the form of the page.")
    try:
        fields = (
            parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20)
            if body
            else []
        )
    except ValueError:
        raise PackhouseError("bad_request", "The form cannot be read.", "Use the form of the page.") from None
    if len(dict(fields)) < len(fields):
        raise PackhouseError("bad_request", "The form has a field twice.", "Use the form of the page.")
    return dict(fields)
