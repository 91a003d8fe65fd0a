"""The page on which a person lets a command line in that opened their browser, and what is around it.

Only to an address on the person's own machine is a browser ever sent on (RFC 8252 section 7.3), and only after they
said yes or no, or where the command line asked for what there is not.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from litestar import Request, Response, get, post

from packhouse.catalog.grants.codes import Wish
from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.parameters import Caller, House
from packhouse.doors.login.forms import form
from packhouse.doors.login.pages import go_to, local, ours, page
from packhouse.doors.login.provider import CONNECT
from packhouse.workflows.signin.provider import code
from packhouse.workflows.signin.provider.clients import CODE_CLIENTS
from packhouse.workflows.signin.provider.refusals import OAuthError

Asked = Request[Any, Any, Any]
AUTHORIZE = f"{CONNECT}/auth"
#: what the form of the page sends on; the rest means nothing here
_KEPT = frozenset(
    ("client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge",
     "code_challenge_method")
)  # fmt: skip


@get(AUTHORIZE, include_in_schema=False)
async def authorize(request: Asked, caller: Caller) -> Response[bytes]:
    """Ask the person (OpenID Connect Core section 3.1.2); strangers sign in first."""
    try:
        fields = _once(list(request.query_params.multi_items()))
        back = code.back_to(fields)
    except PackhouseError as refusal:
        return _failed(refusal)
    try:
        code.wish(fields)
        if "none" in fields.get("prompt", "").split(" "):
            raise OAuthError("consent_required" if caller.known else "login_required", "The person has to be asked.")
        return _asking(caller, fields) if caller.known else _sign_in_first(fields)
    except OAuthError as error:
        return _refused(request, back, fields, error)


@post(AUTHORIZE, include_in_schema=False, status_code=200)
async def decide(request: Asked, caller: Caller, services: House) -> Response[bytes]:
    """Take the decision, and send the browser back to the command line with it."""
    fields = await form(request)
    answer = fields.pop("answer", "")
    try:
        back = code.back_to(fields)
    except PackhouseError as refusal:
        return _failed(refusal)
    try:
        asked = code.wish(fields)
        if not caller.known:
            return _sign_in_first(fields)
        if answer not in ("approve", "deny"):
            return _asking(caller, fields)
        return await _decided(request, caller, services, asked, fields, answer == "approve")
    except OAuthError as error:
        return _refused(request, back, fields, error)
    except PackhouseError as refusal:
        return _failed(refusal)


async def _decided(
    request: Asked, caller: Principal, services: House, asked: Wish, fields: dict[str, str], approved: bool
) -> Response[bytes]:
    address = request.client.host if request.client else ""
    given = await code.decide(services, caller, asked, approved, address)
    if given is None:
        raise OAuthError("access_denied", "The person denied it.")
    return _back(request, asked.redirect_uri, fields, code=given)


@get("/app/local-login-success", include_in_schema=False)
async def succeeded() -> Response[bytes]:
    """Tell the person that the command line has what it needs; it sends the browser here itself."""
    return page("local_login", success=True)


@get("/app/local-login-error", include_in_schema=False)
async def failed() -> Response[bytes]:
    """Tell the person that the command line was not let in."""
    return page("local_login", success=False)


@get("/api/auth/authorize", include_in_schema=False)
async def realm(request: Asked) -> Response[bytes]:
    """Show an old command line where the provider is, which takes the realm out of the path it is sent to."""
    headers = {"Location": f"{ours(request)}{AUTHORIZE}", "Cache-Control": "no-store"}
    return Response(b"", status_code=302, headers=headers, media_type="text/plain")


@get(f"{CONNECT}/logout", include_in_schema=False)
async def logout(caller: Caller) -> Response[bytes]:
    """Ask whether to sign out (OpenID Connect RP-Initiated Logout 1.0 section 2): a link of anybody's leads here."""
    if not caller.known:
        return page("logged_out", there="")
    return page("login", who=caller.username, onward="", username="", problem="", providers=[])


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return parameters that are there once each (RFC 6749 section 3.1). Raises PackhouseError("bad_request")."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise PackhouseError("bad_request", "The address has a parameter twice.", "Start again in the command line.")
    return fields


def _asking(caller: Principal, fields: dict[str, str]) -> Response[bytes]:
    origin = _origin(fields["redirect_uri"])
    shown = [(name, value) for name, value in fields.items() if name in _KEPT]
    client = CODE_CLIENTS[fields["client_id"]].shown
    return page(
        "approve",
        sends_to=origin,
        state="asking",
        problem="",
        who=caller.username,
        client=client[0].upper() + client[1:],
        origin=origin,
        action=AUTHORIZE,
        fields=shown,
    )


def _sign_in_first(fields: dict[str, str]) -> Response[bytes]:
    kept = {name: value for name, value in fields.items() if name in _KEPT}
    again = local(f"{AUTHORIZE}?{urlencode(kept)}")
    if not again:
        raise OAuthError("invalid_request", "The request is too long.")
    return go_to(f"/login?next={quote(again, safe='')}")


def _failed(refusal: PackhouseError) -> Response[bytes]:
    return page("approve", refusal.status, state="failed", problem=str(refusal))


def _refused(request: Asked, back: str, fields: dict[str, str], error: OAuthError) -> Response[bytes]:
    return _back(request, back, fields, error=error.code, error_description=str(error))


def _back(request: Asked, back: str, fields: dict[str, str], **said: str) -> Response[bytes]:
    """Send the browser to the command line, with its own state (section 4.1.2) and our name (RFC 9207)."""
    state = {"state": fields["state"]} if "state" in fields else {}
    return go_to(f"{back}?{urlencode(said | state | {'iss': ours(request)})}")


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


HANDLERS: list[Any] = [authorize, decide, succeeded, failed, realm, logout]
