"""Which addresses are public: the pure half of the guard against server-side request forgery.

Python's `ipaddress.is_global` follows the IANA registries of its own release and does not look inside IPv6 forms
that carry an IPv4 address, so the rule is written out here: a short list of what is refused, the same everywhere.
Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), RFC 6052 (NAT64), RFC 3056 (6to4).
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # "this network", reaches the own host on Linux
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))  # 2001::/32 is Teredo
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address a mapped (::ffff:0:0/96), NAT64 or 6to4 address leads to, else None."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Say whether packets to `address` leave for the public internet, whatever form it is written in."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    inner = embedded_ipv4(address)
    if inner is not None:
        return is_public(inner)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _REFUSED_V6)


def parse_literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address a URL host stands for if it is no name; None for a DNS name.

    Takes every notation a resolver takes: `127.1`, `2130706433`, `0x7f.1`, `0177.0.0.1`, IPv6 with a zone.
    Raises ValueError for a host that is neither an address nor a well-formed name (WHATWG URL 3.5: a host whose
    last label is a number is an IPv4 address or an error).
    """
    if ":" in host:
        return IPv6Address(host.split("%", 1)[0])
    if not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is not a host name")
    if not _NUMERIC_LABEL.fullmatch(host.rstrip(".").rsplit(".", 1)[-1]):
        return None
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        raise ValueError(f"{host!r} is not an IPv4 address") from None
