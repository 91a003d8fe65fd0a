"""Refusals in the words of OAuth, which command lines read (RFC 6749 section 5.2, RFC 8628 section 3.5)."""

from __future__ import annotations


class OAuthError(Exception):
    """A refusal with one of the registered codes."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code, self.description = code, description
