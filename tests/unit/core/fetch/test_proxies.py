"""Which requests go through which proxy."""

from __future__ import annotations

import pytest
from yarl import URL

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.proxies import ProxyChoice

ENV = {"HTTPS_PROXY": "http://env:3128"}


@pytest.mark.parametrize(
    ("proxy", "environ", "url", "picked"),
    [
        (None, {}, "https://a.example/x", None),
        (None, ENV, "https://a.example/x", "http://env:3128"),
        (None, ENV, "http://a.example/x", None),
        (None, {"all_proxy": "env:1"}, "http://a.example/x", "http://env:1"),
        ("", ENV, "https://a.example/x", None),
        ("http://own:8080", ENV, "https://a.example/x", "http://own:8080"),
        ("http://own:8080", {"NO_PROXY": "a.example"}, "https://a.example/x", None),
        ("http://own:8080", {"no_proxy": "b.example, .a.example"}, "https://cdn.a.example/x", None),
        ("http://own:8080", {"no_proxy": "*.a.example"}, "https://cdn.a.example/x", None),
        ("http://own:8080", {"no_proxy": "a.example"}, "https://bada.example/x", "http://own:8080"),
        ("http://own:8080", {"no_proxy": "*"}, "https://a.example/x", None),
        ("http://own:8080", {"no_proxy": "a.example:8443"}, "https://a.example/x", "http://own:8080"),
        ("http://own:8080", {"no_proxy": "a.example:8443"}, "https://a.example:8443/x", None),
        ("http://own:8080", {"no_proxy": "10.0.0.0/8"}, "http://10.1.2.3/x", None),
        ("http://own:8080", {"no_proxy": "10.0.0.0/8,nonsense/99"}, "http://11.1.2.3/x", "http://own:8080"),
        ("http://own:8080", {"no_proxy": "[fd00::1]:80"}, "http://[fd00::1]/x", None),
        ("http://own:8080", {"no_proxy": "fd00::1"}, "http://[fd00::1]/x", None),
    ],
)
def test_choice(proxy: str | None, environ: dict[str, str], url: str, picked: str | None) -> None:
    found = ProxyChoice(proxy, environ).pick(URL(url))
    assert (str(found).rstrip("/") if found else None) == picked


@pytest.mark.parametrize("proxy", ["socks5://LEAK@x:1", "http://", "http://x:LEAK"])
def test_an_unusable_proxy_is_named_without_its_password(proxy: str) -> None:
    with pytest.raises(PackhouseError) as caught:
        ProxyChoice(proxy, {})
    assert caught.value.code == "bad_request"
    assert "LEAK" not in str(caught.value)
