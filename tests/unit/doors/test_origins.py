"""Under which address the server believes to be reached."""

from __future__ import annotations

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.core.settings import load
from packhouse.doors.origins import Origins


def public(host: str, **env: str) -> str:
    return Origins(load(env)).public({"scheme": "http", "headers": [(b"host", host.encode())]})


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:1"])
def test_this_machine_is_believed(host: str) -> None:
    assert public(host) == f"http://{host.lower()}"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.org",
        "localhost:1@evil.example.org",
        "localhost:1/evil",
        "[::1]evil",
        "localhost:x",
        "127.0.0.1#",
        "",
    ],
)
def test_no_other_host_is(host: str) -> None:
    with pytest.raises(PackhouseError, match="does not know under which address"):
        public(host)


def test_what_the_settings_say_counts() -> None:
    assert public("evil.example.org", PACKHOUSE_PUBLIC_URL="https://p.example.org/") == "https://p.example.org"
