"""What command lines ask of us as their OpenID provider: discovery, keys, the device flow, and tokens for both flows.

The addresses are laid out as Keycloak's are: one of the clients takes its realm from the path. Nothing but the body
says who asks; a credential that comes along is not looked at.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post

from packhouse.catalog.grants import signing_keys
from packhouse.catalog.grants.devices import LIFETIME, WAIT
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.parameters import House
from packhouse.doors.login.forms import form
from packhouse.doors.login.pages import ours
from packhouse.workflows.services import Services
from packhouse.workflows.signin.provider import code, device
from packhouse.workflows.signin.provider.refusals import OAuthError

REALM = "/auth/realms/packhouse"
CONNECT = f"{REALM}/protocol/openid-connect"
CODE = "authorization_code"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

Asked = Request[Any, Any, Any]


@get(
    ["/.well-known/openid-configuration", f"{REALM}/.well-known/openid-configuration"],
    include_in_schema=False,
)
async def discovery(request: Asked) -> Response[bytes]:
    """Tell where the others are (OpenID Connect Discovery 1.0 section 4)."""
    here = ours(request)
    return _answer(
        {
            "issuer": here,
            "authorization_endpoint": f"{here}{CONNECT}/auth",
            "token_endpoint": f"{here}{CONNECT}/token",
            "device_authorization_endpoint": f"{here}{CONNECT}/auth/device",
            "jwks_uri": f"{here}{CONNECT}/certs",
            "userinfo_endpoint": f"{here}{CONNECT}/userinfo",
            "end_session_endpoint": f"{here}{CONNECT}/logout",
            "grant_types_supported": [CODE, DEVICE_CODE],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "scopes_supported": code.SCOPES,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "request_uri_parameter_supported": False,  # supported, where nothing is said
            "token_endpoint_auth_methods_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [signing_keys.ALGORITHM],
        }
    )


@get(f"{CONNECT}/certs", include_in_schema=False)
async def certs(services: House) -> Response[bytes]:
    """Publish the keys that verify what we sign (RFC 7517 section 5)."""
    return _answer(await signing_keys.jwks(services.db))


@post(f"{CONNECT}/auth/device", include_in_schema=False, status_code=200)
async def device_authorization(request: Asked, services: House) -> Response[bytes]:
    """Begin a device flow (RFC 8628 section 3.1)."""
    here = f"{ours(request)}/device"
    try:
        given = await _form(request)
        address = request.client.host if request.client else ""
        asked = await device.ask(services, given.get("client_id", ""), address)
    except OAuthError as error:
        return _refusal(error)
    return _answer(
        {
            "device_code": asked.device_code,
            "user_code": asked.user_code,
            "verification_uri": here,
            "verification_uri_complete": f"{here}?user_code={asked.user_code}",
            "expires_in": LIFETIME,
            "interval": WAIT,
        }
    )


@post(f"{CONNECT}/token", include_in_schema=False, status_code=200)
async def token(request: Asked, services: House) -> Response[bytes]:
    """Give out an access token (RFC 6749 section 5.1) for a grant."""
    try:
        given = await _form(request)
        taker = _TAKERS.get(given.get("grant_type", ""))
        if taker is None:
            raise OAuthError("unsupported_grant_type", f"The grant types here are {' and '.join(_TAKERS)}.")
        tokens = await taker(request, services, given)
    except OAuthError as error:
        return _refusal(error)
    return _answer({"token_type": "Bearer", "expires_in": device.ACCESS_SECONDS, **tokens})


async def _by_device_code(request: Asked, services: Services, given: dict[str, str]) -> dict[str, str]:
    client, agent = given.get("client_id", ""), request.headers.get("user-agent", "")
    return {"access_token": await device.take(services, client, given.get("device_code", ""), agent)}


async def _by_code(request: Asked, services: Services, given: dict[str, str]) -> dict[str, str]:
    shown = code.Exchange(*(given.get(name, "") for name in ("client_id", "code", "redirect_uri", "code_verifier")))
    agent = request.headers.get("user-agent", "")
    tokens = await code.exchange(services, shown, client=agent, issuer=ours(request))
    return {name: value for name, value in tokens._asdict().items() if value is not None}


_TAKERS = {CODE: _by_code, DEVICE_CODE: _by_device_code}


async def _form(request: Asked) -> dict[str, str]:
    """Return the fields of the body. Raises OAuthError when there are none to read, or one is there twice."""
    try:
        return await form(request)
    except PackhouseError as error:
        raise OAuthError("invalid_request", str(error)) from None


def _refusal(error: OAuthError) -> Response[bytes]:
    status = 401 if error.code == "invalid_client" else 400
    return _answer({"error": error.code, "error_description": error.description}, status)


def _answer(data: dict[str, Any], status: int = 200) -> Response[bytes]:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(msgspec.json.encode(data), status_code=status, headers=headers, media_type="application/json")


HANDLERS: list[Any] = [discovery, certs, device_authorization, token]
