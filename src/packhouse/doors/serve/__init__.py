"""What package clients read and write below `/api/repo/`: the data plane."""

from __future__ import annotations

from packhouse.catalog.accounts.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import Receive, Scope, Send
from packhouse.doors.serve.answers import Answer
from packhouse.doors.serve.conda import CondaDoor, parse
from packhouse.doors.serve.putting import PutDoor
from packhouse.doors.serve.sending import send_representation
from packhouse.workflows.delivering.counting import DownloadCounter

METHODS = ("GET", "HEAD", "PUT")


class Repository:
    """Shows a request the door of its method and format."""

    def __init__(self, conda: CondaDoor, put: PutDoor, counter: DownloadCounter) -> None:
        self._conda, self._put, self._counter = conda, put, counter

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, segments: list[str]
    ) -> Answer | None:
        """Answer one request for a path below `/api/repo/`, given as decoded segments.

        Returns the answer of a GET or HEAD, which the same caller may be given again until something changes.
        """
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
            return None
        if method == "PUT":
            await self._put(scope, receive, send, principal, address)
            return None
        answer = await self._conda.answer(principal, address)
        try:
            await self.send(scope, send, answer)
        except FileNotFoundError:  # a cache folder forgot it, or somebody emptied it, before we could open it
            answer = await self._conda.answer(principal, address, afresh=True)
            await self.send(scope, send, answer)
        return answer

    async def send(self, scope: Scope, send: Send, answer: Answer) -> None:
        """Send as much of an answer as the request asks for, and count it.

        Raises FileNotFoundError, before anything was sent, when its file is gone.
        """
        begun = await send_representation(scope, send, answer.what)
        if begun and answer.download is not None:
            self._counter.count(answer.download)
