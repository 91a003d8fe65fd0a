"""The address of a server: taken before anything is prepared, and written so that people can use it."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from dataclasses import dataclass
from typing import Any

from packhouse.core import tls
from packhouse.core.clock import monotonic
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import Settings

#: for how long a port in use is tried again: the processes of a server that was killed just now still end, in seconds
PATIENCE_SECONDS = 2.0
_REASONS = {
    errno.EADDRINUSE: ("is in use", "End the program that listens there, or choose another port; 0 takes a free one."),
    errno.EADDRNOTAVAIL: ("is not of this machine", "Use 127.0.0.1, or 0.0.0.0 for every address of this machine."),
    errno.EACCES: ("is not allowed to this user", "Choose a port of 1024 or above."),
}
#: what a program of this machine connects to where a server listens on every address
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared with, not listened on
_NAP = threading.Event()  # never set: waiting for it is a nap


@dataclass(frozen=True, slots=True)
class Address:
    """A numeric address and a port that are ours while this object is kept."""

    ip: str
    port: int
    guard: socket.socket
    scheme: str = "http"

    @property
    def local_ip(self) -> str:
        """The address under which programs of this machine reach the server."""
        return _LOOPBACK.get(self.ip, self.ip)

    @property
    def url(self) -> str:
        """The server's base URL for programs of this machine, without a slash at the end."""
        host = f"[{self.local_ip}]" if ":" in self.ip else self.local_ip
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def elsewhere(self) -> str:
        """The base URL for other machines, as far as this one knows its name; empty when only this one is served."""
        return f"{self.scheme}://{socket.gethostname()}:{self.port}" if self.ip in _LOOPBACK else ""

    def wait_until_served(self) -> None:
        """Return when somebody accepts connections there."""
        while True:
            with socket.socket(socket.AF_INET6 if ":" in self.ip else socket.AF_INET) as probe:
                if probe.connect_ex((self.local_ip, self.port)) == 0:
                    return
            _NAP.wait(0.02)


def claim(settings: Settings) -> Address:
    """Take the address and port of the settings for this process.

    Granian's processes share a port (SO_REUSEPORT), so that a second server would get half of the requests of the
    first one; taking the port alone at first refuses that. Raises PackhouseError: `bad_request` for an address that
    is none or not ours, `conflict` for a port in use.
    """
    deadline = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _bind(settings)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or monotonic() > deadline:
                raise _refusal(settings, error) from None
        _NAP.wait(0.05)


def _bind(settings: Settings) -> Address:
    """Bind a socket that nobody can bind beside, then let our own processes."""
    found = socket.getaddrinfo(settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM)
    # IPv4 first: `localhost` is both, and some clients try one only
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    guard = socket.socket(family)
    try:
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections may linger on the port
        guard.bind(where)
        ip, port = guard.getsockname()[:2]
        if sys.platform == "linux":  # kept, so that the port stays ours between now and Granian's processes
            guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        else:
            guard.close()
    except BaseException:
        guard.close()
        raise
    return Address(ip, port, guard, "https" if tls.wanted(settings) else "http")


def _refusal(settings: Settings, error: OSError) -> PackhouseError:
    place: Any = f"{settings.host} port {settings.port} ({settings.origin('host')}; {settings.origin('port')})"
    if isinstance(error, socket.gaierror):
        why = f"The host {settings.host!r} ({settings.origin('host')}) is no address or known name: {error.strerror}."
        return PackhouseError("bad_request", why, "Use 127.0.0.1, or 0.0.0.0 for every address of this machine.")
    what, hint = _REASONS.get(error.errno or 0, (f"cannot be listened on: {error.strerror}", "Choose another."))
    code = "conflict" if error.errno == errno.EADDRINUSE else "bad_request"
    return PackhouseError(code, f"{place} {what}.", hint)
