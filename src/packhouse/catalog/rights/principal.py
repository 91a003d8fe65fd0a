"""Who is asking: the outcome of checking a credential, and all that a permission needs to know about the caller."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["everyone", "author", "admin"]
#: a level for each category, in the order of `permissions.CATEGORIES`
Levels = tuple[int, ...]


class Principal(msgspec.Struct, frozen=True, cache_hash=True):
    """A caller. `everyone` is whoever shows no credential; the others have an account."""

    account_id: int | None
    username: str
    role: Role  #: the highest of the three that every installation has; `admin` may do everything
    scopes: frozenset[str] | None = None  #: what a token is limited to; None: everything its account may do
    token_id: str | None = None  #: the public id of the token shown, if it was one
    login_id: str | None = None  #: the public id of the session shown, if it was one
    levels: Levels | None = None  #: what all its roles give it together; None: what `role` does by default
    everyone: Levels | None = None  #: what the role everyone gives; None: what it does by default
    sessions: int | None = None  #: `Account.sessions` when a password was shown; None: it was something else
    #: (channel id, level) of what a resource token is limited to, by id; None: it is none
    resources: tuple[tuple[int, int], ...] | None = None

    @property
    def known(self) -> bool:
        """Whether the caller has shown who they are."""
        return self.account_id is not None

    @property
    def stranger(self) -> Principal:
        """The same caller as if no credential had been shown."""
        return Principal(None, ANONYMOUS.username, "everyone", levels=self.everyone, everyone=self.everyone)


ANONYMOUS = Principal(account_id=None, username="anonymous", role="everyone")
