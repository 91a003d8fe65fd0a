"""The permission table: a row for each route, a route for each row, and no write behind a read right."""

from __future__ import annotations

from typing import Any, cast

import pytest

from packhouse.catalog.rights.permissions import ACTIONS, READ
from packhouse.doors.api import Api
from packhouse.doors.api.permissions import BULK, ROUTES
from tests.kit import rights

#: writes that decide more than a right on the address can say, and why
DECIDED_LATER = {
    ("POST", "/api/auth/login"): "it is how one gets rights",
    ("POST", "/login"): "it is how one gets rights",
    ("POST", "/login/{provider}/backchannel"): "it ends the logins that a provider's signature names",
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/auth/device"): "it asks, and a person decides",
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/token"): "it is how one gets rights",
    ("POST", "/device"): "it decides in the name of the browser's login, without which it does nothing",
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/auth"): "the same",
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/userinfo"): "it reads; clients may ask either way",
    ("POST", "/logout"): "it ends the login that is shown, and no other",
    ("POST", "/api/reports/artifact_downloads"): "it reads; its body may be too long for an address",
    ("PUT", "/api/channels/{channel}/artifacts/bulk"): "BULK, by what the body asks for",
    ("PUT", "/api/channels/{channel}/subchannels/{subchannel}/artifacts/bulk"): "BULK, by what the body asks for",
}


@pytest.fixture(scope="module")
def api() -> Api:
    return Api(cast(Any, None), cast(Any, None))


def mounted(api: Api) -> set[tuple[str, str]]:
    """Return every (method, path template) that answers."""
    return {
        (method, route.path_format)
        for route in api.litestar.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }


def test_each_route_has_a_row_and_each_row_a_route(api: Api) -> None:
    assert mounted(api) - set(ROUTES) == set()
    assert set(ROUTES) - mounted(api) == set()


def test_no_write_is_guarded_by_a_read_right() -> None:
    weak = {
        route
        for route, action in ROUTES.items()
        if route[0] not in ("GET", "HEAD") and (action is None or ACTIONS[action][1] <= READ)
    }
    assert weak == set(DECIDED_LATER)
    assert all(target is None or ACTIONS[target][1] > READ for _, target in BULK.values())
    assert all(ACTIONS[source][1] > READ for action, (source, _) in BULK.items() if action != "copy")


def test_only_what_must_be_is_open_to_everybody() -> None:
    assert {route for route, action in ROUTES.items() if action is None} == {
        ("GET", "/api/openapi.json"),
        ("GET", "/api/system"),
        ("POST", "/api/auth/login"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("POST", "/logout"),
        ("GET", "/app/page.css"),
        ("GET", "/login/{provider}"),
        ("GET", "/login/{provider}/callback"),
        ("POST", "/login/{provider}/backchannel"),
        ("GET", "/.well-known/openid-configuration"),
        ("GET", "/auth/realms/packhouse/.well-known/openid-configuration"),
        ("GET", "/auth/realms/packhouse/protocol/openid-connect/certs"),
        ("POST", "/auth/realms/packhouse/protocol/openid-connect/auth/device"),
        ("POST", "/auth/realms/packhouse/protocol/openid-connect/token"),
        ("GET", "/device"),
        ("POST", "/device"),
        ("GET", "/auth/realms/packhouse/protocol/openid-connect/auth"),
        ("POST", "/auth/realms/packhouse/protocol/openid-connect/auth"),
        ("GET", "/auth/realms/packhouse/protocol/openid-connect/logout"),
        ("GET", "/app/local-login-success"),
        ("GET", "/app/local-login-error"),
        ("GET", "/api/auth/authorize"),
    }


def test_the_oracle_has_thought_about_each_route() -> None:
    """The authorisation matrix asks it; that it agrees is tried by requests, in `tests/integration/rights`."""
    for route in ROUTES:
        rights.action_of(*route)
    base = "/api/channels/{channel}"
    known = {f"{method} {template}" for method, template in ROUTES}
    assert set(rights.ROUTES) - known == set(), "routes that are no more"
    assert {row.replace(" ", f" {base}", 1) for row in rights.OF_CHANNEL} - known == set(), "routes that are no more"


def test_a_route_that_nobody_thought_about_is_told_where_to_write_it() -> None:
    with pytest.raises(KeyError, match=r"tests/kit/rights\.py"):
        rights.action_of("GET", "/api/unheard-of")
