"""Giving out a signed key: a row of `login` and the JWT that names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.grants.signing_keys import SigningKey, signer
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import logins, sessions
from packhouse.catalog.logins.logins import Kind, Login, Way
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.people_tables import account as account_table
from packhouse.core.clock import SECOND
from packhouse.core.db import Database, Unit
from packhouse.core.sealing import Sealer

_UUID = select(account_table.c.uuid).where(account_table.c.id == bindparam("account_id"))


async def give_key(
    db: Database,
    sealer: Sealer,
    keys: Keys,
    account: Account,
    kind: Kind,
    *,
    client: str,
    lifetime: int,
    amr: Sequence[str] = (),
    by: Way | None = None,
) -> tuple[str, Login]:
    """Return a JWT for `account` and the login it names; `lifetime` in microseconds, `client` is what the person sees.

    `by` says how somebody signs in by it, None that they had signed in before. Ending that login stops the JWT in every
    process. Raises what `signer` and `key_of` raise.
    """
    key = await signer(db, sealer)

    async def work(unit: Unit) -> tuple[str, Login]:
        return await key_of(unit, key, keys, account, kind, client=client, lifetime=lifetime, amr=amr, by=by)

    return await db.write(work)


async def key_of(
    unit: Unit,
    key: SigningKey,
    keys: Keys,
    account: Account,
    kind: Kind,
    *,
    client: str,
    lifetime: int,
    amr: Sequence[str] = (),
    by: Way | None = None,
) -> tuple[str, Login]:
    """Do the same as part of a unit that does more.

    `account` is as it was when what was shown of it was checked: raises PackhouseError("unauthenticated") when that
    counts for nothing any more.
    """
    await require_standing(unit, account)
    lifetime = min(lifetime, key.verifies_until - unit.now)
    login, _ = await logins.begin(unit, keys, account.id, kind, client=client[:200], lifetime=lifetime, amr=amr)
    if by is not None:
        await logins.tell_of(unit, account, login, by, amr)
    if kind == "key":
        await record_event(
            unit,
            type="user_api_key_created",
            actor=account.username,
            object=f"login {login.uuid}",
            data={"client": login.client},
        )
    claims: dict[str, Any] = {
        "iss": sessions.ISSUER,
        "sub": await unit.fetch_value(_UUID, account_id=account.id),
        "preferred_username": account.username,
        "realm_access": {"roles": [account.role]},
        "iat": login.created_at // SECOND,
        "exp": login.expires_at // SECOND,
        "jti": login.uuid,
        "sid": login.uuid,
    }
    return sessions.sign(claims, key.kid, key.private), login
