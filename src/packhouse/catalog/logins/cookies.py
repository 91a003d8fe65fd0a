"""What a browser's cookie stands for: a login, while it is used now and then and its account may be used."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.logins import Login
from packhouse.core.clock import SECOND
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError

#: a browser that shows nothing for so long has to sign in again, in microseconds
IDLE = 12 * 3600 * SECOND
#: how exactly the last use is known
_NOTICE = 300 * SECOND


async def bearer(db: Database, keys: Keys, value: str, now: int) -> tuple[Account, Login, int] | None:
    """Return the account and login of a cookie, and until when (microseconds) it works unless it is used again.

    None: it was never given out, was ended, is too old or unused for too long, or its account is gone or disabled.
    """
    login = await logins.by_secret(db, keys, value)
    if login is None or login.kind != "browser":
        return None
    ends = min(login.expires_at, login.seen_at + IDLE)
    account = await store.by_id(db, login.account_id) if now < ends else None
    if account is None or account.disabled_at is not None:
        return None
    if now - login.seen_at > _NOTICE:
        with suppress(PackhouseError):  # a database that takes no writes keeps nobody from reading
            await db.write(partial(logins.use, login_id=login.id))
    return account, login, ends
