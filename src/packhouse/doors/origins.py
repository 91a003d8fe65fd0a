"""Under which addresses people reach this server: what an `Origin` has to be, and whether cookies are for TLS only."""

from __future__ import annotations

import re
from ipaddress import ip_address

from packhouse.core.errors import PackhouseError
from packhouse.core.settings import Settings
from packhouse.doors.asgi import Scope, header

#: the browser sends it to this very host by TLS only, and no other host can set it (RFC 6265bis section 4.1.3.2)
SECURE_COOKIE = "__Host-packhouse"
#: where there is no TLS
PLAIN_COOKIE = "packhouse"
#: a name or an address, and perhaps a port: what else a `Host` says would become part of addresses
_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


class Origins:
    """The addresses of one installation, as its settings have them."""

    def __init__(self, settings: Settings) -> None:
        self._public = settings.public_url.rstrip("/").lower()
        self._hosts = {settings.host.lower(), "localhost"}

    def secure(self, scope: Scope) -> bool:
        """Say whether the person's browser talks TLS, to this server or to the proxy before it."""
        return self._public.startswith("https:") or scope.get("scheme") == "https"

    def cookie(self, scope: Scope) -> str:
        """Return the name of the cookie that a browser shows its login with."""
        return SECURE_COOKIE if self.secure(scope) else PLAIN_COOKIE

    def are(self, scope: Scope, origin: str) -> bool:
        """Say whether `origin` (RFC 6454 section 7) is the address the request itself was sent to."""
        given = origin.lower()
        return given == self._public if self._public else given == f"{scope.get('scheme', 'http')}://{_host(scope)}"

    def public(self, scope: Scope) -> str:
        """Return the address for others to come back to, such as `https://packages.example.org`.

        Without `public_url` it is what the request names as host, but only where that is this machine itself: anybody
        can write a header. Raises PackhouseError("bad_request").
        """
        if self._public:
            return self._public
        host = _host(scope)
        if (parts := _HOST.fullmatch(host)) and (parts[1] in self._hosts or _loopback(parts[1].strip("[]"))):
            return f"{scope.get('scheme', 'http')}://{host}"
        raise PackhouseError(
            "bad_request",
            "The server does not know under which address people reach it.",
            "An administrator sets `public_url`, for example https://packages.example.org.",
        )


def _host(scope: Scope) -> str:
    return (header(scope, b"host") or b"").decode("latin-1").lower()


def _loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
