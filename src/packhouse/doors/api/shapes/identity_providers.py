"""Identity providers on the wire. How they are reached is in a file and never here. Times are RFC 3339."""

from __future__ import annotations

import msgspec

from packhouse.catalog.identities.store import ProviderRow, Sync
from packhouse.core.clock import to_iso
from packhouse.workflows.signin.identity import LdapProvider, Provider


class SyncShape(msgspec.Struct, kw_only=True):
    """How the last synchronisation with a directory went."""

    state: str  #: never, ok, failed, or held: it would have shut out too many
    message: str  #: why it failed or is held
    found: int  #: people the directory has
    known: int  #: of them, how many have an account here
    changed: int  #: accounts that were changed
    disabled: int  #: of them, those that are gone or may not come in any more
    asked: bool  #: whether one was asked for that has not come to its end
    tried_at: str | None  #: when the last one began
    completed_at: str | None  #: when one last came to its end
    every_seconds: int


class ProviderShape(msgspec.Struct, kw_only=True):
    """Somebody who vouches for people."""

    name: str
    title: str
    kind: str  #: oidc, or ldap
    people: int  #: accounts here of people it vouches for
    sync: SyncShape | None  #: null: it is not synchronised with, but asked at each login


def provider_shape(provider: Provider, row: ProviderRow | None, people: int) -> ProviderShape:
    """Fill the shape of a provider; `row` is None before it was seen first."""
    directory = isinstance(provider, LdapProvider)
    sync = _sync(provider, row) if isinstance(provider, LdapProvider) else None
    kind = "ldap" if directory else "oidc"
    return ProviderShape(name=provider.name, title=provider.shown, kind=kind, people=people, sync=sync)


def _sync(provider: LdapProvider, row: ProviderRow | None) -> SyncShape:
    sync = row.sync if row else Sync()
    return SyncShape(
        state=sync.state or "never",
        message=sync.message,
        found=sync.found,
        known=sync.known,
        changed=sync.changed,
        disabled=sync.disabled,
        asked=bool(sync.asked_at),
        tried_at=to_iso(sync.tried_at or None),
        completed_at=to_iso(row.synced_at) if row else None,
        every_seconds=provider.sync_seconds,
    )
