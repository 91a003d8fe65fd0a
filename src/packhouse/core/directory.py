"""Directories: the only place that speaks LDAP (RFC 4511), through OpenLDAP's library in threads of its own.

The library is optional (`pip install '.[ldap]'`). A directory's address begins with `ldaps:`, or with `ldap:`,
where nothing is sent before StartTLS succeeded unless `plain` says that it may; certificates are always checked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.core.text import one_line

try:
    import ldap
    import ldap.dn
    from ldap.controls import SimplePagedResultsControl
except ImportError:  # the extra is not installed: `require` says so to whoever configured a directory
    ldap = None

#: entries of one page; Active Directory gives 1,000 at most (RFC 2696)
PAGE = 1_000
#: calls under way at a time; a directory that hangs keeps nothing else waiting
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="directory")
#: answers to a bind that mean: this is not the password, or it is not to be used
_NOT_PROVED = ("INVALID_CREDENTIALS", "INAPPROPRIATE_AUTH", "UNWILLING_TO_PERFORM", "CONSTRAINT_VIOLATION",
               "NO_SUCH_OBJECT", "INVALID_DN_SYNTAX", "INSUFFICIENT_ACCESS")  # fmt: skip
_T = TypeVar("_T")


class DirectoryServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a directory is and who asks it. Its text form shows no secret."""

    url: str
    ca_file: str = ""  #: PEM file that replaces the system's certificate authorities
    plain: bool = False  #: no encryption
    bind_dn: str = ""
    bind_password: str = ""
    timeout: float = 10.0  #: seconds for each answer

    def __repr__(self) -> str:
        return f"DirectoryServer({self.url})"


class Entry(NamedTuple):
    """One entry; the names of attributes are in lower case."""

    dn: str
    values: Mapping[str, Sequence[bytes]]

    def texts(self, name: str) -> list[str]:
        """Return the values of an attribute that are text."""
        return [value.decode("utf-8", "replace") for value in self.values.get(name.lower(), ())]

    def text(self, name: str) -> str:
        """Return the first value of an attribute, "" without one."""
        return next(iter(self.texts(name)), "")


class Directory:
    """A connection, bound as the one who searches; made by `connected`."""

    def __init__(self, server: DirectoryServer, connection: Any) -> None:
        self._server = server
        self._connection = connection

    async def pages(self, base: str, matching: str, attributes: Sequence[str]) -> AsyncIterator[list[Entry]]:
        """Yield what matches below `base`, `PAGE` entries at a time; all of it, or it raises.

        Raises PackhouseError("directory_failed"), also when the directory's limits leave something out.
        """
        cookie: bytes = b""
        while True:
            found, cookie = await _in_thread(self._server, self._page, base, matching, attributes, cookie)
            yield found
            if not cookie:
                return

    async def find(self, base: str, matching: str, attributes: Sequence[str]) -> list[Entry]:
        """Return all that matches below `base`. Raises as `pages`."""
        return [entry async for page in self.pages(base, matching, attributes) for entry in page]

    def _page(self, base: str, matching: str, attributes: Sequence[str], cookie: bytes) -> tuple[list[Entry], bytes]:
        control = SimplePagedResultsControl(True, size=PAGE, cookie=cookie)
        asked = self._connection.search_ext(
            base, ldap.SCOPE_SUBTREE, matching, list(attributes), serverctrls=[control], timeout=self._server.timeout
        )
        _, rows, _, controls = self._connection.result3(asked, timeout=self._server.timeout)
        # a row without a DN refers to another server, which is not followed
        found = [Entry(dn, {name.lower(): tuple(values) for name, values in row.items()}) for dn, row in rows if dn]
        told = [control.cookie for control in controls if control.controlType == SimplePagedResultsControl.controlType]
        return found, told[0] if told else b""


@asynccontextmanager
async def connected(server: DirectoryServer) -> AsyncIterator[Directory]:
    """Connect and bind as `bind_dn`, until the end of the block. Raises PackhouseError("directory_failed")."""
    connection = await _in_thread(server, _bound, server)
    try:
        yield Directory(server, connection)
    finally:
        _THREADS.submit(connection.unbind_s)


async def proves(server: DirectoryServer, dn: str, password: str) -> bool:
    """Tell whether the directory takes `password` for that of `dn`, on a connection of its own.

    An empty password never reaches it: RFC 4513 section 5.1.2 has servers answer such a bind with success.
    Raises PackhouseError("directory_failed") when the directory does not say.
    """
    try:
        sendable = bool(dn and password) and "\0" not in password and bool(password.encode())
    except UnicodeEncodeError:
        sendable = False
    return sendable and await _in_thread(server, _proves, server, dn, password)


def escaped(value: str | bytes) -> str:
    """Return a value as a filter takes it for itself (RFC 4515 section 3); bytes are written in hexadecimal."""
    if isinstance(value, bytes):
        return "".join(f"\\{byte:02x}" for byte in value)
    return "".join(f"\\{ord(char):02x}" if char in "\\*()\0" else char for char in value)


def normal_dn(dn: str) -> str:
    """Return one form for all ways of writing a DN (RFC 4514); what is none comes back in lower case."""
    try:
        parts = ldap.dn.str2dn(dn)
    except ldap.DECODING_ERROR:
        return dn.lower()
    return str(ldap.dn.dn2str([sorted(_lowered(part)) for part in parts]))


def _lowered(part: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, str, int]]:
    for kind, value, flags in part:
        yield kind.lower(), " ".join(value.lower().split()), flags


def require() -> None:
    """Raise PackhouseError("bad_request") unless the library is installed."""
    if ldap is None:
        raise PackhouseError(
            "bad_request",
            "The identity file names a directory, but the library for LDAP is not installed.",
            "Install it with `pip install '.[server,ldap]'` in the clone, or remove the provider.",
        )


def _proves(server: DirectoryServer, dn: str, password: str) -> bool:
    connection = _opened(server)
    try:
        connection.simple_bind_s(dn, password)
    except ldap.LDAPError as error:
        if type(error).__name__ in _NOT_PROVED:
            return False
        raise
    finally:
        connection.unbind_s()
    return True


def _bound(server: DirectoryServer) -> Any:
    connection = _opened(server)
    if server.bind_dn:
        connection.simple_bind_s(server.bind_dn, server.bind_password)
    return connection


def _opened(server: DirectoryServer) -> Any:
    """Return a connection that is encrypted, unless it need not be."""
    connection = ldap.initialize(server.url, bytes_mode=False)
    options = {
        ldap.OPT_PROTOCOL_VERSION: ldap.VERSION3,
        ldap.OPT_REFERRALS: ldap.OPT_OFF,  # an answer must not say whom our password is shown to
        ldap.OPT_NETWORK_TIMEOUT: server.timeout,
        ldap.OPT_TIMEOUT: server.timeout,
        ldap.OPT_X_TLS_REQUIRE_CERT: ldap.OPT_X_TLS_DEMAND,
    }
    authorities = server.ca_file or ssl.get_default_verify_paths().cafile
    if authorities:
        options[ldap.OPT_X_TLS_CACERTFILE] = authorities
    options[ldap.OPT_X_TLS_NEWCTX] = 0  # the last: it takes what was said of TLS before
    for option, value in options.items():
        connection.set_option(option, value)
    if not server.plain and not server.url.startswith("ldaps:"):
        connection.start_tls_s()
    return connection


async def _in_thread(server: DirectoryServer, work: Callable[..., _T], *arguments: Any) -> _T:
    """Run `work` in a thread. Raises PackhouseError("directory_failed") for what the library raises."""
    require()
    try:
        async with asyncio.timeout(4 * server.timeout):  # connect, StartTLS and bind have a time-out each
            return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *arguments)
    except (ldap.LDAPError, TimeoutError, ValueError) as error:
        raise _failed(server, error) from None


_HINTS = {
    "INVALID_CREDENTIALS": ("it does not take the password of `bind_dn`", "Correct `bind_dn` and `bind_password`."),
    "NO_SUCH_OBJECT": ("there is nothing at the base of the search", "Correct `user_base` and `group_base`."),
    "FILTER_ERROR": ("a filter is ill-formed", "Correct `user_filter` and `group_filter` (RFC 4515)."),
    "SIZELIMIT_EXCEEDED": ("it gives only a part of what was asked for", "Raise its limit for the one who searches."),
    "ADMINLIMIT_EXCEEDED": ("it gives only a part of what was asked for", "Raise its limit for the one who searches."),
    "TIMELIMIT_EXCEEDED": ("it took too long for an answer", "Raise its limit, or index what is searched by."),
    "TIMEOUT": ("it did not answer in time", "Try again; `timeout_seconds` says how long is waited."),
    "TimeoutError": ("it did not answer in time", "Try again; `timeout_seconds` says how long is waited."),
    "STRONG_AUTH_REQUIRED": ("it wants an encrypted connection", "Remove `allow_plain`, or use an address ldaps://."),
    "CONFIDENTIALITY_REQUIRED": ("it wants an encrypted connection", "Remove `allow_plain`, or use ldaps://."),
}


def _failed(server: DirectoryServer, error: Exception) -> PackhouseError:
    said = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    reason = one_line(" ".join(str(said[name]) for name in ("desc", "info") if said.get(name)))[:300]
    kind = type(error).__name__
    why, hint = _HINTS.get(kind, (f"{kind}", "Ask whoever runs it."))
    if kind in ("SERVER_DOWN", "CONNECT_ERROR", "PROTOCOL_ERROR", "UNAVAILABLE"):
        why = "no connection that can be trusted comes about"
        hint = "Check that it runs, `url` (the name must be the certificate's) and `ca_file`; ldap:// needs StartTLS."
    text = f"{why} ({reason})" if reason else why
    return PackhouseError("directory_failed", f"The directory {server.url} cannot be used: {text}.", hint)
