"""The second factor: a code that a telephone makes of a shared seed and the time (RFC 6238), or a recovery code.

The seed is sealed, recovery codes are kept as keyed hashes. Each code works once: the step of time it belongs to has
to be later than the last one that was used, which the statement that notes it looks at itself.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode

import msgspec
import segno
from pyotp import TOTP
from sqlalchemy import bindparam, delete, func, insert, select, update

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.people_tables import account
from packhouse.catalog.sign_in_tables import recovery_code
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.randomness import random_bytes
from packhouse.core.sealing import Sealer

ISSUER = "Packhouse"
SEED_BYTES = 20  # RFC 4226 section 4
STEP_SECONDS = 30
#: steps before and after the present one whose codes are taken, for clocks that are not exact (RFC 6238 section 5.2)
WINDOW = 1
RECOVERY_CODES = 10
RECOVERY_CHARACTERS = 10  # of 32: 50 bits
_CODE = re.compile(r"[0-9]{6}")
_BETWEEN = re.compile(r"[\s-]+")  #: what people and applications write between the characters of a code

_OF_ACCOUNT = account.c.id == bindparam("of_account")
_SEED = select(account.c.totp_secret).where(_OF_ACCOUNT)
_KEEP = (
    update(account)
    .where(_OF_ACCOUNT, account.c.totp_since.is_(None))
    .values(totp_secret=bindparam("sealed"), totp_step=0)
)
# The seed is compared, too: another one may have come since it was read.
_TURN_ON = (
    update(account)
    .where(_OF_ACCOUNT, account.c.totp_since.is_(None), account.c.totp_secret == bindparam("sealed"))
    .values(totp_since=bindparam("now"), totp_step=bindparam("step"), sessions=account.c.sessions + 1)
)
_USE = (
    update(account)
    .where(
        _OF_ACCOUNT,
        account.c.totp_since.is_not(None),
        account.c.totp_secret == bindparam("sealed"),
        account.c.totp_step < bindparam("step"),
    )
    .values(totp_step=bindparam("step"))
)
_OF_CODES = recovery_code.c.account_id == bindparam("of_account")
_SPEND = delete(recovery_code).where(_OF_CODES, recovery_code.c.hash == bindparam("spent"))
_FORGET = delete(recovery_code).where(_OF_CODES)
_ADD = insert(recovery_code).values(account_id=bindparam("of_account"), hash=bindparam("made"))
_LEFT = select(func.count()).select_from(recovery_code).where(_OF_CODES)


class Enrolment(msgspec.Struct, frozen=True):
    """A seed as its owner is shown it, this once."""

    secret: str  #: base32, to be typed in
    uri: str  #: otpauth://, as applications read it
    svg: str  #: the same as a QR code, a whole SVG document

    def __repr__(self) -> str:
        return "Enrolment(…)"


def new_enrolment(username: str) -> Enrolment:
    """Return a new random seed for an account."""
    secret = b32encode(random_bytes(SEED_BYTES)).decode()
    uri = TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)
    return Enrolment(secret, uri, segno.make(uri, micro=False).svg_inline(scale=4))


def step_of(secret: str, code: str, now: int) -> int | None:
    """Return the step of time whose code this is, if that is near `now` (microseconds); None: a wrong code."""
    plain = _BETWEEN.sub("", code)
    if not _CODE.fullmatch(plain):
        return None
    present, maker = now // (STEP_SECONDS * SECOND), TOTP(secret, interval=STEP_SECONDS)
    steps = range(max(present - WINDOW, 0), present + WINDOW + 1)
    fitting = [step for step in steps if hmac.compare_digest(maker.at(step * STEP_SECONDS), plain)]
    return fitting[-1] if fitting else None


async def keep_seed(unit: Unit, sealer: Sealer, account_id: int, secret: str) -> bool:
    """Keep a seed that is not asked for yet, in place of such a one; False: one that is asked for is there."""
    sealed = sealer.seal(secret.encode(), _about(account_id))
    return await unit.execute(_KEEP, of_account=account_id, sealed=sealed) == 1


async def turn_on(unit: Unit, sealer: Sealer, keys: Keys, account_id: int, code: str) -> list[str] | None:
    """Ask for the second factor from now on, if `code` shows that its owner has the seed; None: it does not.

    Return the recovery codes, which are shown this once.
    """
    found = await _seed_and_step(unit, sealer, account_id, code)
    if found is None:
        return None
    sealed, step = found
    if not await unit.execute(_TURN_ON, of_account=account_id, sealed=sealed, now=unit.now, step=step):
        return None
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    await unit.execute(_FORGET, of_account=account_id)
    rows = [{"of_account": account_id, "made": _hash(keys, account_id, one)} for one in codes]
    await unit.execute_many(_ADD, rows)
    return codes


async def use_code(unit: Unit, sealer: Sealer, holder: Account, code: str) -> bool:
    """Say whether this is a code of the account's seed that was not used yet, and use it."""
    found = await _seed_and_step(unit, sealer, holder.id, code)
    if found is None:
        return False
    sealed, step = found
    return await unit.execute(_USE, of_account=holder.id, sealed=sealed, step=step) == 1


async def use_recovery_code(unit: Unit, keys: Keys, holder: Account, code: str) -> int | None:
    """Use a recovery code and return how many are left; None: it is none of the account's."""
    if not await unit.execute(_SPEND, of_account=holder.id, spent=_hash(keys, holder.id, code)):
        return None
    return int(await unit.fetch_value(_LEFT, of_account=holder.id))


async def _seed_and_step(unit: Unit, sealer: Sealer, account_id: int, code: str) -> tuple[bytes, int] | None:
    sealed = await unit.fetch_value(_SEED, of_account=account_id)
    if sealed is None:
        return None
    step = step_of(sealer.open(bytes(sealed), _about(account_id)).decode(), code, unit.now)
    return None if step is None else (bytes(sealed), step)


def _recovery_code() -> str:
    text = b32encode(random_bytes(RECOVERY_CHARACTERS)).decode().lower()[:RECOVERY_CHARACTERS]
    return f"{text[:5]}-{text[5:]}"


def _hash(keys: Keys, account_id: int, code: str) -> bytes:
    return keys.hash_of("recovery", str(account_id), _BETWEEN.sub("", code).lower())


def _about(account_id: int) -> str:
    return f"totp {account_id}"
