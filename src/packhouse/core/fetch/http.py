"""Dials out: one source's sessions, the guard before each hop, credentials for one origin, redirects by hand."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from yarl import URL

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.answers import Answer, HttpAnswer
from packhouse.core.fetch.faults import FAULTS, translate
from packhouse.core.fetch.guard import Guard, GuardedResolver, Refused
from packhouse.core.fetch.masking import mask_url
from packhouse.core.fetch.model import FetchSettings
from packhouse.core.fetch.proxies import ProxyChoice
from packhouse.core.fetch.retry import Transient, parse_retry_after

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpSource:
    """The connections of one source. `source` is its base address; its user part becomes HTTP Basic."""

    def __init__(self, source: URL, settings: FetchSettings) -> None:
        self._settings = settings
        self._origin = source
        self._credentials = _credentials(source, settings)
        self._guard = Guard(settings.allowed_private)
        self._proxies = ProxyChoice(settings.proxy, os.environ)
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._not_before: dict[str, float] = {}
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open the sessions. Raises PackhouseError("bad_request") for unusable certificate files."""
        tls = _tls_context(self._settings)
        self._direct = await self._session(tls, GuardedResolver(self._guard))
        # every request of this one goes to the proxy, which the administrator named, so its address is not guarded
        self._proxied = await self._session(tls, aiohttp.ThreadedResolver())

    async def close(self) -> None:
        """Close all connections."""
        await self._stack.aclose()

    async def _session(
        self, tls: ssl.SSLContext | bool, resolver: aiohttp.abc.AbstractResolver
    ) -> aiohttp.ClientSession:
        # no limit here: waiting for a free connection must not count as the upstream's time; see _slot
        connector = aiohttp.TCPConnector(resolver=resolver, limit=0, ssl=tls)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": self._settings.user_agent},
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._settings.connect_timeout, sock_read=self._settings.stall_timeout
            ),
        )
        return await self._stack.enter_async_context(session)

    def locate(self, url: str) -> URL:
        """Return the address `url` means, relative to the source. Raises Refused when it may not be reached."""
        try:
            target = self._origin.join(URL(url)).with_fragment(None)
        except ValueError:
            raise Refused(f"{mask_url(url)} is no usable address.", "Check the address.") from None
        self._guard.check_url(target)
        return target.with_user(None)

    @asynccontextmanager
    async def exchange(self, method: str, url: URL, headers: dict[str, str]) -> AsyncIterator[Answer]:
        """Yield the final answer (2xx, 304, 4xx) to a request, after at most five redirects.

        Raises Refused for an address that may not be reached, PackhouseError("upstream_failed") for a redirect that
        may not be followed, Transient for faults and answers worth another attempt.
        """
        trusted = _same_origin(self._origin, url)
        for hop in range(MAX_REDIRECTS + 1):
            sent = headers | self._credentials if trusted else headers
            async with self._slot(url), await self._dial(method, url, sent, hop) as response:
                answer = HttpAnswer(response, self._settings)
                location = answer.headers.get("Location")
                if answer.status not in _REDIRECTS or location is None:
                    self._raise_transient(url, answer)
                    yield answer
                    return
            target = _redirected(url, location)
            trusted = trusted and _same_origin(url, target)
            url = target
        raise PackhouseError("upstream_failed", f"{mask_url(url)} redirects more than {MAX_REDIRECTS} times.")

    async def post(self, url: URL, headers: dict[str, str], body: bytes) -> int:
        """Send `body` and return the status of the answer, whose own body is not read and which may be a redirect.

        Raises as `exchange` does. Messages show only the origin: the path of such an address is often its secret.
        """
        async with self._slot(url), await self._dial("POST", url, headers | self._credentials, 0, body) as response:
            answer = Answer(response.status, response.headers, url.origin())
        self._raise_transient(url, answer)
        return answer.status

    @asynccontextmanager
    async def ask(self, url: URL, headers: dict[str, str], body: bytes | None) -> AsyncIterator[Answer]:
        """Yield the answer to GET, or to POST of `body`; it may be a redirect. Raises as `exchange` does."""
        method = "GET" if body is None else "POST"
        async with self._slot(url), await self._dial(method, url, headers | self._credentials, 0, body) as response:
            answer = HttpAnswer(response, self._settings)
            self._raise_transient(url, answer)
            yield answer

    def _slot(self, url: URL) -> asyncio.Semaphore:
        """Return what has as many places as there may be connections to the host."""
        found = self._slots.get(url.authority)
        if found is None:
            found = self._slots[url.authority] = asyncio.Semaphore(self._settings.connections)
        return found

    async def _dial(
        self, method: str, url: URL, headers: dict[str, str], hop: int, body: bytes | None = None
    ) -> aiohttp.ClientResponse:
        """Send one request, when the host's last Retry-After is over, and return when the response headers are there.

        `hop` is the number of redirects that led here.
        """
        if (wait := self._not_before.get(url.authority, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        try:
            self._guard.check_url(url)
            proxy = self._proxies.pick(url)
            if proxy is not None:
                await self._guard.check_name(url)
            session = self._direct if proxy is None else self._proxied
            async with asyncio.timeout(self._settings.answer_timeout):
                return await session.request(
                    method, url, headers=headers, data=body, proxy=proxy, allow_redirects=False
                )
        except Refused as refused:
            if hop == 0:
                raise
            raise PackhouseError("upstream_failed", f"A redirect was not followed. {refused.message}") from None
        except FAULTS as error:
            raise translate(error, mask_url(url if body is None else url.origin())) from None

    def _raise_transient(self, url: URL, answer: Answer) -> None:
        if answer.status not in _TRY_AGAIN:
            if answer.status >= 500:
                raise PackhouseError("upstream_failed", f"{answer.where} answered {answer.status}.")
            return
        after = parse_retry_after(answer.headers.get("Retry-After"))
        if after and after <= self._settings.max_wait:
            self._not_before[url.authority] = time.monotonic() + after
        raise Transient(f"{answer.where} answered {answer.status}.", retry_after=after)


def _redirected(url: URL, location: str) -> URL:
    """Return where a redirect leads. Raises PackhouseError("upstream_failed") for https to http or nonsense."""
    try:
        # a presigned address must arrive as it was written; only what is no URL text yet gets quoted
        target = url.join(URL(location, encoded=location.isascii() and " " not in location)).with_user(None)
        downgrade = url.scheme == "https" and target.scheme != "https"
        unusable = target.scheme not in ("http", "https") or not target.raw_host
    except ValueError:
        downgrade, unusable = False, True
    if downgrade or unusable:
        why = "from https to an address without it" if downgrade else "to something that is no http or https address"
        raise PackhouseError("upstream_failed", f"{mask_url(url)} redirects {why}.")
    return target.with_fragment(None)


def _same_origin(ours: URL, other: URL) -> bool:
    """Say whether credentials for `ours` may go to `other`: the same origin, or the same host moved to https."""
    if (ours.raw_host or "").lower() != (other.raw_host or "").lower():
        return False
    return (ours.scheme, ours.port) == (other.scheme, other.port) or (
        (ours.scheme, ours.port, other.scheme, other.port) == ("http", 80, "https", 443)
    )


def _credentials(source: URL, settings: FetchSettings) -> dict[str, str]:
    headers = dict(settings.headers)
    user, password = settings.username or source.user or "", settings.password or source.password or ""
    if settings.bearer:
        headers["Authorization"] = f"Bearer {settings.bearer}"
    elif user or password:
        headers["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    return headers


def _tls_context(settings: FetchSettings) -> ssl.SSLContext | bool:
    """Return how to check certificates: True is aiohttp's own context, which is made once and not in 20 ms each."""
    if settings.verify_tls and not settings.ca_bundle and not settings.client_cert:
        return True
    try:
        context = ssl.create_default_context(cafile=settings.ca_bundle)
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert, settings.client_key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise PackhouseError(
            "bad_request",
            f"The CA bundle or client certificate of the source cannot be read: {type(error).__name__}.",
            "They are PEM files the server can read; the key has no password.",
        ) from None
    if not settings.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
