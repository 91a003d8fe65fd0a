"""`/login` and `/logout`: a password becomes a cookie, and stops being one."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, get, post

from packhouse.catalog.accounts.authenticator import Authenticator
from packhouse.catalog.accounts.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import STRANGERS_BYTES
from packhouse.doors.api.parameters import Caller, House, Login
from packhouse.doors.login.pages import go_to, local, page, with_cookie
from packhouse.doors.web import STYLE
from packhouse.workflows.services import Services
from packhouse.workflows.signin.arriving import logged_in
from packhouse.workflows.signin.browsing import sign_in, sign_out

Asked = Request[Any, Any, Any]


@get("/login", include_in_schema=False)
async def login_page(request: Asked, caller: Caller) -> Response[bytes]:
    """Show the form, or who is signed in."""
    return _login_page(caller, local(request.query_params.get("next", "")))


@post("/login", include_in_schema=False, status_code=200)
async def login(request: Asked, caller: Caller, services: House, authenticator: Login) -> Response[bytes]:
    """Take the form. Whatever is wrong with a password is said in the same words."""
    given = await form(request)
    username, onward = given.get("username", ""), local(given.get("next", ""))
    address = request.client.host if request.client else ""
    try:
        account = await authenticator.login(username, given.get("password", ""), address)
    except PackhouseError as refusal:
        if refusal.code not in ("unauthenticated", "too_many_attempts"):
            raise
        return _login_page(caller, onward, username=username, problem=str(refusal), status=refusal.status)
    account = await logged_in(services, account)
    agent = request.headers.get("user-agent", "")
    value = await sign_in(services, authenticator.keys, account, client=agent, amr=["pwd"], before=caller.login_id)
    forget_login(authenticator, caller)
    return signed_in(request, services, value, onward)


@post("/logout", include_in_schema=False, status_code=200)
async def logout(request: Asked, caller: Caller, services: House, authenticator: Login) -> Response[bytes]:
    """End the login of this browser."""
    await sign_out(services.db, caller)
    forget_login(authenticator, caller)
    return with_cookie(page("logged_out"), request, "", 0)


@get("/app/page.css", include_in_schema=False)
async def style() -> Response[bytes]:
    """Serve the style sheet of all pages."""
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(STYLE, headers=headers, media_type="text/css; charset=utf-8")


def forget_login(authenticator: Authenticator, caller: Principal) -> None:
    """Stop a login that has ended in this process at once; the others hear of it by the list of changes."""
    if caller.login_id is not None:
        authenticator.forget("login", caller.login_id)


def signed_in(request: Asked, services: Services, value: str, onward: str) -> Response[bytes]:
    """Give a browser the cookie of its new login and send it on."""
    return with_cookie(go_to(onward or "/login"), request, value, services.settings.login_hours * 3600)


async def form(request: Asked) -> dict[str, str]:
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


def _login_page(
    caller: Principal, onward: str, *, username: str = "", problem: str = "", status: int = 200
) -> Response[bytes]:
    who = caller.username if caller.known else ""
    return page("login", status, who=who, onward=onward, username=username, problem=problem, providers=[])


HANDLERS: list[Any] = [login_page, login, logout, style]
