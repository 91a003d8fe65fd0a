"""The entrance: every request passes here once. It decodes the path, takes the credential, and shows the right door.

Package clients go to the data plane, everything else to the management API. Both find the caller in
`scope["state"]["principal"]`; neither reads a credential itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_bytes
from packhouse.doors.asgi import STARTED, App, Message, Receive, Scope, Send, respond_error
from packhouse.doors.credentials import from_cookies, from_request, mask
from packhouse.doors.crossing import is_machine, is_page, refuse_others
from packhouse.doors.faults import told_to_the_log
from packhouse.doors.origins import Origins
from packhouse.doors.proxies import Proxies
from packhouse.doors.serve import Repository
from packhouse.doors.serve.answers import Answers
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.admitting.credential import Credential
from packhouse.workflows.admitting.proofs import Proof

log = get_logger("packhouse.entrance")
REPO = "/api/repo/"
#: how long a client may be silent in the middle of a body
PATIENCE_SECONDS = 30.0
BODILESS = ("GET", "HEAD")


class Entrance:
    """The ASGI application the server runs."""

    def __init__(
        self,
        authenticator: Authenticator,
        answers: Answers,
        repository: Repository,
        api: App,
        words: frozenset[str],
        proxies: Proxies,
        origins: Origins,
    ) -> None:
        self._authenticator, self._answers = authenticator, answers
        self._repository, self._api, self._proxies, self._origins = repository, api, proxies, origins
        self._words = words  # first segments that are management, not a channel, below /api/repo/

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        if scope["method"] not in BODILESS:
            receive = _patient(receive)
        try:
            await self._admit(scope, receive, send)
        except PackhouseError as refusal:
            told_to_the_log(refusal, scope["method"], scope["path"])
            if STARTED in scope:
                raise
            await respond_error(send, refusal, head=scope["method"] == "HEAD")
        except Exception:
            request_id = random_bytes(8).hex()
            log.exception("request failed", request_id=request_id, method=scope["method"], path=mask(scope["path"]))
            if STARTED in scope:  # the answer is broken off; the client sees fewer bytes than promised
                raise
            message = f"The server failed to answer; the log has the details under {request_id}."
            error = PackhouseError("internal", message, "Tell the administrator this number.")
            await respond_error(send, error, head=scope["method"] == "HEAD")

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        question = self._answers.question(scope)
        if scope["method"] in BODILESS and (answer := self._answers.find(question)) is not None:
            with suppress(FileNotFoundError):  # a cache folder forgot it
                await self._repository.send(scope, send, answer)
                return
        credential, path = self._credential(scope)
        refuse_others(scope, path, self._origins, cookie=credential is not None and credential.kind == "cookie")
        client = self._proxies.client(scope)
        principal, until = await self._proof(credential, client, path)
        segments = path.removeprefix(REPO).split("/") if path.startswith(REPO) else []
        if segments and segments[0] not in self._words:
            answer = await self._repository(scope, receive, send, principal, segments)
            if answer is not None:
                self._answers.keep(question, answer, until)
            return
        if segments:
            path = "/api/" + "/".join(segments)
        state = {**scope.get("state", {}), "principal": principal, "origins": self._origins}
        known = {"path": path, "raw_path": path.encode(), "client": (client, 0), "state": state}
        if credential is not None and credential.kind == "cookie":
            send = _for_one_browser(send)
        await self._api({**scope, **known}, receive, send)

    def _credential(self, scope: Scope) -> tuple[Credential | None, str]:
        """Return the credential that counts, and the path without any token."""
        path = decoded_path(scope)
        if is_page(path):
            # command lines send an old key along with the very request for a new one
            name = self._origins.cookie(scope)
            return None if is_machine(path) else from_cookies(scope["headers"], name), path
        credential, path = from_request(scope["headers"], path)
        return credential or from_cookies(scope["headers"], self._origins.cookie(scope)), path

    async def _proof(self, credential: Credential | None, client: str, path: str) -> Proof:
        try:
            return await self._authenticator.proof(credential, client)
        except PackhouseError as refusal:
            if refusal.code != "unauthenticated" or not is_page(path):
                raise
            return await self._authenticator.proof(None, client)  # whose login has ended comes to sign in again


def _for_one_browser(send: Send) -> Send:
    """Tell caches that an answer is for whoever shows this cookie, and to be asked for again each time."""

    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], (b"vary", b"Cookie")]
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"private, no-store"))
            message = {**message, "headers": headers}
        await send(message)

    return send_marked


def _patient(receive: Receive) -> Receive:
    """Wait for each piece of a body for so long only: whoever falls silent holds no file open.

    After the body there is no limit: who waits then wants to know when the client leaves.
    """
    ended = False

    async def receive_soon() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                message = await receive()
        except TimeoutError:
            message = {"type": "http.disconnect"}
        ended = not message.get("more_body", False)
        return message

    return receive_soon


def decoded_path(scope: Scope) -> str:
    """Return the path, percent-decoded exactly once.

    Raises PackhouseError("bad_request") for paths that could mean different things to different readers: encoded
    slashes, dot segments, NUL, backslashes, and bytes that are not UTF-8.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if b"?" in raw:
        raw = raw.partition(b"?")[0]
    if b"%" in raw:
        if b"%2f" in raw.lower():
            raise _odd_path()
        raw = unquote_to_bytes(raw)
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        raise _odd_path() from None
    if "\0" in path or "\\" in path or ("/." in path and not {".", ".."}.isdisjoint(path.split("/"))):
        raise _odd_path()
    return path


def _odd_path() -> PackhouseError:
    return PackhouseError(
        "bad_request", "The path of the request can be read in more than one way.", "Send it plainly encoded."
    )
