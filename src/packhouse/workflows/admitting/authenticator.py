"""From a credential to a principal: checked against the database once, then remembered by its keyed hash.

What is remembered is dropped by the change rows `account` (its user name), `token` and `login` (their public ids) and
`people` (roles and groups: everything), and when it expires; a process that cannot follow the changes must not use it,
which is what `fresh` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import USERNAME, Account
from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.accounts.passwords import PasswordChecker
from packhouse.catalog.grants.signing_keys import verifier
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import cookies, logins, sessions
from packhouse.catalog.rights.principal import ANONYMOUS, Principal
from packhouse.catalog.tokens import store as token_store
from packhouse.catalog.tokens.token import decode_scopes
from packhouse.catalog.tokens.uses import Uses
from packhouse.core.clock import DAY, SECOND, monotonic
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.workflows.admitting.credential import Credential
from packhouse.workflows.admitting.proofs import NAMED, Proof, Proofs
from packhouse.workflows.admitting.throttle import Charge, Throttle

_log = get_logger(__name__)
#: the most a right answer is remembered, in seconds; a password, which pip sends with every request, the same
REMEMBER_SECONDS = 60.0
_NOTHING = b""
#: from a user name and a password to the account of whom they are; None: nobody's
Elsewhere = Callable[[str, str], Awaitable[Account | None]]


class Authenticator:
    """Checks the credentials that come to one process."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        fresh: Callable[[], bool] = lambda: True,
        doubt: Callable[[], None] = lambda: None,
        elsewhere: Elsewhere | None = None,
        trust: int = 30 * DAY,
    ) -> None:
        self._db = db
        self._keys = keys
        self._fresh, self._doubt = fresh, doubt  # of the list of changes
        self._elsewhere = elsewhere  # who knows passwords that are not kept here
        self._trust = trust  # how long the word of a provider counts, in microseconds
        self._known = Proofs()  # by the hash of what was shown; b"" by whoever shows nothing
        self._pending: dict[tuple[int, bytes], asyncio.Task[Account]] = {}
        self._epoch = 0
        self.throttle = Throttle(db, keys)
        self._passwords = PasswordChecker()
        self.uses = Uses(db)

    async def proof(self, credential: Credential | None, address: str = "") -> Proof:
        """Return who shows `credential`; nobody in particular shows None. `address` is the client's, for the throttle.

        Raises PackhouseError: `unauthenticated` for whatever is wrong with it, always in the same words;
        `too_many_attempts` after many wrong passwords.
        """
        key = self._keys.hash_of(credential.kind, credential.username, credential.value) if credential else _NOTHING
        known = self._known.get(key)
        if known is not None and self._fresh():
            return known
        return await self._check(credential, key, address)

    async def check_password(self, username: str, password: str, address: str) -> Account:
        """Return whose password it is; who logs in by it may have to show more, see `Account.totp_since`.

        Raises like `proof`.
        """
        return await self._password(username, password, address)

    @property
    def keys(self) -> Keys:
        """The keys under which what is given out here is kept."""
        return self._keys

    @property
    def evaluations(self) -> int:
        """How many passwords were really checked, for the metrics."""
        return self._passwords.evaluations

    def forget(self, kind: str, name: str) -> None:
        """Drop what a change row makes doubtful, given by its kind and the name it carries."""
        if kind == "people":
            self.clear()
        if kind not in NAMED:
            return
        self._epoch += 1
        self._doubt()
        self._known.forget(kind, name)

    def clear(self) -> None:
        """Drop everything that is remembered."""
        self._epoch += 1
        self._doubt()
        self._known.clear()

    async def _check(self, credential: Credential | None, key: bytes, address: str) -> Proof:
        epoch, started = self._epoch, monotonic()  # before the question: what is left of a credential is never too much
        now = await self._db.now()
        if credential is None:
            principal, seconds = await self._principal(None, ANONYMOUS.username), REMEMBER_SECONDS
        elif credential.kind == "token":
            principal, seconds = await self._token(credential.value, now)
            self.uses.saw(principal.token_id or "", now, address)
        elif credential.kind == "session":
            principal, seconds = await self._session(credential.value, now)
        elif credential.kind == "cookie":
            principal, seconds = await self._cookie(credential.value, now)
        elif credential.kind == "password":
            account = await self._shared(credential, key, address)
            if account.totp_since is not None:
                raise _code_needed()
            holder = await self._principal(account.id, account.username)
            principal, seconds = msgspec.structs.replace(holder, sessions=account.sessions), REMEMBER_SECONDS
        else:
            raise _refused()
        proof = Proof(principal, started + min(seconds, REMEMBER_SECONDS))
        if epoch == self._epoch:  # nothing was forgotten while the database was asked
            self._known.put(key, proof)
        return proof

    async def _token(self, value: str, now: int) -> tuple[Principal, float]:
        row = await token_store.bearer(self._db, self._keys.hash_of("token", value))
        if row is None:
            raise _refused()
        account_id, username, uuid, number, kind, scopes, expires_at, provider_id, confirmed_at = row
        left = min(_left(expires_at, now), self._trusted(provider_id, confirmed_at, now))
        resources = await token_store.grants(self._db, number) if kind == "resource" else None
        holder = await self._principal(account_id, username)
        shown = msgspec.structs.replace(holder, scopes=decode_scopes(scopes), token_id=uuid, resources=resources)
        return shown, left

    async def _session(self, value: str, now: int) -> tuple[Principal, float]:
        kid = sessions.kid_of(value)
        key = await verifier(self._db, kid, now) if kid else None
        session = sessions.read(value, key, now) if key else None
        login = await logins.by_uuid(self._db, session.login) if session else None
        account = await store.by_id(self._db, login.account_id) if login else None
        if session is None or login is None or account is None or account.disabled_at:
            raise _refused()
        holder = await self._principal(account.id, account.username)
        left = _left(min(session.expires_at, login.expires_at), now)
        left = min(left, self._trusted(account.provider_id, account.confirmed_at, now))
        return msgspec.structs.replace(holder, login_id=login.uuid), left

    async def _cookie(self, value: str, now: int) -> tuple[Principal, float]:
        found = await cookies.bearer(self._db, self._keys, value, now)
        if found is None:
            raise _refused()
        account, login, ends = found
        left = min(_left(ends, now), self._trusted(account.provider_id, account.confirmed_at, now))
        holder = await self._principal(account.id, account.username)
        return msgspec.structs.replace(holder, login_id=login.uuid), left

    def _trusted(self, provider_id: int | None, confirmed_at: int | None, now: int) -> float:
        """Return for how many seconds the word of an account's provider still counts."""
        if provider_id is None:
            return REMEMBER_SECONDS
        left = (confirmed_at or 0) + self._trust - now
        if left <= 0:
            raise PackhouseError(
                "unauthenticated",
                f"Whoever vouches for this account has not done so for {self._trust // DAY} days.",
                "Sign in through them again; what you hold works again then.",
            )
        return left / SECOND

    async def _principal(self, account_id: int | None, username: str) -> Principal:
        return (await holding_of(self._db, account_id)).principal(account_id, username)

    async def _shared(self, credential: Credential, key: bytes, address: str) -> Account:
        """Check a password once for all requests that bring it together: uv opens fifty connections at a time."""
        asked = (self._epoch, key)  # a check that began before a change says nothing to who comes after it
        task = self._pending.get(asked)
        if task is None:
            task = asyncio.create_task(self._password(credential.username, credential.value, address))
            self._pending[asked] = task
            task.add_done_callback(lambda _: self._pending.pop(asked, None))
        return await asyncio.shield(task)

    async def _password(self, username: str, password: str, address: str) -> Account:
        name = username.lower() if USERNAME.fullmatch(username.lower()) else ""
        charge = await self.throttle.admit(name, address)
        found = await store.with_password(self._db, name)
        account = found[0] if found else None
        if not await self._passwords.matches(found[1] if found else None, password):
            account = await self._asked_elsewhere(name, password, charge) if not found else None
        if account is None:
            await self._note_refusal(name, address)
            raise PackhouseError(
                "unauthenticated",
                "The user name or the password is wrong, or the account is disabled.",
                "Check both; an administrator can set a new password.",
            )
        # Where only the password is known nobody is at home: from there the code could be guessed without the buckets.
        await self.throttle.succeeded(charge, account.id, at_home=account.totp_since is None)
        return account

    async def _asked_elsewhere(self, name: str, password: str, charge: Charge) -> Account | None:
        try:
            return await self._elsewhere(name, password) if self._elsewhere else None
        except PackhouseError as error:
            if error.code == "directory_failed":  # while it is away its people would be locked out for later
                await self.throttle.undecided(charge)
            raise

    async def _note_refusal(self, name: str, address: str) -> None:
        """Tell administrators why a guess failed. A name that nobody has is left out: it may be a mistyped password."""
        account = await store.by_name(self._db, name)
        if account is None:
            why = "there is no such account"
        elif account.disabled_at is not None:
            why = "the account is disabled"
        else:
            why = "the password is wrong" if account.provider_id is None else "its provider does not let it in"
        _log.warning("password refused", account=account.username if account else None, address=address, why=why)


def _left(expires_at: int | None, now: int) -> float:
    if expires_at is None:
        return REMEMBER_SECONDS
    if expires_at <= now:
        raise _refused()
    return (expires_at - now) / SECOND


def _code_needed() -> PackhouseError:
    return PackhouseError(
        "second_factor_needed",
        "The account asks for a second factor, which cannot be sent along with a password here.",
        "Use a token instead: log in to make one, then send it in place of the password.",
    )


def _refused() -> PackhouseError:
    return PackhouseError("unauthenticated", "The credential is not valid.", "Log in again, or send another token.")
