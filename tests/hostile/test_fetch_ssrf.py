"""Server-side request forgery: 60 ways to name a private address, and not one connection.

A listener on every address of this machine counts what arrives. Names resolve through a fake resolver, so that no
DNS server is asked and re-binding can be played.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Expected, Fetcher, FetchSettings, Refused
from packhouse.core.fetch.addresses import is_public
from tests.kit.proxy import Proxy
from tests.kit.sinks import MemorySink
from tests.kit.upstream import Redirect, Upstream

#: `{p}` is a port somebody listens on
URLS = [
    # loopback, in every notation
    "http://127.0.0.1:{p}/",
    "http://127.0.0.2:{p}/",
    "http://127.255.255.254:{p}/",
    "http://127.1:{p}/",
    "http://127.0.1:{p}/",
    "http://2130706433:{p}/",
    "http://0x7f000001:{p}/",
    "http://0x7f.0.0.1:{p}/",
    "http://0x7f.1:{p}/",
    "http://0177.0.0.1:{p}/",
    "http://017700000001:{p}/",
    "http://0177.0x0.0.1:{p}/",
    "http://127.0.0.1.:{p}/",
    "http://①②⑦.⓪.⓪.①:{p}/",
    "http://127。0。0。1:{p}/",
    "http://127%2e0.0.1:{p}/",
    "http://127.0.0.1%00.example.com:{p}/",
    "http://0:{p}/",
    "http://0.0.0.0:{p}/",
    "http://00000000:{p}/",
    "http://4294967296:{p}/",
    "http://256.0.0.1:{p}/",
    "HTTP://LOCALHOST:{p}/",
    "http://localhost.:{p}/",
    "http://ip6-localhost:{p}/",
    "https://127.0.0.1:{p}/",
    # IPv6 and what hides IPv4 in it
    "http://[::1]:{p}/",
    "http://[0:0:0:0:0:0:0:1]:{p}/",
    "http://[::]:{p}/",
    "http://[::ffff:127.0.0.1]:{p}/",
    "http://[::ffff:7f00:1]:{p}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/",
    "http://[::127.0.0.1]:{p}/",
    "http://[64:ff9b::127.0.0.1]:{p}/",
    "http://[64:ff9b::10.0.0.1]:{p}/",
    "http://[64:ff9b:1::1]:{p}/",
    "http://[2002:7f00:1::]:{p}/",
    "http://[2002:c0a8:101::1]:{p}/",
    "http://[2001:0:7f00:1::]:{p}/",
    "http://[fe80::1%25lo]:{p}/",
    "http://[fc00::1]:{p}/",
    "http://[fd00::2]:{p}/",
    "http://[fec0::1]:{p}/",
    "http://[ff02::1]:{p}/",
    # private, shared, link-local, metadata, reserved
    "http://10.0.0.1:{p}/",
    "http://172.16.0.1:{p}/",
    "http://172.31.255.255:{p}/",
    "http://192.168.1.1:{p}/",
    "http://100.64.0.1:{p}/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://192.0.0.192/opc/v2/",
    "http://198.18.0.1:{p}/",
    "http://224.0.0.1:{p}/",
    "http://255.255.255.255:{p}/",
    # confusing authorities
    "http://example.com@127.0.0.1:{p}/",
    "http://example.com:80@127.0.0.1:{p}/",
    "http://example.com#@127.0.0.1:{p}/../..//[::1]:{p}",
    "http://example.com\\@127.0.0.1:{p}/",
    # names
    "http://private.test:{p}/",
    "http://mixed.test:{p}/",
    "http://mapped.test:{p}/",
    "http://metadata.test:{p}/",
    # no http at all
    "file:///etc/passwd",
    "ftp://127.0.0.1:{p}/",
    "gopher://127.0.0.1:{p}/",
    "unix:///var/run/docker.sock",
    "//127.0.0.1:{p}/",
]
NAMES = {
    "private.test": ["10.1.2.3"],
    "mixed.test": ["93.184.215.14", "127.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "example.com": ["127.0.0.1"],
    "localhost": ["127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
}


class Listener:
    """Accepts on all addresses of this machine, both families, and counts."""

    def __init__(self) -> None:
        self.connections = 0

    async def __aenter__(self) -> Listener:
        listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self._server = await asyncio.start_server(self._accept, sock=listening)
        self.port: int = listening.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Listener() as listener:
        yield listener


@pytest.fixture
def dials(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record every address a socket is connected to; names resolve by NAMES, literal addresses as ever."""
    loop_type = asyncio.SelectorEventLoop
    real_lookup, real_connect = loop_type.getaddrinfo, loop_type.sock_connect
    connected: list[Any] = []

    async def lookup(self: Any, host: Any, port: Any, **how: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in NAMES:
            found = [await real_lookup(self, address, port, type=socket.SOCK_STREAM) for address in NAMES[name]]
            return [info for infos in found for info in infos]
        return await real_lookup(self, host, port, **{**how, "flags": socket.AI_NUMERICHOST})

    async def connect(self: Any, sock: socket.socket, address: Any) -> None:
        connected.append(address)
        await real_connect(self, sock, address)

    monkeypatch.setattr(loop_type, "getaddrinfo", lookup)
    monkeypatch.setattr(loop_type, "sock_connect", connect)
    return connected


@pytest.mark.parametrize("url", URLS)
async def test_a_private_address_as_url_is_refused(url: str, listener: Listener, dials: list[Any]) -> None:
    settings = FetchSettings(backoff=0.001, proxy="")
    async with Fetcher("http://source.example/", settings) as fetcher:
        target = url.format(p=listener.port)
        with pytest.raises(Refused):
            await fetcher.get(target, max_bytes=1000)
        with pytest.raises(Refused):
            await fetcher.head(target)
        with pytest.raises(Refused):
            await fetcher.download(target, MemorySink(), expect=Expected(), max_bytes=1000)
    assert dials == []
    assert listener.connections == 0


@pytest.mark.parametrize("url", [url for url in URLS if not url.startswith(("file", "//"))])
async def test_a_private_address_as_source_is_refused(url: str, listener: Listener, dials: list[Any]) -> None:
    with pytest.raises(Refused):
        async with Fetcher(url.format(p=listener.port), FetchSettings(backoff=0.001, proxy="")) as fetcher:
            await fetcher.get("x", max_bytes=1000)
    assert dials == []
    assert listener.connections == 0


@pytest.mark.parametrize("url", URLS)
async def test_a_private_address_behind_a_redirect_is_refused(url: str, listener: Listener, dials: list[Any]) -> None:
    async with Upstream() as up:
        up.misbehave("x", Redirect(url.format(p=listener.port).encode("ascii", "xmlcharrefreplace").decode()))
        settings = FetchSettings(allowed_private=frozenset({up.hostport}), backoff=0.001, proxy="")
        async with Fetcher(up.url, settings) as fetcher:
            with pytest.raises(PackhouseError) as caught:
                await fetcher.get("x", max_bytes=1000)
            assert caught.value.code == "upstream_failed"
        assert {address[1] for address in dials} == {up.port}
    assert listener.connections == 0


@pytest.mark.parametrize("url", [url for url in URLS if url.startswith("http") and "example.com" not in url])
async def test_a_proxy_is_no_way_around(url: str, dials: list[Any], listener: Listener) -> None:
    async with Proxy() as proxy, Fetcher("http://source.example/", FetchSettings(proxy=proxy.url)) as fetcher:
        with pytest.raises(Refused):
            await fetcher.get(url.format(p=listener.port), max_bytes=1000)
        assert proxy.targets == []
    assert listener.connections == 0


async def test_a_name_that_changes_its_address_is_judged_by_the_new_one(
    dials: list[Any], monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    """The first answer would be allowed; what is connected to is what counts."""
    async with Upstream({"x": b"1"}) as up:
        settings = FetchSettings(allowed_private=frozenset({up.hostport}), backoff=0.001, attempts=1, proxy="")
        monkeypatch.setitem(NAMES, "rebind.test", ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
        async with Fetcher("http://source.example/", settings) as fetcher:
            monkeypatch.setitem(NAMES, "rebind.test", ["127.0.0.1"])
            with pytest.raises(Refused):
                await fetcher.get(f"http://rebind.test:{listener.port}/", max_bytes=1000)
            with pytest.raises(Refused):
                await fetcher.get(f"http://rebind.test:{up.port}/x", max_bytes=1000)
        assert up.connections == 0
    assert dials == []


async def test_only_the_named_host_and_port_is_open(dials: list[Any], listener: Listener) -> None:
    async with Upstream({"x": b"1"}) as up:
        settings = FetchSettings(allowed_private=frozenset({f"localhost:{up.port}"}), backoff=0.001, proxy="")
        async with Fetcher(f"http://localhost:{up.port}", settings) as fetcher:
            assert (await fetcher.get("x", max_bytes=10)).body == b"1"
            assert (await fetcher.get(f"http://LOCALHOST.:{up.port}/x", max_bytes=10)).body == b"1"
            for other in (f"http://127.0.0.1:{up.port}/x", f"http://localhost:{listener.port}/x"):
                with pytest.raises(Refused, match="administrator can allow"):
                    await fetcher.get(other, max_bytes=10)
        assert {address[1] for address in dials} == {up.port}
    assert listener.connections == 0


@pytest.mark.parametrize("entry", ["127.0.0.1", "host:", ":80", "a b:80", "[::1]", "host:http"])
def test_an_exemption_must_be_host_and_port(entry: str) -> None:
    with pytest.raises(PackhouseError, match=r"is no host:port"):
        Fetcher("http://source.example/", FetchSettings(allowed_private=frozenset({entry})))


@given(st.ip_addresses(v=4))
def test_every_disguise_of_an_ipv4_address_is_judged_like_it(address: Any) -> None:
    from ipaddress import IPv6Address

    number = int(address)
    mapped, nat64 = IPv6Address((0xFFFF << 32) | number), IPv6Address((0x64FF9B << 96) | number)
    six_to_four = IPv6Address((0x2002 << 112) | (number << 80) | 1)
    assert is_public(mapped) == is_public(nat64) == is_public(six_to_four) == is_public(address)


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: Any) -> None:
    if is_public(address) and not getattr(address, "ipv4_mapped", None) and not getattr(address, "sixtofour", None):
        assert not address.is_private or str(address).startswith("64:ff9b")
        assert not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)
