"""Logging in with a password and, where one is set up, a second factor; and setting that up and taking it away.

Whoever has shown only the password of such an account gets nothing but a ticket: sealed, for five minutes, and of no
use once the password changes.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

import msgspec

from packhouse.catalog.accounts import store, totp
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.accounts.totp import Enrolment
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import SECOND
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.people import accounts
from packhouse.workflows.services import Services

_log = get_logger("packhouse.signin")
TICKET_SECONDS = 300
#: how somebody showed who they are (RFC 8176)
ONE_FACTOR, TWO_FACTORS = ("pwd",), ("pwd", "otp")
_ABOUT = "password shown"


class _Ticket(msgspec.Struct, frozen=True, array_like=True):
    account_id: int
    sessions: int  #: of the account, which grows with each new password
    until: int


async def log_in(
    services: Services, authenticator: Authenticator, username: str, password: str, code: str | None, address: str
) -> tuple[Account, tuple[str, ...]]:
    """Return whose password and code these are, and how they showed it (RFC 8176).

    Raises PackhouseError: `second_factor_needed` when only the code is missing, `unauthenticated`, `too_many_attempts`.
    """
    account = await authenticator.check_password(username, password, address)
    if account.totp_since is None:
        return account, ONE_FACTOR
    if not code:
        raise PackhouseError(
            "second_factor_needed",
            "The account asks for a second factor.",
            "Send the code of the authenticator application, or a recovery code, as `code`.",
        )
    await check_code(services, authenticator, account, code, address)
    return account, TWO_FACTORS


async def check_code(
    services: Services, authenticator: Authenticator, account: Account, code: str, address: str
) -> None:
    """Use a code of the account's second factor, or one of its recovery codes.

    Raises PackhouseError: `unauthenticated`, `too_many_attempts`.
    """
    keys = authenticator.keys

    async def work(unit: Unit) -> bool:
        if await totp.use_code(unit, services.sealer, account, code):
            return True
        left = await totp.use_recovery_code(unit, keys, account, code)
        if left is not None:
            await _tell(unit, "user_recovery_code_used", account.username, account, {"left": left})
        return left is not None

    charge = await authenticator.throttle.admit(account.username, address, "code")
    if not await services.db.write(work):
        _log.warning("code refused", account=account.username, address=address)
        raise PackhouseError(
            "unauthenticated",
            "The code is wrong, too old, or was used before.",
            "Wait for the next code, look at the clock of the telephone, or use a recovery code.",
        )
    await authenticator.throttle.succeeded(charge, account.id)


async def ticket(services: Services, account: Account) -> str:
    """Return what shows for a while that somebody knows the password of an account."""
    until = await services.db.now() + TICKET_SECONDS * SECOND
    data = msgspec.json.encode(_Ticket(account.id, account.sessions, until))
    return urlsafe_b64encode(services.sealer.seal(data, _ABOUT)).decode()


async def redeem(services: Services, text: str) -> Account:
    """Return whose password the ticket stands for. Raises PackhouseError("unauthenticated")."""
    try:
        data = services.sealer.open(urlsafe_b64decode(text.encode()), _ABOUT)
    except (PackhouseError, Error, ValueError):
        raise _start_again() from None
    shown = msgspec.json.decode(data, type=_Ticket)
    account = await store.by_id(services.db, shown.account_id)
    if account is None or account.disabled_at is not None or account.totp_since is None:
        raise _start_again()
    if account.sessions != shown.sessions or shown.until <= await services.db.now():
        raise _start_again()
    return account


async def enrol(services: Services, caller: Principal, account: Account) -> Enrolment:
    """Give an account a seed, which is asked for once a code of it was shown. Its password was checked.

    Raises PackhouseError: `conflict` when a second factor is asked for already, `forbidden` for tokens and keys.
    """
    await _require_person(services.db, caller)
    made = totp.new_enrolment(account.username)

    async def work(unit: Unit) -> None:
        await require_standing(unit, caller)
        if not await totp.keep_seed(unit, services.sealer, account.id, made.secret):
            raise PackhouseError(
                "conflict", "The account has a second factor.", "Turn that off before you set up another one."
            )

    await services.db.write(work)
    return made


async def confirm(
    services: Services, authenticator: Authenticator, caller: Principal, code: str, address: str
) -> list[str]:
    """Ask for the second factor from now on, and return the recovery codes; other logins of the account end.

    Raises PackhouseError: `conflict` for a code that does not show that the caller has the seed, or when there is none
    to confirm; `forbidden` for tokens and keys, `too_many_attempts`.
    """
    await _require_person(services.db, caller)
    keys = authenticator.keys
    charge = await authenticator.throttle.admit(caller.username, address, "code")
    codes, account = await services.db.write(lambda unit: _confirmed(unit, services, keys, caller, code))
    await authenticator.throttle.succeeded(charge, account.id)
    return codes


async def _confirmed(
    unit: Unit, services: Services, keys: Keys, caller: Principal, code: str
) -> tuple[list[str], Account]:
    await require_standing(unit, caller)
    account = await store.found(unit, caller.username)
    codes = None
    if account.totp_since is None:
        codes = await totp.turn_on(unit, services.sealer, keys, account.id, code)
    if codes is None:
        raise PackhouseError(
            "conflict",
            "The code does not belong to a second factor that waits to be confirmed.",
            "Send the code that is shown now, or set the second factor up anew.",
        )
    shown = await logins.by_uuid(unit, caller.login_id) if caller.login_id else None
    await logins.end_all(unit, account.id, but=shown.id if shown else None)
    await _tell(unit, "user_second_factor_added", caller.username, account, {})
    return codes, account


async def turn_off(db: Database, caller: Principal, account: Account) -> None:
    """Ask the caller for no second factor any more. Their password was checked. Raises PackhouseError("forbidden")."""
    await _require_person(db, caller)

    async def work(unit: Unit) -> None:
        await require_standing(unit, caller)
        await accounts.drop_second_factor(unit, await store.found(unit, account.username), caller.username)

    await db.write(work)


async def _require_person(db: Database, caller: Principal) -> None:
    if not await logins.is_person(db, caller):
        raise PackhouseError(
            "forbidden",
            "A token or an API key does not change the second factor of its account.",
            "Log in with a password or in the browser.",
        )


def _start_again() -> PackhouseError:
    return PackhouseError("unauthenticated", "The sign-in took too long, or began elsewhere.", "Sign in again.")


async def _tell(unit: Unit, type_: str, actor: str, account: Account, data: dict[str, int]) -> None:
    await record_event(unit, type=type_, actor=actor, object=f"user {account.username}", data=data)
    await note(unit, "account", name=account.username)
