"""`/login` and `/logout`: a password, and a code where one is asked for, becomes a cookie, and stops being one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.identities.federated import upstream_of
from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.parameters import Caller, House, Login
from packhouse.doors.login.federated import sign_out_there
from packhouse.doors.login.forms import form
from packhouse.doors.login.pages import federation, forget_login, local, page, signed_in, with_cookie
from packhouse.doors.web import STYLE
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.services import Services
from packhouse.workflows.signin import second
from packhouse.workflows.signin.arriving import logged_in
from packhouse.workflows.signin.browsing import sign_in, sign_out

Asked = Request[Any, Any, Any]


@get("/login", include_in_schema=False)
async def login_page(request: Asked, caller: Caller) -> Response[bytes]:
    """Show the form, or who is signed in."""
    return _login_page(request, caller, local(request.query_params.get("next", "")))


@post("/login", include_in_schema=False, status_code=200)
async def login(request: Asked, caller: Caller, services: House, authenticator: Login) -> Response[bytes]:
    """Take the form. Whatever is wrong with a password is said in the same words; after it a code may be asked for."""
    given = await form(request)
    username, onward = given.get("username", ""), local(given.get("next", ""))
    if "ticket" in given:
        return await _with_code(request, caller, services, authenticator, given, onward)
    try:
        account = await authenticator.check_password(username, given.get("password", ""), _address(request))
    except PackhouseError as refusal:
        problem, status = _told(refusal)
        return _login_page(request, caller, onward, username=username, problem=problem, status=status)
    if account.totp_since is not None:
        return _code_page(await second.ticket(services, account), onward)
    return await _begun(request, caller, services, authenticator, account, second.ONE_FACTOR, onward)


@post("/logout", include_in_schema=False, status_code=200)
async def logout(request: Asked, caller: Caller, services: House, authenticator: Login) -> Response[bytes]:
    """End the login of this browser."""
    vouched = await upstream_of(services.db, caller.login_id) if caller.login_id else None
    await sign_out(services.db, caller)
    forget_login(authenticator, caller)
    there = await sign_out_there(request, vouched)  # last: it may have to ask the provider, which may be slow
    return with_cookie(page("logged_out", there=there), request, "", 0)


@get("/app/page.css", include_in_schema=False)
async def style() -> Response[bytes]:
    """Serve the style sheet of all pages."""
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(STYLE, headers=headers, media_type="text/css")


async def _with_code(
    request: Asked,
    caller: Principal,
    services: Services,
    authenticator: Authenticator,
    given: dict[str, str],
    onward: str,
) -> Response[bytes]:
    """Take the form of the second page."""
    ticket = given["ticket"]
    try:
        account = await second.redeem(services, ticket)
    except PackhouseError as refusal:
        problem, status = _told(refusal)
        return _login_page(request, caller, onward, problem=problem, status=status)
    try:
        await second.check_code(services, authenticator, account, given.get("code", ""), _address(request))
    except PackhouseError as refusal:
        problem, status = _told(refusal)
        return _code_page(ticket, onward, problem=problem, status=status)
    return await _begun(request, caller, services, authenticator, account, second.TWO_FACTORS, onward)


async def _begun(
    request: Asked,
    caller: Principal,
    services: Services,
    authenticator: Authenticator,
    account: Account,
    amr: tuple[str, ...],
    onward: str,
) -> Response[bytes]:
    agent = request.headers.get("user-agent", "")
    try:
        value = await sign_in(services, authenticator.keys, account, client=agent, amr=amr, before=caller.login_id)
    except PackhouseError as refusal:
        problem, status = _told(refusal)
        return _login_page(request, caller, onward, username=account.username, problem=problem, status=status)
    await logged_in(services, account)
    forget_login(authenticator, caller)
    return signed_in(request, services, value, onward)


def _told(refusal: PackhouseError) -> tuple[str, int]:
    """Return what a page says of a refusal, and its status; others than of a credential are raised again."""
    if refusal.code not in ("unauthenticated", "too_many_attempts"):
        raise refusal
    return str(refusal), refusal.status


def _address(request: Asked) -> str:
    return request.client.host if request.client else ""


def _code_page(ticket: str, onward: str, *, problem: str = "", status: int = 200) -> Response[bytes]:
    return page("code", status, ticket=ticket, onward=onward, problem=problem)


def _login_page(
    request: Asked, caller: Principal, onward: str, *, username: str = "", problem: str = "", status: int = 200
) -> Response[bytes]:
    who = caller.username if caller.known else ""
    query = f"?{urlencode({'next': onward})}" if onward else ""
    providers = [{"title": one.shown, "address": f"/login/{one.name}{query}"} for one in federation(request).providers]
    return page("login", status, who=who, onward=onward, username=username, problem=problem, providers=providers)


HANDLERS: list[Any] = [login_page, login, logout, style]
