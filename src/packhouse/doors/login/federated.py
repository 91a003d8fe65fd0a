"""`/login/PROVIDER`: to an OpenID provider and back, and its word that somebody signed out there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.params import FromPath

from packhouse.catalog.identities.federated import Upstream
from packhouse.core import log
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import random_hex
from packhouse.doors.api.parameters import Caller, House, Login
from packhouse.doors.login.forms import form
from packhouse.doors.login.pages import (
    cookie_name,
    federation,
    forget_login,
    go_to,
    local,
    ours,
    page,
    signed_in,
    with_cookie,
)
from packhouse.workflows.signin.arriving import logged_in
from packhouse.workflows.signin.browsing import sign_in
from packhouse.workflows.signin.identity import OidcProvider
from packhouse.workflows.signin.oidc.flow import come_back, leave

Asked = Request[Any, Any, Any]
_log = log.get_logger(__name__)
#: the cookie that binds an outgoing sign-in to the browser it began in
ATTEMPT = "attempt"
ATTEMPT_SECONDS = 600


@get("/login/{provider:str}", include_in_schema=False)
async def to_provider(
    provider: FromPath[str], request: Asked, services: House, authenticator: Login
) -> Response[bytes]:
    """Send a browser to a provider."""
    house = federation(request)
    client = house.client(provider)
    browser = request.cookies.get(cookie_name(request, ATTEMPT)) or random_hex(32)
    try:
        address = await leave(
            services,
            authenticator.keys,
            client,
            await house.number(provider),
            browser=browser,
            back=_callback(request, provider),
            onward=local(request.query_params.get("next", "")),
        )
    except PackhouseError as refusal:
        return _failed(client.provider, refusal)
    return with_cookie(go_to(address), request, browser, ATTEMPT_SECONDS, ATTEMPT)


@get("/login/{provider:str}/callback", include_in_schema=False)
async def callback(
    provider: FromPath[str], request: Asked, caller: Caller, services: House, authenticator: Login
) -> Response[bytes]:
    """Take back who comes from a provider; whatever is wrong with that is a page in the same words."""
    house = federation(request)
    client = house.client(provider)
    try:
        word = await come_back(
            services,
            authenticator.keys,
            client,
            await house.number(provider),
            browser=request.cookies.get(cookie_name(request, ATTEMPT), ""),
            back=_callback(request, provider),
            said=_once(request),
        )
        account = await house.welcome(client, word.claims)
        value = await sign_in(
            services,
            authenticator.keys,
            account,
            client=request.headers.get("user-agent", ""),
            amr=["fed"],
            before=caller.login_id,
            voucher=await house.voucher(client, word),
        )
    except PackhouseError as refusal:
        return _failed(client.provider, refusal)
    await logged_in(services, account)
    forget_login(authenticator, caller)
    return signed_in(request, services, value, word.onward)


@post("/login/{provider:str}/backchannel", include_in_schema=False, status_code=200)
async def backchannel(provider: FromPath[str], request: Asked) -> Response[bytes]:
    """Take a provider's word that somebody signed out there."""
    house = federation(request)
    await house.signed_out_there(house.client(provider), (await form(request)).get("logout_token", ""))
    return Response(b"", headers={"Cache-Control": "no-store"}, media_type="text/plain")


async def sign_out_there(request: Asked, found: tuple[int, bytes] | None) -> str:
    """Return the address at which somebody signs out at their provider, too; "" when there is none.

    `found` is what `upstream_of` returned of their login.
    """
    house = federation(request)
    for name, client in house.clients.items():
        if found is None or await house.number(name) != found[0] or not client.provider.logout:
            continue
        try:
            address = (await client.endpoints()).end_session_endpoint
        except PackhouseError:
            return ""  # it does not answer; here the login ends all the same
        query = {
            "id_token_hint": Upstream.opened(house.services.sealer, found[1]).id_token,
            "client_id": client.provider.client_id,
            "post_logout_redirect_uri": f"{ours(request)}/login",
        }
        return f"{address}?{urlencode(query)}" if address else ""
    return ""


def _failed(provider: OidcProvider, refusal: PackhouseError) -> Response[bytes]:
    """Return the page that tells people why they are not signed in; what the provider did wrong is told in the log."""
    if refusal.code == "internal":
        raise refusal
    problem = str(refusal)
    if refusal.code in ("upstream_failed", "try_later"):
        _log.warning(f"The identity provider {provider.name} cannot be asked: {refusal}")
        problem = f"{provider.shown} cannot be reached, or does not answer as it should. Try again in a few minutes."
    return page("failed", refusal.status, problem=problem)


def _callback(request: Asked, provider: str) -> str:
    return f"{ours(request)}/login/{provider}/callback"


def _once(request: Asked) -> dict[str, str]:
    """Return the query's parameters; of one that is there twice nobody knows which was meant."""
    pairs = list(request.query_params.multi_items())
    return {name: value for name, value in pairs if sum(other == name for other, _ in pairs) == 1}


HANDLERS: list[Any] = [to_provider, callback, backchannel]
