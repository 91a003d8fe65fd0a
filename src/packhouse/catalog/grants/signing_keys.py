"""The keys that sign our JWTs (RS256, RFC 7518): made by the first login, followed by a new one every 90 days.

Each new key is published a day before it signs, so that whoever remembers the published set has it in time; the old one
verifies until the last JWT it signed has expired. The private halves are sealed: a dump of the database signs nothing.
Public halves are read anew for each check, which a process remembers as it does any other credential.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import RSAAlgorithm
from sqlalchemy import bindparam, delete, insert, select, update

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.sign_in_tables import signing_key
from packhouse.core import leases
from packhouse.core.clock import DAY
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import random_hex
from packhouse.core.sealing import Sealer

ALGORITHM = "RS256"
BITS = 2048
#: for how long a key signs, and how long before that it is published
SIGNS, NOTICE = 90 * DAY, DAY
#: the longest life of what a key signs; it verifies for as long after it has signed the last
LONGEST = 366 * DAY

_PUBLIC = select(signing_key.c.public).where(
    signing_key.c.kid == bindparam("kid"), signing_key.c.verifies_until > bindparam("now")
)
_PUBLISHED = (
    select(signing_key.c.public)
    .where(signing_key.c.verifies_until > bindparam("now"))
    .order_by(signing_key.c.signs_from, signing_key.c.kid)
)
# one that was retired early verifies no more, so that it must not sign either
_SIGNER = (
    select(signing_key.c.kid, signing_key.c.private, signing_key.c.signs_from, signing_key.c.verifies_until)
    .where(signing_key.c.signs_from <= bindparam("now"), signing_key.c.verifies_until > bindparam("now"))
    .order_by(signing_key.c.signs_from.desc(), signing_key.c.kid)
    .limit(1)
)
_NEWEST = (
    select(signing_key.c.signs_from)
    .where(signing_key.c.verifies_until > bindparam("now"))
    .order_by(signing_key.c.signs_from.desc())
    .limit(1)
)
_INSERT = insert(signing_key).values(
    {name: bindparam(name) for name in ("kid", "algorithm", "private", "public", "created_at", "signs_from",
                                        "verifies_until")}
)  # fmt: skip
_RETIRE = (
    update(signing_key)
    .where(signing_key.c.verifies_until > bindparam("at"))
    .values(verifies_until=bindparam("at"))
    .returning(signing_key.c.kid)
)
_OLD = select(signing_key.c.kid).where(signing_key.c.verifies_until < bindparam("before")).limit(bindparam("limit"))
_FORGET = delete(signing_key).where(signing_key.c.kid.in_(_OLD))


class SigningKey(msgspec.Struct, frozen=True):
    """A key that signs now; times in microseconds since the epoch."""

    kid: str
    private: RSAPrivateKey
    verifies_until: int  #: nothing it signs may live longer

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"


async def signer(db: Database, sealer: Sealer) -> SigningKey:
    """Return the key that signs now, making it if there is none. Raises what `Sealer.open` raises."""
    row = await db.fetch_one(_SIGNER, now=await db.now())
    if row is None:
        await _add(db, sealer)
        row = await db.fetch_one(_SIGNER, now=await db.now())
    if row is None:  # retired by somebody in this very moment
        raise PackhouseError("try_later", "The signing keys are being exchanged.", "Try again.")
    kid, sealed, _, verifies_until = row
    private = load_der_private_key(sealer.open(bytes(sealed), _about(kid)), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(private, RSAPrivateKey)
    return SigningKey(kid, private, verifies_until)


async def verifier(reader: Reader, kid: str, now: int) -> RSAPublicKey | None:
    """Return the public half of the key `kid` if what it signed counts at `now` (microseconds)."""
    public = await reader.fetch_value(_PUBLIC, kid=kid, now=now)
    key = RSAAlgorithm.from_jwk(public) if public else None
    return key if isinstance(key, RSAPublicKey) else None


async def jwks(db: Database) -> dict[str, Any]:
    """Return what is published (a JWK set, RFC 7517): keys that sign, will sign soon, or have signed."""
    rows = await db.fetch_all(_PUBLISHED, now=await db.now())
    return {"keys": [json.loads(public) for (public,) in rows]}


async def rotate(db: Database, sealer: Sealer) -> None:
    """Publish the next key when the present one has signed for long enough; called every hour by some worker.

    An installation where nobody ever logged in has none and needs none.
    """
    newest = await db.fetch_value(_NEWEST, now=(now := await db.now()))
    if newest is not None and newest + SIGNS - NOTICE <= now:
        await _add(db, sealer)


async def retire_all(unit: Unit, actor: str) -> list[str]:
    """Let no key verify any more, and so end all that was signed, in every process; return the kids.

    For the day on which the keys may be in wrong hands; the next login makes a new one.
    """
    kids: list[str] = [kid for (kid,) in await unit.fetch_all(_RETIRE, at=unit.now)]
    if kids:
        await record_event(unit, type="signing_keys_retired", actor=actor, object="keys", data={"kids": kids})
        await note(unit, "people")  # whatever processes remember of credentials goes
    return kids


async def forget_old(unit: Unit, before: int, limit: int = 2000) -> int:
    """Drop at most `limit` keys that have verified nothing since `before`; return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


async def _add(db: Database, sealer: Sealer) -> None:
    """Make a key: the first signs at once, others after `NOTICE`."""
    kid = random_hex(16)
    private = await asyncio.to_thread(generate_private_key, 65537, BITS)
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    jwk = {"kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": kid, "n": public["n"], "e": public["e"]}
    await db.write(partial(_keep, kid=kid, private=sealer.seal(der, _about(kid)), public=json.dumps(jwk)))


async def _keep(unit: Unit, kid: str, private: bytes, public: str) -> None:
    """Keep a new key unless another process was faster."""
    await leases.acquire(unit, "signing keys", kid, 0)  # over at once, but units that take it come in turn
    now = unit.now
    newest = await unit.fetch_value(_NEWEST, now=now)
    if newest is not None and newest + SIGNS - NOTICE > now:
        return
    signs_from = now if newest is None else now + NOTICE
    await unit.execute(
        _INSERT,
        kid=kid,
        algorithm=ALGORITHM,
        private=private,
        public=public,
        created_at=now,
        signs_from=signs_from,
        # it signs until its follower does, which is made late where no worker ran
        verifies_until=signs_from + SIGNS + NOTICE + LONGEST,
    )
    await record_event(unit, type="signing_key_created", actor="system", object="keys", data={"kid": kid})


def _about(kid: str) -> str:
    return f"signing key {kid}"
