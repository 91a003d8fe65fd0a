"""The ways out of a company network: its own certificate authority, client certificates, proxies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Fetcher, FetchSettings
from tests.kit.proxy import Proxy
from tests.kit.tls import Authority
from tests.kit.upstream import Basic, Redirect, Upstream


def settings_for(up: Upstream, **more: Any) -> FetchSettings:
    """Settings that allow this upstream and try once."""
    return FetchSettings(allowed_private=frozenset({up.hostport}), attempts=1, **{"proxy": "", **more})


async def body(source: str, settings: FetchSettings, url: str = "x") -> bytes:
    """Fetch one file through a fresh fetcher."""
    async with Fetcher(source, settings) as fetcher:
        return (await fetcher.get(url, max_bytes=1000)).require().body


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


async def test_the_ca_bundle_decides_whom_to_trust(authority: Authority, tmp_path: Path) -> None:
    async with Upstream({"x": b"1"}, tls=authority.server()) as up:
        with pytest.raises(PackhouseError, match=r"No trusted connection to https://127.*: .*certificate") as caught:
            await body(up.url, settings_for(up))
        assert "CA bundle" in caught.value.hint
        assert up.hits() == 0
        assert await body(up.url, settings_for(up, ca_bundle=str(authority.ca))) == b"1"
        stranger = Authority(tmp_path, "Stranger")
        with pytest.raises(PackhouseError, match="No trusted connection"):
            await body(up.url, settings_for(up, ca_bundle=str(stranger.ca)))
        assert await body(up.url, settings_for(up, verify_tls=False)) == b"1"


async def test_a_certificate_for_another_address_is_not_trusted(authority: Authority) -> None:
    async with Upstream({"x": b"1"}, tls=authority.server(address="127.0.0.2")) as up:
        with pytest.raises(PackhouseError, match=r"No trusted connection.*IP address mismatch"):
            await body(up.url, settings_for(up, ca_bundle=str(authority.ca)))
        assert up.hits() == 0


async def test_a_client_certificate_opens_the_door(authority: Authority) -> None:
    cert, key = authority.issue("client")
    async with Upstream({"x": b"1"}, tls=authority.server(want_client=True)) as up:
        with pytest.raises(PackhouseError, match="may want a client certificate"):
            await body(up.url, settings_for(up, ca_bundle=str(authority.ca)))
        settings = settings_for(up, ca_bundle=str(authority.ca), client_cert=str(cert), client_key=str(key))
        assert await body(up.url, settings) == b"1"


async def test_unusable_certificate_files_are_named_as_such(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nonsense")
    for how in ({"ca_bundle": str(tmp_path / "none.pem")}, {"ca_bundle": str(bad)}, {"client_cert": str(bad)}):
        with pytest.raises(PackhouseError, match="cannot be read") as caught:
            await body("https://x.example", FetchSettings(**how))  # type: ignore[arg-type]  # str is one of its types
        assert caught.value.code == "bad_request"


async def test_https_to_http_is_not_followed(authority: Authority) -> None:
    async with Upstream({"x": b"1"}) as plain, Upstream(tls=authority.server()) as up:
        up.misbehave("x", Redirect(f"{plain.url}/x"))
        allowed = frozenset({up.hostport, plain.hostport})
        settings = FetchSettings(allowed_private=allowed, ca_bundle=str(authority.ca), proxy="")
        with pytest.raises(PackhouseError, match="from https to an address without it"):
            await body(up.url, settings)
        assert plain.hits() == 0


async def test_http_goes_through_the_proxy_with_its_login() -> None:
    async with Upstream({"x": b"1"}, require=Basic("a", "b")) as up, Proxy("user:p@ss") as proxy:
        source = f"http://conda.invalid:{up.port}"
        through = proxy.url.replace("://", "://user:p%40ss@")
        settings = FetchSettings(proxy=through, username="a", password="b", attempts=1)
        assert await body(source, settings) == b"1"
        assert proxy.targets == [f"GET {source}/x"]
        assert "proxy-authorization" not in up.requests[0].headers
        with pytest.raises(PackhouseError, match="407") as caught:
            await body(source, FetchSettings(proxy=proxy.url, attempts=1))
        assert caught.value.details["upstream_status"] == 407


async def test_https_goes_through_a_tunnel_with_its_login(authority: Authority) -> None:
    async with Upstream({"x": b"1"}, tls=authority.server()) as up, Proxy("user:pw") as proxy:
        through = proxy.url.replace("://", "://user:pw@")
        settings = settings_for(up, proxy=through, ca_bundle=str(authority.ca))
        assert await body(up.url, settings) == b"1"
        assert proxy.targets == [f"CONNECT {up.hostport}"]
        with pytest.raises(PackhouseError, match=r"proxy .* answered 407"):
            await body(up.url, settings_for(up, proxy=proxy.url, ca_bundle=str(authority.ca)))


async def test_environment_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with Upstream({"x": b"1"}) as up, Proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert await body(up.url, settings_for(up, proxy=None)) == b"1"
        assert len(proxy.targets) == 1
        monkeypatch.setenv("no_proxy", up.hostport)
        assert await body(up.url, settings_for(up, proxy=None)) == b"1"
        assert await body(up.url, settings_for(up, proxy=proxy.url)) == b"1"
        monkeypatch.setenv("no_proxy", "")
        assert await body(up.url, settings_for(up, proxy="")) == b"1"
        assert len(proxy.targets) == 1


async def test_a_dead_proxy_is_blamed_without_its_password() -> None:
    async with Proxy() as gone:
        pass
    dead = gone.url.replace("://", "://u:LEAK@")
    with pytest.raises(PackhouseError, match=r"The proxy for http://conda.invalid/x cannot be reached") as caught:
        await body("http://conda.invalid", FetchSettings(proxy=dead, attempts=1))
    assert "LEAK" not in str(caught.value)
