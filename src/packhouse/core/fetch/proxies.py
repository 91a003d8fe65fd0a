"""Which proxy, if any, a request goes through: the source's own, else the environment's; NO_PROXY beats both."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from yarl import URL

from packhouse.core.errors import PackhouseError


class ProxyChoice:
    """Chooses by `proxy` (None: the environment's) and the usual variables in either case of `environ`."""

    def __init__(self, proxy: str | None, environ: Mapping[str, str]) -> None:
        def variable(name: str) -> str:
            return environ.get(name.lower()) or environ.get(name.upper()) or ""

        fallback = variable("all_proxy")
        self._by_scheme = {
            scheme: _parse(proxy if proxy is not None else variable(f"{scheme}_proxy") or fallback)
            for scheme in ("http", "https")
        }
        self._exempt = [entry.strip().lower() for entry in variable("no_proxy").split(",") if entry.strip()]

    def pick(self, url: URL) -> URL | None:
        """Return the proxy for `url`, with its login, or None to dial directly."""
        proxy = self._by_scheme.get(url.scheme)
        if proxy is None or any(_exempts(entry, str(url.raw_host), int(url.port or 0)) for entry in self._exempt):
            return None
        return proxy


def _parse(text: str) -> URL | None:
    if not text:
        return None
    try:
        url = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise PackhouseError("bad_request", "The proxy's address cannot be used.", "Write http://[USER:PW@]HOST:PORT.")
    return url


def _exempts(entry: str, host: str, port: int) -> bool:
    """Match one NO_PROXY entry: `*`, a domain with its subdomains, `host:port`, an address or a network."""
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(entry, host)
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and "]" not in number and (":" not in name or name.startswith("[")):
        if int(number) != port:
            return False
        entry = name
    entry = entry.strip("[]").lstrip("*").lstrip(".")
    host = host.rstrip(".")
    return host == entry or host.endswith(f".{entry}")


def _in_network(entry: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False
