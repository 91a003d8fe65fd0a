"""The OpenID providers of one process: what happens here when one vouches for somebody, or no longer does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from packhouse.catalog.accounts.account import NAME_LENGTH, Account
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.identities import federated
from packhouse.catalog.identities.federated import Federated, Upstream
from packhouse.catalog.identities.store import ensure
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.logins import Voucher
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.workflows.services import Services
from packhouse.workflows.signin.arriving import Arrival, arrive
from packhouse.workflows.signin.identity import OidcProvider
from packhouse.workflows.signin.oidc.claims import arrival
from packhouse.workflows.signin.oidc.client import Client
from packhouse.workflows.signin.oidc.flow import Word, failed, refreshed, told
from packhouse.workflows.signin.oidc.verifying import Untrusted, verify_logout_token
from packhouse.workflows.signin.turning_away import turn_away

_log = get_logger("packhouse.signin")
#: refusals that say nothing of the person
_PASSING = frozenset({"upstream_failed", "try_later", "internal"})


class Federation:
    """The OpenID providers of the identity file."""

    def __init__(self, services: Services) -> None:
        self.services = services
        found = [one for one in services.providers if isinstance(one, OidcProvider)]
        self.clients = {one.name: Client(one, services.settings) for one in found}
        self._numbers: dict[str, int] = {}
        self._warned: set[str] = set()

    @property
    def providers(self) -> list[OidcProvider]:
        """The providers, in the order of the file."""
        return [client.provider for client in self.clients.values()]

    def client(self, name: str) -> Client:
        """Return the client of a provider. Raises PackhouseError("not_found")."""
        if name not in self.clients:
            raise PackhouseError("not_found", "There is no such identity provider.", "The sign-in page shows them all.")
        return self.clients[name]

    async def number(self, name: str) -> int:
        """Return the number by which rows name a provider."""
        if name not in self._numbers:
            row = await self.services.db.write(partial(ensure, name=name, kind="oidc"))
            self._numbers[name] = row.id
        return self._numbers[name]

    async def welcome(self, client: Client, claims: Mapping[str, Any]) -> Account:
        """Return the account of somebody a provider vouches for, made at the first time; groups and roles follow.

        Raises PackhouseError: `forbidden` without a required group, which ends what they had, and as `arrive`.
        """
        provider = client.provider
        who = arrival(provider, await self.number(provider.name), claims)
        try:
            return await self._welcome(provider, who)
        except PackhouseError as refusal:
            if refusal.code not in _PASSING:
                name = who.username[:NAME_LENGTH]
                _log.warning("sign-in refused", provider=provider.name, account=name, why=str(refusal))
            raise

    async def _welcome(self, provider: OidcProvider, who: Arrival) -> Account:
        if not provider.admits(who.groups):
            await turn_away(self.services, who.provider_id, who.subject)
            raise PackhouseError(
                "forbidden",
                f"{provider.shown} knows you, but you are in none of the groups that may use this server.",
                "Ask whoever manages these groups.",
            )
        return await arrive(
            self.services,
            who,
            link_by_email=provider.link_by_email,
            mapping=provider.groups,
            admin_roles=provider.admin_roles,
        )

    async def voucher(self, client: Client, word: Word) -> Voucher:
        """Return what a login keeps of the word by which it begins."""
        number, sid = await self.number(client.provider.name), word.claims.get("sid")
        sealed = word.upstream.sealed(self.services.sealer)
        return Voucher(number, word.claims["sub"], sid if isinstance(sid, str) else None, sealed)

    async def recheck(self, keys: Keys) -> None:
        """Ask the providers about the logins that were not asked about for `recheck_seconds`.

        Whom a provider no longer vouches for, or who left the required groups, is signed out; others get the groups and
        roles they have now. A provider that does not answer changes nothing, and lets no other wait.
        """
        rounds = (self._recheck(keys, client) for client in self.clients.values())
        for outcome in await asyncio.gather(*rounds, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _recheck(self, keys: Keys, client: Client) -> None:
        db, name = self.services.db, client.provider.name
        pause = client.provider.recheck_seconds * SECOND
        for login in await federated.due(db, await self.number(name), await db.now(), pause):
            try:
                await self._ask_about(keys, client, login)
            except PackhouseError as refusal:
                _log.warning("could not ask about a login", provider=name, login=login.uuid, why=refusal.message)
                await self._asked(login)  # or those behind it would never have their turn
                if refusal.code == "upstream_failed":  # each of the others would wait for it, too
                    return

    async def _ask_about(self, keys: Keys, client: Client, login: Federated) -> None:
        upstream = Upstream.opened(self.services.sealer, login.upstream)
        if not upstream.refresh_token:
            self._warn_once(client.provider)
            await self._asked(login)
            return
        found = await refreshed(client, upstream)
        if found is None:
            await self._end([login], "the provider no longer vouches for it")
            return
        await self._renew(login, found.upstream)  # before anything else can fail
        claims = await told(self.services, keys, client, found)
        if claims["sub"] != login.subject:
            raise failed(client.provider, "a refresh told about somebody else")
        try:
            await self.welcome(client, claims)
        except PackhouseError as refusal:
            if refusal.code in _PASSING:
                _log.warning("could not take over what was said", login=login.uuid, why=refusal.message)
            else:
                await self._end([login], refusal.code)

    def _warn_once(self, provider: OidcProvider) -> None:
        """Say that a provider cannot be asked about whom it sent: `recheck_seconds` promises otherwise."""
        if provider.name not in self._warned:
            self._warned.add(provider.name)
            _log.warning(
                "gave no refresh token",
                provider=provider.name,
                hint="Add offline_access to its scopes, if it knows that.",
            )

    async def _asked(self, login: Federated) -> None:
        await self.services.db.write(partial(federated.asked, login_id=login.id))

    async def _renew(self, login: Federated, upstream: Upstream) -> None:
        sealed = upstream.sealed(self.services.sealer)
        await self.services.db.write(partial(federated.renew, login_id=login.id, sealed=sealed))

    async def signed_out_there(self, client: Client, token: str) -> None:
        """End the logins a logout token names (OpenID Connect Back-Channel Logout 1.0 section 2.6).

        Raises PackhouseError("bad_request") for a token that is not believed.
        """
        provider, db = client.provider, self.services.db
        now = await db.now() // SECOND
        try:
            sid, subject = await client.with_keys(
                lambda shown: verify_logout_token(
                    token,
                    shown,
                    issuer=provider.issuer,
                    client_id=provider.client_id,
                    algorithms=provider.algorithms,
                    now=now,
                )
            )
        except Untrusted as reason:
            _log.warning("logout token refused", provider=provider.name, why=str(reason))
            raise PackhouseError("bad_request", "The logout token is not believed.", "The log says why.") from None
        found = await federated.named(db, await self.number(provider.name), sid, subject)
        await self._end(found, "signed out at the provider")

    async def _end(self, found: Sequence[Federated], why: str) -> None:
        async def work(unit: Unit) -> None:
            for login in found:
                if not await logins.end(unit, login.id):
                    continue
                about = {"login": login.uuid, "why": why}
                await record_event(
                    unit, type="user_signed_out", actor="system", object=f"user {login.username}", data=about
                )

        if found:
            await self.services.db.write(work)
