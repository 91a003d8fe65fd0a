"""API keys: the JWT a command line keeps, for as long as the settings say."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.accounts import logins, store
from packhouse.catalog.accounts.keys import load_keys
from packhouse.catalog.accounts.logins import Login
from packhouse.catalog.accounts.principal import Principal
from packhouse.catalog.grants import codes
from packhouse.catalog.grants.issuing import key_of
from packhouse.catalog.grants.signing_keys import signer
from packhouse.core.clock import DAY
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.services import Services
from packhouse.workflows.signin.second import ONE_FACTOR


async def make(services: Services, who: Principal, client: str) -> tuple[str, Login]:
    """Return a new API key (JWT) of the caller and the login it names; `client` is what the person sees in lists.

    Only somebody who has logged in gets one: a token or another key would outlive itself by it, and one that is limited
    would lose its limits. Raises PackhouseError: `forbidden` then, `unauthenticated` for an account that is gone.
    """
    if who.known and not await logins.is_person(services.db, who):
        raise PackhouseError(
            "forbidden",
            "A token or an API key makes no further key.",
            "Log in with a password or in the browser, for example with `anaconda login`.",
        )
    account = await store.by_id(services.db, who.account_id or 0)
    if account is None or account.disabled_at is not None:
        raise PackhouseError("unauthenticated", "The account is gone.", "Log in again.")
    if who.sessions is not None:  # by the password that was shown, not by one that has come since
        account = msgspec.structs.replace(account, sessions=who.sessions)
    lifetime = services.settings.api_key_days * DAY
    keys, key = await load_keys(services.db, services.sealer), await signer(services.db, services.sealer)
    shown: dict[str, Any] = {} if who.login_id is not None else {"by": "api", "amr": ONE_FACTOR}  # a password

    async def work(unit: Unit) -> tuple[str, Login] | None:
        value, made = await key_of(unit, key, keys, account, "key", client=client, lifetime=lifetime, **shown)
        if who.login_id is not None:
            # first this, which waits for whoever shows the code again that it came of
            await codes.also_gave(unit, who.login_id, made.uuid)
            if await logins.by_uuid(unit, who.login_id) is None:
                await logins.end(unit, made.id)
                return None
        return value, made

    given = await services.db.write(work)
    if given is None:
        raise PackhouseError("unauthenticated", "The login has ended.", "Log in again.")
    return given
