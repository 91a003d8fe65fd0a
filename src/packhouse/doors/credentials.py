"""Takes the credential out of a request, whichever way a client carries it.

Which one counts when a request carries several: the token in the path (somebody wrote it into this very channel's
address), then `X-Auth`, then `X-API-Key`, then `Authorization` (which HTTP libraries also add by themselves from a
`.netrc`), then our cookie (which a browser adds to all it sends). The one that counts must be valid; a bad one never
falls back to the next, nor to nobody. Pure; never raises: whatever cannot be read is a MALFORMED credential, which
nobody has, hence 401.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable

from packhouse.workflows.admitting.credential import MALFORMED, TOKEN, Credential, opaque

#: longer values are not read at all, in bytes
HEADER_BYTES = 16_384
#: conda puts its token before the whole path or after the channel's location
LOCATIONS = ("", "/api/repo")

#: the password pip, twine and R users are told to write beside a token
MARKER = "x-auth-token"

BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

Headers = Iterable[tuple[bytes, bytes]]


def from_request(headers: Headers, path: str) -> tuple[Credential | None, str]:
    """Return the credential that counts (None: the request carries none) and the path without any token.

    `headers` are raw pairs, `path` is decoded once and starts with `/`.
    """
    in_path, rest = from_path(path)
    return in_path or from_headers(headers), rest


def from_cookies(headers: Headers, name: str) -> Credential | None:
    """Return the cookie of that name (RFC 6265 section 5.4); several ones with different values are MALFORMED.

    HTTP/2 may send each cookie in a header of its own (RFC 9113 section 8.2.3).
    """
    found: set[bytes] = set()
    for key, line in headers:
        if key.lower() == b"cookie" and len(line) <= HEADER_BYTES:
            for pair in line.split(b";"):
                given, equals, value = pair.strip(b" \t").partition(b"=")
                if equals and given == name.encode():
                    found.add(value)
    if not found:
        return None
    text = _text(found.pop()) if len(found) == 1 else None
    return Credential("cookie", text) if text and TOKEN.fullmatch(text) else MALFORMED


def from_path(path: str) -> tuple[Credential | None, str]:
    """Take `/t/TOKEN` out of a path, at the root and after `/api/repo`; two different tokens are MALFORMED."""
    found: set[Credential] = set()
    for location in LOCATIONS:
        if path == f"{location}/t" or path.startswith(f"{location}/t/"):
            token, slash, rest = path[len(location) + 3 :].partition("/")
            path = location + slash + rest or "/"
            found.add(Credential("token", token) if TOKEN.fullmatch(token) else MALFORMED)
    if not found:
        return None, path
    return (found.pop() if len(found) == 1 else MALFORMED), path


def from_headers(headers: Headers) -> Credential | None:
    """Return the credential of the header that counts, or None if there is no such header."""
    values: dict[bytes, set[bytes]] = {}
    for name, value in headers:
        if (lower := name.lower()) in _READERS:
            values.setdefault(lower, set()).add(value.strip(b" \t"))
    for name, read in _READERS.items():
        if (given := values.get(name)) is not None:
            text = _text(given.pop()) if len(given) == 1 else None  # one name with several values: whose request is it?
            return MALFORMED if text is None else read(text)
    return None


def _text(value: bytes) -> str | None:
    """Decode a header or a part of one: UTF-8 without control characters."""
    if len(value) > HEADER_BYTES:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _authorization(text: str) -> Credential:
    scheme, _, value = text.partition(" ")
    value = value.strip(" ")
    if scheme.lower() in ("bearer", "token"):
        return opaque(value)
    return _basic(value) if scheme.lower() == "basic" else MALFORMED


def _basic(value: str) -> Credential:
    """Read Basic (RFC 7617): a token under one of two conventions, or a user name and password."""
    if not BASE64.fullmatch(value):
        return MALFORMED
    text = _text(binascii.a2b_base64(value))
    username, colon, password = (text or "").partition(":")
    if not (colon and username and password):
        return MALFORMED
    if password == MARKER:
        return opaque(username)
    if username == "__token__":
        return opaque(password)
    return Credential("password", password, username)


_READERS = {b"x-auth": opaque, b"x-api-key": opaque, b"authorization": _authorization}
#: the names of the headers that may hold a credential
HEADERS = frozenset(_READERS) | {b"cookie"}

#: members of forms, bodies and addresses that are secret
_NAMED = (
    r"(?:new_|old_)?password|(?:access_|refresh_|id_)?token|api_key|code_verifier|(?:device|user)_code"
    r"|ticket|client_secret|client_assertion|assertion|(?:totp_)?secret|bind_password"
)
_MASKS = [
    (r"(/t/)[^/\s\"'?#]+", r"\1<TOKEN>"),
    (r"(?i)(\b(?:proxy-)?authorization[\"']?\s*[:=,]\s*b?[\"']?)[^\r\n\"'}]+", r"\1<SECRET>"),
    (r"(?i)(\b(?:set-)?cookie[\"']?\s*[:=,]\s*b?[\"']?)[^\r\n\"'}]+", r"\1<SECRET>"),
    (r"(?i)(\bx-(?:auth|api-key)[\"']?\s*[:=,]\s*b?[\"']?)[^\s\"',}]+", r"\1<SECRET>"),
    (r"(://)[^/\s@\"']+@", r"\1<SECRET>@"),
    # a bare `code` is one of ours, of errors; in an address it is what a provider gave
    (rf"(?i)((?<![\w-])(?:{_NAMED})=|[?&]code=)(?![\"'])[^&\s\"'#]+", r"\1<SECRET>"),
    (rf"(?i)((?<![\w-])(?:{_NAMED})[\"']?\s*[:=]\s*b?[\"'])[^\"']+", r"\1<SECRET>"),
    (r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", "<SESSION>"),
    (r"(?:ph-)?(?<![0-9A-Fa-f])[0-9A-Fa-f]{48}(?![0-9A-Fa-f])", "<TOKEN>"),  # no hash of ours has 48 digits
]
_PATTERNS = [(re.compile(pattern), replacement) for pattern, replacement in _MASKS]


def mask(text: str) -> str:
    """Return `text` for a log line or an error: credentials in addresses and headers, and tokens anywhere, masked."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
