"""Requests that pages of other sites make a browser send (CSRF): the one place that refuses them.

A browser adds cookies, and user names and passwords it remembers, to whatever it sends, whoever made it send that. So
before a request that may change anything is looked at, it has to be known that no other site's page sent it.
"""

from __future__ import annotations

import re

from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import Scope, header
from packhouse.doors.origins import Origins

#: methods that change nothing (RFC 9110 section 9.2.1)
SAFE = ("GET", "HEAD", "OPTIONS")
#: what people use with a browser: there only our cookie counts, and no credential in a header
_PAGES = re.compile(r"/(?:login|logout|device|auth|app|\.well-known|api/(?:repo/)?auth/authorize)(?:/.*)?", re.DOTALL)
#: what programs ask there with a credential like any other
_NO_PAGES = re.compile(r"/auth/realms/[^/]+/protocol/openid-connect/userinfo")
#: what only programs ask, which show in the body who they are: there no credential is read at all
_MACHINES = re.compile(r"/auth/realms/[^/]+/protocol/openid-connect/(?:token|auth/device)|/login/[^/]+/backchannel")


def is_page(path: str) -> bool:
    """Say whether a path is for people with a browser."""
    return _PAGES.fullmatch(path) is not None and _NO_PAGES.fullmatch(path) is None


def is_machine(path: str) -> bool:
    """Say whether nothing that a browser adds by itself counts at a path."""
    return _MACHINES.fullmatch(path) is not None


def refuse_others(scope: Scope, path: str, origins: Origins, *, cookie: bool) -> None:
    """Refuse a request that a page of another site may have sent; `cookie`: it is our cookie that says who asks.

    `Sec-Fetch-Site` is the browser's own word, which no page can change; browsers leave it out where there is no TLS,
    then `Origin` has to be ours. Programs send neither: they pass unless they show a cookie or sign somebody in.
    Raises PackhouseError("cross_site").
    """
    if scope["method"] in SAFE or is_machine(path):
        return
    site, origin = header(scope, b"sec-fetch-site"), header(scope, b"origin")
    if site is not None:
        allowed = site in (b"same-origin", b"none")
    elif origin is not None:
        allowed = origins.are(scope, origin.decode("latin-1"))
    else:
        allowed = not cookie and not is_page(path)
    if not allowed:
        raise PackhouseError(
            "cross_site",
            "The request did not come from a page of this server, so nothing was changed.",
            "Open this server at its own address and try again there; behind a proxy, `public_url` must be that "
            "address. Programs send a token instead of a cookie.",
        )
