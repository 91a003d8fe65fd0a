"""What package clients read and write below `/api/repo/`: the data plane."""

from __future__ import annotations

from packhouse.catalog.accounts.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import Receive, Scope, Send
from packhouse.doors.serve.conda import CondaDoor, parse
from packhouse.doors.serve.putting import PutDoor

METHODS = ("GET", "HEAD", "PUT")


class Repository:
    """Shows a request the door of its method and format."""

    def __init__(self, conda: CondaDoor, put: PutDoor) -> None:
        self._conda, self._put = conda, put

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, segments: list[str]
    ) -> None:
        """Answer one request for a path below `/api/repo/`, given as decoded segments."""
        method = scope["method"]
        if method not in METHODS:
            raise PackhouseError(
                "method_not_allowed",
                f"{method[:20]} does not work on package addresses.",
                "Use GET, HEAD or PUT.",
                allow=", ".join(METHODS),
            )
        address = parse(segments)
        if address is None:
            await self._conda.nowhere(principal, segments)
        elif method == "PUT":
            await self._put(scope, receive, send, principal, address)
        else:
            await self._conda.get(scope, send, principal, address)
