"""What package clients read and write below `/api/repo/`: the data plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote

from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import Receive, Scope, Send, header, respond
from packhouse.doors.proxies import Proxies
from packhouse.doors.serve.addresses import Target, without_label
from packhouse.doors.serve.answers import Answer, Redirect
from packhouse.doors.serve.forms import FormDoor, channel_at
from packhouse.doors.serve.putting import PutDoor
from packhouse.doors.serve.sending import FRESH, send_representation
from packhouse.workflows.delivering.counting import DownloadCounter
from packhouse.workflows.delivering.gate import Gate
from packhouse.workflows.reporting.identification import Identification

METHODS = ("GET", "HEAD", "POST", "PUT")


class Door(Protocol):
    """Knows the addresses of one format in a channel, and what they are answered with."""

    identifies: bool  #: whether its clients can say who they are, and so may have to

    def parse(self, segments: list[str]) -> Any:
        """Return what decoded segments mean, as the other methods want it; None when they mean nothing here."""

    def target(self, address: Any) -> Target:
        """Return where a file sent to an address would be put."""

    async def answer(
        self, principal: Principal, address: Any, accept: str, *, afresh: bool = False
    ) -> Answer | Redirect:
        """Return what the address names. With `afresh` what was prepared before is not used: its file is gone."""


class Repository:
    """Shows a request the door of its method and format."""

    def __init__(
        self,
        gate: Gate,
        doors: Sequence[Door],
        put: PutDoor,
        form: FormDoor,
        counter: DownloadCounter,
        identification: Identification,
        proxies: Proxies,
    ) -> None:
        self._gate, self._doors, self._put, self._form, self._counter = gate, doors, put, form, counter
        self._identification, self._proxies = identification, proxies

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, segments: list[str]
    ) -> Answer | None:
        """Answer one request for a path below `/api/repo/`, given as decoded segments.

        Returns the answer of a GET or HEAD, which the same caller may be given again until something changes.
        """
        method = scope["method"]
        if method not in METHODS:
            writing = "PUT" if channel_at(segments) is None else "POST"
            raise PackhouseError(
                "method_not_allowed",
                f"{method[:20]} does not work on package addresses.",
                f"Use GET, HEAD or {writing}.",
                allow=f"GET, HEAD, {writing}",
            )
        if method == "POST":
            await self._form(scope, receive, send, principal, segments)
            return None
        door, address = self._find(segments)
        if door is None:
            await self._nowhere(principal, segments)
            return None
        if method == "PUT":
            await self._put(scope, receive, send, principal, door.target(address))
            return None
        return await self._read(scope, send, principal, door, address)

    def _find(self, segments: list[str]) -> tuple[Door | None, Any]:
        for door in self._doors:
            if (address := door.parse(segments)) is not None:
                return door, address
        return None, None

    async def _read(self, scope: Scope, send: Send, principal: Principal, door: Door, address: Any) -> Answer | None:
        if door.identifies:
            await self._identification.check((header(scope, b"user-agent") or b"").decode("latin-1"))
        accept = (header(scope, b"accept") or b"").decode("latin-1")
        answer = await door.answer(principal, address, accept)
        if isinstance(answer, Redirect):
            headers = [(b"location", quote(answer.location).encode()), (b"cache-control", FRESH)]
            await respond(send, 301, headers, head=scope["method"] == "HEAD")
            return None
        try:
            await self.send(scope, send, answer)
        except FileNotFoundError:  # a cache folder forgot it, or somebody emptied it, before we could open it
            again = await door.answer(principal, address, accept, afresh=True)
            if isinstance(again, Redirect):
                raise
            answer = again
            await self.send(scope, send, answer)
        return answer

    async def _nowhere(self, principal: Principal, segments: list[str]) -> None:
        """Refuse an address that means nothing, without telling more about its channel than a right one would.

        What of it may be a subchannel comes first: one that the caller may see answers for itself, and any other is
        as if it were not there, so that its channel answers.
        """
        segments = without_label(segments)
        try:
            channel = await self._gate.channel(principal, "channel:view-artifacts", "/".join(segments[:2]))
        except PackhouseError:
            channel = await self._gate.channel(principal, "channel:view-artifacts", segments[0])
        rest = segments[channel.path.count("/") + 1 :]
        raise PackhouseError("not_found", f"{channel.path} has nothing at {'/'.join(rest)[:200]!r}.")

    async def send(self, scope: Scope, send: Send, answer: Answer) -> None:
        """Send as much of an answer as the request asks for, and count it.

        Raises FileNotFoundError, before anything was sent, when its file is gone.
        """
        begun = await send_representation(scope, send, answer.what)
        if begun and answer.download is not None:
            agent = header(scope, b"user-agent") or b""
            self._counter.count(answer.download, self._proxies.client(scope), agent)
