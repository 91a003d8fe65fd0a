"""`/device`: the page on which a person lets a command line in that shows a code."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get, post

from packhouse.core.clock import SECOND
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.parameters import Caller, House, Login
from packhouse.doors.login.forms import form
from packhouse.doors.login.pages import go_to, page
from packhouse.workflows.services import Services
from packhouse.workflows.signin.provider import device
from packhouse.workflows.signin.provider.clients import DEVICE_CLIENTS

Asked = Request[Any, Any, Any]


@get("/device", include_in_schema=False)
async def device_page(request: Asked, caller: Caller, services: House, authenticator: Login) -> Response[bytes]:
    """Ask for the code, or show what waits under it."""
    code = request.query_params.get("user_code", "")
    if not caller.known:
        return _sign_in_first(code)
    if not code:
        return _page(caller.username)
    try:
        charge = await authenticator.throttle.admit(caller.username, _address(request), "device")
        shown = await _asking(services, caller.username, code)
        await authenticator.throttle.succeeded(charge, caller.account_id or 0)
        return shown
    except PackhouseError as refusal:
        return _page(caller.username, code=code, problem=str(refusal), status=refusal.status)


@post("/device", include_in_schema=False, status_code=200)
async def decide(request: Asked, caller: Caller, services: House, authenticator: Login) -> Response[bytes]:
    """Take the decision."""
    given = await form(request)
    code, answer = given.get("user_code", ""), given.get("answer", "")
    if not caller.known:
        return _sign_in_first(code)
    if answer not in ("approve", "deny"):
        return go_to(f"/device?user_code={quote(code[:80])}")
    try:
        charge = await authenticator.throttle.admit(caller.username, _address(request), "device")
        await device.decide(services, caller, code, answer == "approve")
        await authenticator.throttle.succeeded(charge, caller.account_id or 0)
    except PackhouseError as refusal:
        return _page(caller.username, code=code, problem=str(refusal), status=refusal.status)
    return page("device", who=caller.username, state=answer, code="", problem="", client="", address="", minutes=0)


async def _asking(services: Services, username: str, code: str) -> Response[bytes]:
    grant = await device.waiting(services, code)
    minutes = (await services.db.now() - grant.created_at) // (60 * SECOND)
    client = DEVICE_CLIENTS.get(grant.client_id, grant.client_id)
    return page(
        "device",
        who=username,
        state="asking",
        code=code,
        problem="",
        client=client,
        address=grant.address,
        minutes=minutes,
    )


def _page(username: str, *, code: str = "", problem: str = "", status: int = 200) -> Response[bytes]:
    return page(
        "device", status, who=username, state="code", code=code[:80], problem=problem, client="", address="", minutes=0
    )


def _sign_in_first(code: str) -> Response[bytes]:
    back = f"/device?user_code={quote(code[:80])}" if code else "/device"
    return go_to(f"/login?next={quote(back, safe='')}")


def _address(request: Asked) -> str:
    return request.client.host if request.client else ""


HANDLERS: list[Any] = [device_page, decide]
