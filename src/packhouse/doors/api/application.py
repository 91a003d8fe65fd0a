"""The management API as one ASGI application: handlers, guard, refusals and the OpenAPI document."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

from litestar import Litestar, Request
from litestar.di import Provide

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups.group import Group
from packhouse.catalog.rights.principal import Principal
from packhouse.doors.api import (
    account,
    aliases,
    api_keys,
    artifacts,
    auth,
    bulk,
    channel_cves,
    channels,
    conflicts,
    cve_reports,
    cves,
    events,
    explaining,
    feeds,
    files,
    groups,
    history,
    identity_providers,
    logins,
    mirrors,
    notices,
    notifications,
    permissions_page,
    policies,
    profile,
    quarantine,
    reports,
    reservations,
    roles,
    second_factor,
    service_accounts,
    settings,
    sharing,
    statements,
    system,
    tokens,
    trusted_keys,
    uploads,
    userinfo,
    users,
    vex,
    waivers,
)
from packhouse.doors.api.bodies import MOST_BYTES, refuse_repeated
from packhouse.doors.api.document import openapi_config
from packhouse.doors.api.guard import caller_of, guard
from packhouse.doors.api.pages import Pages
from packhouse.doors.api.parameters import Caller, House, Login, Reserved
from packhouse.doors.api.problems import answer
from packhouse.doors.login import authorize, device, federated, provider, signing_in
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.services import Services
from packhouse.workflows.signin.oidc.federation import Federation

NOUNS = (
    *(
        system,
        auth,
        account,
        profile,
        second_factor,
        logins,
        tokens,
        users,
        channels,
        notices,
        history,
        artifacts,
        files,
        bulk,
        uploads,
        mirrors,
        conflicts,
    ),
    notifications,
    trusted_keys,
    cves,
    channel_cves,
    cve_reports,
    feeds,
    statements,
    quarantine,
    policies,
    explaining,
    *(groups, sharing),
    aliases,
    reservations,
    waivers,
    vex,
    *(roles, permissions_page),
    identity_providers,
    *(signing_in, federated, provider, device, authorize),
    *(api_keys, userinfo),
    events,
    reports,
    service_accounts,
    settings,
)


class Api:
    """The management API of one server: Litestar, and HEAD wherever GET is.

    Routes are the same for every server of a process, and registering them takes longer than all else at a start; so
    they are shared, and each request says whose it is. The caller is expected in `scope["state"]["principal"]`.
    """

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self.litestar = application()
        self.services, self.authenticator = services, authenticator
        self.pages = Pages()
        self.reserved = reserved_names(self)

    @cached_property
    def federation(self) -> Federation:
        """The OpenID providers of the identity file."""
        return Federation(self.services)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI scope; for HEAD the answer to GET without its body."""
        scope.setdefault("state", {})["api"] = self
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.litestar(scope, receive, send)
            return

        async def without_body(message: Any) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        get: Any = {**scope, "method": "GET"}
        await self.litestar(get, receive, without_body)


@cache
def application() -> Litestar:
    """Return the application that the servers of this process, and of those forked from it, share."""
    return Litestar(
        route_handlers=[handler for noun in NOUNS for handler in noun.HANDLERS],
        guards=[guard],
        dependencies={
            "caller": Provide(_caller, sync_to_thread=False),
            "here": Provide(_here, sync_to_thread=False),
            "this_group": Provide(_this_group, sync_to_thread=False),
            "services": Provide(_services, sync_to_thread=False),
            "authenticator": Provide(_authenticator, sync_to_thread=False),
            "reserved": Provide(_reserved, sync_to_thread=False),
        },
        before_request=refuse_repeated,
        request_max_body_size=MOST_BYTES,
        exception_handlers={Exception: answer},
        openapi_config=openapi_config(),
        logging_config=None,
    )


def management_words(api: Api) -> frozenset[str]:
    """Return the first segments below `/api/` that are management; below `/api/repo/` they are no channels."""
    paths = (route.path.split("/") for route in api.litestar.routes)
    return frozenset(segments[2] for segments in paths if len(segments) > 2 and segments[1] == "api")


def reserved_names(api: Api) -> frozenset[str]:
    """Return the names that no channel may bear, so that none hides a route or is hidden by one."""
    return management_words(api)


# Each provider names the one before it, so that Litestar takes them in turn: for several that do not depend on each
# other it starts a task group with a task each, which costs more than the rest of the framework together.


def _reserved(request: Request[Any, Any, Any]) -> frozenset[str]:
    names: frozenset[str] = request.scope["state"]["api"].reserved
    return names


def _authenticator(request: Request[Any, Any, Any], reserved: Reserved) -> Authenticator:
    authenticator: Authenticator = request.scope["state"]["api"].authenticator
    return authenticator


def _services(request: Request[Any, Any, Any], authenticator: Login) -> Services:
    services: Services = request.scope["state"]["api"].services
    return services


def _caller(request: Request[Any, Any, Any], services: House) -> Principal:
    return caller_of(request)


def _here(request: Request[Any, Any, Any], caller: Caller) -> Channel:
    channel: Channel = request.scope["state"]["channel"]
    return channel


def _this_group(request: Request[Any, Any, Any], caller: Caller) -> Group:
    group: Group = request.scope["state"]["group"]
    return group
