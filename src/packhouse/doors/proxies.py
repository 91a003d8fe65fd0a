"""The address a request comes from, when reverse proxies stand before the server.

Only proxies an administrator named are believed: anybody can write `X-Forwarded-For`, and logins are throttled by
address.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from packhouse.doors.asgi import Scope

Address = IPv4Address | IPv6Address
#: answers kept, and how long what proxies say may be to be kept, in bytes
KNOWN, SAID_BYTES = 10_000, 200


class Proxies:
    """The reverse proxies whose word is believed."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._known = lru_cache(maxsize=KNOWN)(self._nearest)  # each download is asked for it

    def client(self, scope: Scope) -> str:
        """Return the address of the nearest machine before the named proxies; empty when nobody knows it."""
        peer = str(scope["client"][0]) if scope.get("client") else ""
        if not self._networks:
            return peer
        said = b",".join([value for name, value in scope["headers"] if name == b"x-forwarded-for"])
        return self._known(peer, said) if len(said) <= SAID_BYTES else self._nearest(peer, said)

    def _nearest(self, peer: str, said: bytes) -> str:
        if not self._names(_address(peer)):
            return peer
        for entry in reversed(said.decode("latin-1").split(",")):
            address = _address(entry)
            if address is None:
                break  # nobody we believe wrote what stands before it
            peer = str(address)
            if not self._names(address):
                break
        return peer

    def _names(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip().partition("%")[0])  # a zone means something on the proxy only
    except ValueError:
        return None
    # a server that listens on `::` sees IPv4 clients as ::ffff:10.0.0.7
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
