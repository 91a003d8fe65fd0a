"""A browser's login: begun when somebody has shown who they are, ended when they sign out."""

from __future__ import annotations

from collections.abc import Sequence

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.logins import Voucher
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import SECOND
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.services import Services

HOUR = 3600 * SECOND
#: of what a browser says it is, as the person is shown it in the list of logins
CLIENT_CHARACTERS = 200


async def sign_in(
    services: Services,
    keys: Keys,
    account: Account,
    *,
    client: str,
    amr: Sequence[str],
    before: str | None = None,
    voucher: Voucher | None = None,
) -> str:
    """Begin a login and return the value of its cookie, which is new each time (no session can be fixed).

    `client` is the browser's user agent, `amr` how the person showed who they are (RFC 8176), `before` the uuid of the
    login the browser had, which ends; `voucher` is None for a password of ours. `account` is as it was when somebody
    showed who they are: raises PackhouseError("unauthenticated") when that counts for nothing any more.
    """

    async def work(unit: Unit) -> str:
        await require_standing(unit, account)
        if before is not None and (old := await logins.by_uuid(unit, before)) is not None:
            await logins.end(unit, old.id)
        made, value = await logins.begin(
            unit,
            keys,
            account.id,
            "browser",
            client=client[:CLIENT_CHARACTERS],
            lifetime=services.settings.login_hours * HOUR,
            voucher=voucher,
            amr=amr,
        )
        await logins.tell_of(unit, account, made, "page", amr)
        return value

    return await services.db.write(work)


async def sign_out(db: Database, who: Principal) -> None:
    """End the login that a caller shows; one who shows none, or an ended one, has nothing to end."""
    uuid = who.login_id
    if uuid is None:
        return

    async def work(unit: Unit) -> None:
        found = await logins.by_uuid(unit, uuid)
        if found is not None:
            await logins.end(unit, found.id)
            about = {"login": uuid}
            await record_event(
                unit, type="user_signed_out", actor=who.username, object=f"user {who.username}", data=about
            )

    await db.write(work)


async def end_one(db: Database, who: Principal, uuid: str) -> None:
    """End one of a caller's logins. Raises PackhouseError("not_found"), also for those of others."""

    async def work(unit: Unit) -> None:
        found = await logins.by_uuid(unit, uuid)
        if found is None or found.account_id != who.account_id:
            raise PackhouseError("not_found", "You have no such login.", "List your logins to find its id.")
        await logins.end(unit, found.id)
        about = {"login": uuid}
        await record_event(unit, type="user_signed_out", actor=who.username, object=f"user {who.username}", data=about)

    await db.write(work)


async def end_mine(db: Database, who: Principal) -> None:
    """End all of a caller's logins but the one that is shown."""

    async def work(unit: Unit) -> None:
        shown = await logins.by_uuid(unit, who.login_id) if who.login_id else None
        await end_others(unit, who.account_id or 0, who.username, who.username, shown.id if shown else None)

    await db.write(work)


async def end_others(unit: Unit, account_id: int, username: str, actor: str, but: int | None = None) -> None:
    """End the logins of an account, except the one with the id `but`; nothing is told of none."""
    if ended := await logins.end_all(unit, account_id, but):
        data = {"logins": ended}
        await record_event(unit, type="user_logins_ended", actor=actor, object=f"user {username}", data=data)
        await note(unit, "account", name=username)
