"""The device flow (RFC 8628): what the command line asks, and what the person in the browser decides."""

from __future__ import annotations

from typing import NamedTuple

from packhouse.catalog.accounts import store
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.grants import devices
from packhouse.catalog.grants.devices import Grant
from packhouse.catalog.grants.issuing import key_of
from packhouse.catalog.grants.signing_keys import signer
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting.throttle import network
from packhouse.workflows.services import Services
from packhouse.workflows.signin.provider.clients import DEVICE_CLIENTS
from packhouse.workflows.signin.provider.refusals import OAuthError

#: the life of what a command line gets to ask for an API key with, in seconds
ACCESS_SECONDS = 300
#: so many may wait for a decision from one address
MOST_WAITING = 50
_REFUSALS = {
    "pending": ("authorization_pending", "Nobody has approved it yet."),
    "denied": ("access_denied", "It was denied."),
    "used": ("invalid_grant", "It was used already."),
}


class Asked(NamedTuple):
    """What a command line is told: both codes, as the person is to type the second."""

    device_code: str
    user_code: str


async def ask(services: Services, client_id: str, address: str) -> Asked:
    """Begin a grant. Raises OAuthError for an unknown client, PackhouseError("too_many_attempts")."""
    _known(client_id)
    keys, place = await load_keys(services.db, services.sealer), network(address)

    async def work(unit: Unit) -> Asked:
        if await devices.count_waiting(unit, place) >= MOST_WAITING:
            raise PackhouseError(
                "too_many_attempts",
                "Too many logins of command lines wait for an approval.",
                "Wait a few minutes, then try again.",
                retry_after=devices.LIFETIME,
            )
        return Asked(*await devices.ask(unit, keys, client_id, place))

    return await services.db.write(work)


async def take(services: Services, client_id: str, device_code: str, client: str) -> str:
    """Return an access token (a JWT of 5 minutes) for a grant that was approved, once; `client` is the user agent.

    Raises OAuthError for every other state, with the code the RFC has for it.
    """
    _known(client_id)
    keys, key = await load_keys(services.db, services.sealer), await signer(services.db, services.sealer)

    async def work(unit: Unit) -> str | OAuthError:  # a refusal is returned: what it notes has to be kept
        grant = await devices.by_device_code(unit, keys, device_code, client_id)
        if grant is None:
            return OAuthError("invalid_grant", "There is no such device code.")
        if grant.expires_at <= unit.now:
            return OAuthError("expired_token", "Nobody approved it in time.")
        if not await devices.asked(unit, grant):
            return OAuthError("slow_down", "Ask less often.")
        if grant.state != "approved" or not await devices.use(unit, grant.id):
            return OAuthError(*_REFUSALS.get(grant.state, _REFUSALS["used"]))
        account = await store.by_id(unit, grant.account_id or 0)
        if account is None or account.disabled_at is not None:
            return OAuthError("access_denied", "The account is disabled.")
        if not await devices.stands(unit, grant.id):
            return OAuthError("access_denied", "Who approved it has signed out since, or was signed out.")
        lifetime = ACCESS_SECONDS * SECOND
        token, _ = await key_of(unit, key, keys, account, "api", client=client, lifetime=lifetime, by="command_line")
        return token

    given = await services.db.write(work)
    if isinstance(given, OAuthError):
        raise given
    return given


async def waiting(services: Services, user_code: str) -> Grant:
    """Return the grant a person is to decide about. Raises PackhouseError("not_found")."""
    keys = await load_keys(services.db, services.sealer)
    found = await devices.by_user_code(services.db, keys, user_code, await services.db.now())
    if found is None:
        raise _nothing_waits()
    return found


async def decide(services: Services, who: Principal, user_code: str, approved: bool) -> None:
    """Approve or deny what waits under a code, as a person with a browser.

    Raises PackhouseError: `not_found` when nothing does, `unauthenticated` when the browser's login has ended.
    """
    keys = await load_keys(services.db, services.sealer)

    async def work(unit: Unit) -> None:
        await require_standing(unit, who)
        login = await logins.by_uuid(unit, who.login_id or "")
        if login is None or login.kind != "browser":
            raise PackhouseError("unauthenticated", "Nobody is signed in here.", "Sign in, then try again.")
        grant = await devices.by_user_code(unit, keys, user_code, unit.now)
        if grant is None or not await devices.decide(unit, grant.id, approved, login.account_id, login.id):
            raise _nothing_waits()
        await record_event(
            unit,
            type="command_line_approved" if approved else "command_line_denied",
            actor=who.username,
            object=f"user {who.username}",
            data={"client": grant.client_id, "address": grant.address},
        )

    await services.db.write(work)


def _known(client_id: str) -> None:
    if client_id not in DEVICE_CLIENTS:
        raise OAuthError("invalid_client", "This client is not known here.")


def _nothing_waits() -> PackhouseError:
    return PackhouseError(
        "not_found",
        "Nothing waits for an approval under this code: it is mistyped, decided, or older than ten minutes.",
        "Compare it with what the command line shows, or start the login there again.",
    )
