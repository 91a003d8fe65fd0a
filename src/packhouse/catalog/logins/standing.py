"""Whether who asks still stands: asked in the unit that gives rights, or writes what outlives what they show.

A process remembers who showed what and what they may do, and hears of a change a moment later. What it lets through in
that moment ends with the credential it came by, but for a new token, a password, an account, a role or a share: whoever
was shut out would be in again by those, for good.
"""

from __future__ import annotations

from sqlalchemy import bindparam, literal, or_, select

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.accounts.holding import Holding, holding_of
from packhouse.catalog.people_tables import account, token
from packhouse.catalog.rights.principal import Levels, Principal, Role
from packhouse.catalog.sign_in_tables import login
from packhouse.catalog.tokens import store as token_store
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError

# The rows are held: whoever changes the account or ends what was shown waits until the unit ends, and sees then what it
# has made. An account comes before what belongs to it, as where it is disabled.
_ALIVE = (account.c.id == bindparam("account_id"), account.c.disabled_at.is_(None))
_ACCOUNT = select(account.c.sessions, literal(0)).where(*_ALIVE).with_for_update(key_share=True)
_BY_LOGIN = (
    select(account.c.sessions, literal(0))
    .join(login, login.c.account_id == account.c.id)
    .where(
        *_ALIVE, login.c.uuid == bindparam("shown"), login.c.ended_at.is_(None), login.c.expires_at > bindparam("now")
    )
    .with_for_update(key_share=True)
)
_BY_TOKEN = (
    select(account.c.sessions, token.c.id)
    .join(token, token.c.account_id == account.c.id)
    .where(
        *_ALIVE,
        token.c.uuid == bindparam("shown"),
        token.c.revoked_at.is_(None),
        or_(token.c.expires_at.is_(None), token.c.expires_at > bindparam("now")),
    )
    .with_for_update(key_share=True)
)


async def require_standing(unit: Unit, who: Principal | Account) -> None:
    """Refuse whoever is let through by what is no longer so; the account, and what was shown of it, stay until the unit
    ends.

    An account stands for whoever has just shown its password, as it was then. A unit that changes a role or group holds
    it before, since the caller may have rights by it. Raises PackhouseError: `unauthenticated` when what was shown has
    ended, or the account is disabled, deleted or has another password or second factor; `forbidden` when it gives less
    than it did.
    """
    caller = who if isinstance(who, Principal) else Principal(who.id, who.username, "everyone", sessions=who.sessions)
    number = 0 if caller.account_id is None else await _hold(unit, caller)
    less = caller.levels is not None and _less(caller.role, caller.levels, await holding_of(unit, caller.account_id))
    if less or (caller.resources is not None and caller.resources != await token_store.grants(unit, number)):
        raise PackhouseError(
            "forbidden",
            "Your rights have become less meanwhile.",
            "What you may still do works when you send it again.",
        )


def ended() -> PackhouseError:
    """Return the refusal of whoever shows what has ended since it was looked at."""
    return PackhouseError(
        "unauthenticated", "What you showed has ended, or the account has changed, meanwhile.", "Sign in again."
    )


async def _hold(unit: Unit, caller: Principal) -> int:
    """Hold the rows of the caller; return the number of the token, 0 if none was shown."""
    shown = caller.token_id or caller.login_id
    statement = _BY_TOKEN if caller.token_id else _BY_LOGIN if caller.login_id else _ACCOUNT
    row = await unit.fetch_one(statement, account_id=caller.account_id, shown=shown, now=unit.now)
    if row is None or caller.sessions not in (None, row[0]):
        raise ended()
    return int(row[1])


def _less(role: Role, levels: Levels, now: Holding) -> bool:
    if now.role == "admin":
        return False
    return role == "admin" or any(was > level for was, level in zip(levels, now.levels, strict=True))
