"""Refuses to reach private addresses, at the only moment that counts: when the connected address is known.

A name is judged by the addresses it has when the connection is made (so re-binding DNS changes nothing), a literal
address before. Only `host:port` pairs an administrator named are exempt, each exactly as named.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.addresses import is_public, parse_literal
from packhouse.core.fetch.masking import mask_url

_HINT = "An administrator can allow exactly this address: as host:port in the setting PACKHOUSE_ALLOWED_PRIVATE_HOSTS."
_LOOKUP_SECONDS = 3.0


class Refused(PackhouseError):
    """The address may not be reached."""

    def __init__(self, message: str, hint: str = _HINT) -> None:
        super().__init__("forbidden", message, hint)


class Guard:
    """Knows which `host:port` may be reached although private."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(_named(entry) for entry in allowed)
        self._looked_up: set[tuple[str, int]] = set()
        #: remembers the hosts that passed: most files come from one
        self._check_host = lru_cache(maxsize=256)(self._check_any_host)

    def check_url(self, url: URL) -> None:
        """Refuse schemes but http(s), hosts that are no name or canonical address, and private literal addresses."""
        host, port = url.raw_host, url.port
        if url.scheme not in ("http", "https") or not host or not port:
            raise Refused(f"{mask_url(url)} is no http or https address.", "Write http://HOST or https://HOST.")
        self._check_host(host, port)

    def _check_any_host(self, host: str, port: int) -> None:
        try:
            address = parse_literal(host)
        except ValueError as error:
            raise Refused(f"{host} cannot be reached: {error}.", "Check the address.") from None
        if address is None:
            return
        if isinstance(address, IPv4Address) and str(address) != host:
            raise Refused(f"{host} is an unusual way to write {address}.", "Write four decimal numbers.")
        self.check_addresses(host, port, [address])

    def check_addresses(self, host: str, port: int, addresses: Iterable[IPv4Address | IPv6Address]) -> None:
        """Refuse when any of `host`'s addresses is private and `host:port` is not named."""
        private = [address for address in addresses if not is_public(address)]
        if private and (_canonical(host), port) not in self._allowed:
            raise Refused(f"{host}:{port} is refused, because {private[0]} is a private address.")

    async def check_name(self, url: URL) -> None:
        """Refuse names that are private now, as far as this machine knows: what a proxy or a later connection reaches.

        A name this machine cannot resolve passes: networks with a proxy often lack DNS, and connections are checked.
        """
        host, port = str(url.raw_host), int(url.port or 0)
        if (host, port) in self._looked_up:
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS):
                infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError):
            infos = []
        self.check_addresses(host, port, (_address(str(info[4][0])) for info in infos))
        self._looked_up.add((host, port))


class GuardedResolver(AbstractResolver):
    """The connector's resolver: hands out no address the guard refuses, so none is connected to."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host`. Raises Refused, or OSError when there are none."""
        results = await self._inner.resolve(host, port, family)
        self._guard.check_addresses(host, port, (_address(result["host"]) for result in results))
        return results

    async def close(self) -> None:
        """Release the inner resolver."""
        await self._inner.close()


def _address(text: str) -> IPv4Address | IPv6Address:
    return ip_address(text.split("%", 1)[0])


def _canonical(host: str) -> str:
    address = parse_literal(host.lower())
    return str(address) if address is not None else host.lower().rstrip(".")


def _named(entry: str) -> tuple[str, int]:
    host, _, port = entry.strip().rpartition(":")
    try:
        return _canonical(host.removeprefix("[").removesuffix("]")), int(port)
    except ValueError:
        raise PackhouseError("bad_request", f"{entry!r} is no host:port.", "Write for example 10.0.0.5:8080.") from None
