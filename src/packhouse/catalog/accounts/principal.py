"""Who is asking: the outcome of checking a credential, and all that a permission needs to know about the caller."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["everyone", "author", "admin"]


class Principal(msgspec.Struct, frozen=True):
    """A caller. `everyone` is whoever shows no credential; the others have an account."""

    account_id: int | None
    username: str
    role: Role
    scopes: frozenset[str] | None = None  #: what a token is limited to; None: everything its account may do
    token_id: str | None = None  #: the public id of the token shown, if it was one

    @property
    def known(self) -> bool:
        """Whether the caller has shown who they are."""
        return self.account_id is not None


ANONYMOUS = Principal(account_id=None, username="anonymous", role="everyone")
