"""API keys: the JWT a command line keeps, for as long as the settings say."""

from __future__ import annotations

from typing import Any

from packhouse.catalog.accounts import store
from packhouse.catalog.grants import codes
from packhouse.catalog.grants.issuing import key_of
from packhouse.catalog.grants.signing_keys import signer
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.logins import Login
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import DAY
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.services import Services
from packhouse.workflows.signin.second import ONE_FACTOR


async def make(services: Services, who: Principal, client: str) -> tuple[str, Login]:
    """Return a new API key (JWT) of the caller and the login it names; `client` is what the person sees in lists.

    Only somebody who has logged in gets one: a token or another key would outlive itself by it, and one that is limited
    would lose its limits. Raises PackhouseError: `forbidden` then, `unauthenticated` for nobody in particular and for
    whoever does not stand any more.
    """
    if who.known and not await logins.is_person(services.db, who):
        raise PackhouseError(
            "forbidden",
            "A token or an API key makes no further key.",
            "Log in with a password or in the browser, for example with `anaconda login`.",
        )
    lifetime = services.settings.api_key_days * DAY
    keys, key = await load_keys(services.db, services.sealer), await signer(services.db, services.sealer)
    shown: dict[str, Any] = {} if who.login_id is not None else {"by": "api", "amr": ONE_FACTOR}  # a password

    async def work(unit: Unit) -> tuple[str, Login]:
        await require_standing(unit, who)
        account = await store.by_id(unit, who.account_id or 0)
        if account is None:
            raise PackhouseError("unauthenticated", "Keys belong to an account.", "Log in first.")
        value, made = await key_of(unit, key, keys, account, "key", client=client, lifetime=lifetime, **shown)
        await codes.also_gave(unit, who, made.uuid)
        return value, made

    return await services.db.write(work)
