"""The words of fetching: what an administrator sets, what a caller expects, what comes back, where bytes go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from packhouse.core.blobs.hashing import Hashes
from packhouse.core.errors import PackhouseError


class FetchSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one source (a mirror, a feed) is reached. Credentials go to the source's own origin only.

    Its text form shows no secret.
    """

    proxy: str | None = None  #: URL of an HTTP proxy; None: what the environment says; "": none
    ca_bundle: str | None = None  #: PEM file that replaces the system's certificate authorities
    client_cert: str | None = None  #: PEM file with the client certificate (and its key, when `client_key` is None)
    client_key: str | None = None
    verify_tls: bool = True
    username: str = ""  #: HTTP Basic; wins over a user in the source's URL
    password: str = ""
    bearer: str = ""  #: sent as `Authorization: Bearer`
    headers: dict[str, str] = {}  #: further secret headers, for example `X-Auth`
    allowed_private: frozenset[str] = frozenset()  #: `host:port` an administrator named; else private is refused
    file_roots: frozenset[str] = frozenset()  #: folders an administrator named; a `file://` source lies in one
    connections: int = 16  #: at the same time, to one host
    connect_timeout: float = 10.0  #: seconds for TCP and TLS
    answer_timeout: float = 30.0  #: seconds until the response headers are there
    stall_timeout: float = 20.0  #: seconds without a byte of the body
    min_rate: int = 1024  #: bytes per second, averaged over `rate_window`
    rate_window: float = 20.0  #: seconds
    attempts: int = 4  #: failures in a row without progress before giving up
    backoff: float = 0.5  #: seconds before the first repetition; doubles, with jitter
    max_wait: float = 60.0  #: longest wait in seconds, also for an upstream's Retry-After
    user_agent: str = "packhouse"

    def __repr__(self) -> str:
        return f"FetchSettings(verify_tls={self.verify_tls}, allowed_private={sorted(self.allowed_private)})"


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the trusted record says of the bytes; None where it says nothing. Digests are hex in any case."""

    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def has_hash(self) -> bool:
        """Say whether the bytes can be proved, so that pieces of several answers may be joined."""
        return bool(self.sha256 or self.md5)

    def difference(self, got: Hashes) -> str | None:
        """Return the first thing that differs, in words, or None when all that is known agrees."""
        for name, wanted, found in (
            ("size", self.size, got.size),
            ("SHA-256", self.sha256 and self.sha256.lower(), got.sha256),
            ("MD5", self.md5 and self.md5.lower(), got.md5),
        ):
            if wanted is not None and wanted != found:
                return f"its {name} is {found}, the record says {wanted}"
        return None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer held in memory. `status` is 200, 304 or a 4xx; `url` is the masked address after redirects."""

    status: int
    body: bytes
    etag: str | None
    last_modified: str | None
    content_type: str
    size: int | None  #: of the whole file as the server states it; the only size a HEAD has
    url: str

    def require(self) -> Response:
        """Return self when it is 200 or 304. Raises PackhouseError("upstream_failed") for the others."""
        if self.status in (200, 304):
            return self
        raise refusal(self.url, self.status)


class Sink(Protocol):
    """Where a download goes; `core.blobs.Writer` is one. It hashes what it takes; nothing is kept before success."""

    @property
    def size(self) -> int:
        """Bytes it has: where the download goes on."""

    async def write(self, chunk: bytes, /) -> None:
        """Append bytes."""

    async def restart(self) -> None:
        """Forget all bytes."""

    def hashes(self) -> Hashes:
        """Return size and hashes of all bytes so far."""


_HINTS = {
    401: "Check the source's user, password or token.",
    403: "The source's user or token has no right to it.",
    404: "Check the source's address; a name or file may be gone.",
    407: "The proxy wants a login: write it into the proxy's URL.",
}


def refusal(url: str, status: int) -> PackhouseError:
    """Return the error for an upstream's final status; `details["upstream_status"]` holds it. `url` is masked."""
    hint = _HINTS.get(status, "")
    return PackhouseError("upstream_failed", f"{url} answered {status}.", hint, upstream_status=status)
