"""How a page is answered: filled from a template, with headers under which no script runs and nobody frames it."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response

from packhouse.catalog.rights.principal import Principal
from packhouse.doors.origins import Origins
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.services import Services
from packhouse.workflows.signin.oidc.federation import Federation

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all, browsers without TLS would send `Origin: null`
    "Cache-Control": "no-store",
    "Vary": "Cookie",
}
_templates = Environment(
    loader=PackageLoader("packhouse.doors", "web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def page(template: str, status: int = 200, *, sends_to: str = "", **values: Any) -> Response[bytes]:
    """Return a page made from `doors/web/TEMPLATE.html`; every value is escaped.

    `sends_to` is another origin to which the answer to a form of the page may redirect, as browsers ask of a policy.
    """
    text = _templates.get_template(f"{template}.html").render(**values)
    policy = _POLICY.replace("form-action 'self'", f"form-action 'self' {sends_to}") if sends_to else _POLICY
    headers = {**HEADERS, "Content-Security-Policy": policy}
    return Response(text.encode(), status_code=status, headers=headers, media_type="text/html")


def go_to(address: str) -> Response[bytes]:
    """Send a browser on with GET (RFC 9110 section 15.4.4)."""
    headers = {"Location": address, "Cache-Control": "no-store", "Vary": "Cookie"}
    return Response(b"", status_code=303, headers=headers, media_type="text/plain")


def origins_of(request: Request[Any, Any, Any]) -> Origins:
    """Return what the entrance knows about our own addresses."""
    origins: Origins = request.scope["state"]["origins"]
    return origins


def ours(request: Request[Any, Any, Any]) -> str:
    """Return the address under which people reach this server. Raises PackhouseError("bad_request")."""
    scope: Any = request.scope
    return origins_of(request).public(scope)


def local(address: str) -> str:
    """Return a path of this server to go to, or "" for an address that a browser may take for another site's."""
    plain = address.isascii() and address.isprintable() and "\\" not in address and len(address) <= 2000
    return address if plain and address.startswith("/") and not address.startswith("//") else ""


def with_cookie(
    answer: Response[bytes], request: Request[Any, Any, Any], value: str, seconds: int, purpose: str = ""
) -> Response[bytes]:
    """Add our cookie to an answer, or the one for `purpose`; 0 seconds take it away (RFC 6265 section 4.1)."""
    scope: Any = request.scope
    secure = origins_of(request).secure(scope)
    answer.set_cookie(
        key=cookie_name(request, purpose),
        value=value,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def cookie_name(request: Request[Any, Any, Any], purpose: str = "") -> str:
    """Return the name of our cookie for a purpose; none: to show a login."""
    scope: Any = request.scope
    return origins_of(request).cookie(scope) + (f"-{purpose}" if purpose else "")


def forget_login(authenticator: Authenticator, caller: Principal) -> None:
    """Stop a login that has ended in this process at once; the others hear of it by the list of changes."""
    if caller.login_id is not None:
        authenticator.forget("login", caller.login_id)


def signed_in(request: Request[Any, Any, Any], services: Services, value: str, onward: str) -> Response[bytes]:
    """Give a browser the cookie of its new login and send it on."""
    return with_cookie(go_to(onward or "/login"), request, value, services.settings.login_hours * 3600)


def federation(request: Request[Any, Any, Any]) -> Federation:
    """Return the OpenID providers of this server."""
    found: Federation = request.scope["state"]["api"].federation
    return found
