"""Whose account somebody may look after: nobody acts for those who can do what they themselves cannot.

Who is no administrator sees and changes only accounts whose roles give nothing that theirs do not. Whoever lets
somebody in decides about their channels too, and so must reach what they reach. Accounts for machines belong to
channels, not to whoever looks after people: here they are not there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, CompoundSelect, bindparam, func, literal, select, union_all

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.accounts.assigning import owner_of
from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.people_tables import channel_grant, group_grant, group_member
from packhouse.catalog.rights.giving import covers
from packhouse.catalog.rights.permissions import MANAGE
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.schema import channel
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


def _reached(who: BindParameter[int]) -> CompoundSelect[Any]:
    """Return channel and level of all that an account owns or was granted, itself or through a group."""
    through = group_member.join(group_grant, group_grant.c.group_id == group_member.c.group_id)
    return union_all(
        select(channel.c.id.label("channel_id"), literal(int(MANAGE)).label("level")).where(channel.c.owner_id == who),
        select(channel_grant.c.channel_id, channel_grant.c.level).where(channel_grant.c.user_id == who),
        select(group_grant.c.channel_id, group_grant.c.level)
        .select_from(through)
        .where(group_member.c.account_id == who),
    )


_THEIRS, _EACH = _reached(bindparam("account_id")).subquery(), _reached(bindparam("giver_id")).subquery()
_OWN = select(_EACH.c.channel_id, func.max(_EACH.c.level).label("level")).group_by(_EACH.c.channel_id).subquery()
_BEYOND = (
    select(literal(1))
    .select_from(
        _THEIRS.join(channel, channel.c.id == _THEIRS.c.channel_id).outerjoin(
            _OWN, _OWN.c.channel_id == _THEIRS.c.channel_id
        )
    )
    .where(channel.c.path.is_not(None), _THEIRS.c.level > func.coalesce(_OWN.c.level, 0))
    .limit(1)
)


async def looked_after(reader: Reader, caller: Principal, username: str, *, whole: bool = False) -> Account:
    """Return a person's account that `caller`, who may manage accounts, may look after.

    Another one costs the same questions as none. `whole`: what the caller shows must be able to do all that the account
    can, so that a limited token gives nothing; their own apart. Raises PackhouseError: `not_found`, `forbidden`.
    """
    found = await store.by_name(reader, username)
    held = await holding_of(reader, None if found is None else found.id)
    admin = held.role == "admin"
    if found is None or found.kind != "person" or not covers(owner_of(caller), held.levels, admin=admin):
        raise store.absent(username)
    if whole and found.id != caller.account_id and not covers(caller, held.levels, admin=admin):
        raise PackhouseError(
            "forbidden", f"{username} may do more than the token you show.", "Log in, or use a token without limits."
        )
    return found


async def require_reach(reader: Reader, caller: Principal, account: Account) -> None:
    """Refuse whoever is no administrator what concerns the channels of somebody who reaches farther than they.

    Raises PackhouseError("forbidden"), which names none of the channels.
    """
    if caller.role == "admin" or account.id == caller.account_id:
        return
    if await reader.fetch_value(_BEYOND, account_id=account.id, giver_id=caller.account_id or 0):
        raise PackhouseError(
            "forbidden",
            f"{account.username} owns a channel, or was granted a level on one, that you have not got.",
            "Ask an administrator: who decides how they log in decides about their channels. Disabling them is yours.",
        )
