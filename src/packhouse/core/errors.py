"""The one error type the world sees, and the table of its codes.

An error says what happened, why, and what to do next. Doors turn it into
`application/problem+json`; commands print the same three sentences. The table below is the source of the
generated reference page, so that a code cannot exist without a line of documentation.
"""

from __future__ import annotations

from typing import Any

#: code -> (HTTP status, one line for the reference page, which clients put before the message: without a full stop)
CODES: dict[str, tuple[int, str]] = {
    "account_taken": (409, "Another account has the name under which a provider knows somebody"),
    "bad_request": (400, "The request cannot be understood: a missing, unknown or ill-formed part"),
    "channel_frozen": (409, "The channel is frozen: its published index is pinned and only mirror runs may add to it"),
    "client_not_identified": (403, "The client did not send the tokens that this server asks clients for"),
    "conflict": (409, "The request contradicts the present state of the object"),
    "cross_site": (403, "The request was sent by a page of another site, or nothing shows that it was not"),
    "delivery_failed": (502, "A mail server or the receiver of a webhook refused what was sent to it"),
    "different_content": (409, "The coordinate already names other bytes, and a coordinate has one content for ever"),
    "directory_failed": (502, "A directory that vouches for people (LDAP) did not answer, or not usably"),
    "forbidden": (403, "The caller is known, and this is not allowed: by their rights, or by the settings"),
    "hidden": (403, "The file is held back by judgement"),
    "internal": (500, "A fault of the server itself; the log has the details under the request id"),
    "login_failed": (401, "A sign-in through an identity provider did not succeed"),
    "malformed_package": (422, "The uploaded file is not a well-formed package"),
    "method_not_allowed": (405, "The address exists, but not for this HTTP method"),
    "name_reserved": (400, "The name is reserved for the server's own addresses"),
    "not_found": (404, "No such object, or none that the caller may see"),
    "second_factor_needed": (401, "The password is right, and the account asks for a code besides"),
    "storage_full": (507, "The disk or the object store is full; nothing was stored"),
    "too_large": (413, "The request is larger than the configured limit"),
    "too_many_attempts": (429, "Too many failed logins from this address or for this account; wait, then try again"),
    "try_later": (503, "A part the server needs is away for the moment; the request changed nothing"),
    "unauthenticated": (401, "A credential is needed, or the one sent is not valid"),
    "unsupported_type": (415, "The declared type of the upload is not one this server takes"),
    "upstream_failed": (502, "The upstream of a mirror answered wrongly or not at all; nothing was stored"),
}


class PackhouseError(Exception):
    """A refusal with a code of `CODES`, a message, and optional machine-readable details.

    `message` says what happened and why; `hint` says what to do next. Neither ever holds a secret.
    """

    def __init__(self, code: str, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = CODES[code][0]
        self.message = message
        self.hint = hint
        self.details = details
        #: seconds, sent as `Retry-After` when set
        self.retry_after: int | None = details.pop("retry_after", None)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process as a plain PackhouseError, whatever the class."""
        return _again, (self.code, self.message, self.hint, {**self.details, "retry_after": self.retry_after})

    def body(self) -> dict[str, Any]:
        """Return the JSON body: RFC 9457 members, and `error{code,message}` for old clients."""
        text = str(self)
        return {
            "type": f"urn:packhouse:error:{self.code}",
            "title": CODES[self.code][1],
            "status": self.status,
            "detail": text,
            "code": self.code,
            "message": text,
            "error": {"code": self.code, "message": text},
            **({"details": self.details} if self.details else {}),
        }


def _again(code: str, message: str, hint: str, details: dict[str, Any]) -> PackhouseError:
    return PackhouseError(code, message, hint, **details)
