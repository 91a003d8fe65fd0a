"""Which channels their owners would be shut out of, or the owners of another could come into: there should be none."""

from __future__ import annotations

from sqlalchemy import Select, and_, bindparam, case, func, not_, or_, select

from packhouse.catalog.accounts.store import CAN_LOG_IN
from packhouse.catalog.groups.group import OWNERS
from packhouse.catalog.people_tables import account, group_grant, group_member, user_group
from packhouse.catalog.rights.permissions import MANAGE
from packhouse.catalog.schema import channel
from packhouse.core.db.base import Reader

_NAME = func.replace(channel.c.path, "/", ".") + OWNERS
_LEVEL = (
    select(func.max(group_member.c.level))
    .where(group_member.c.group_id == user_group.c.id, group_member.c.account_id == channel.c.owner_id)
    .correlate(user_group, channel)
    .scalar_subquery()
)
#: what is amiss, the first of these that is
_WHAT = case(
    (or_(account.c.id.is_(None), not_(CAN_LOG_IN)), "owner"),
    (user_group.c.id.is_(None), "group"),
    (user_group.c.name != _NAME, "name"),
    (func.coalesce(_LEVEL, 0) < MANAGE, "member"),
    (func.coalesce(group_grant.c.level, 0) < MANAGE, "grant"),
    else_="",
)
_KEPT = (
    select(channel.c.id, channel.c.path, _WHAT.label("what"))
    .outerjoin(account, account.c.id == channel.c.owner_id)
    .outerjoin(user_group, user_group.c.channel_id == channel.c.id)
    .outerjoin(group_grant, and_(group_grant.c.channel_id == channel.c.id, group_grant.c.group_id == user_group.c.id))
    .where(channel.c.path.is_not(None))
    .subquery()
)
_ILL_KEPT: Select[tuple[int, str, str]] = (
    select(_KEPT.c.id, _KEPT.c.path, _KEPT.c.what)
    .where(_KEPT.c.what != "", _KEPT.c.id > bindparam("after"))
    .order_by(_KEPT.c.id)
    .limit(bindparam("limit"))
)


async def ill_kept(reader: Reader, after: int, limit: int) -> list[tuple[int, str, str]]:
    """Return (id, path, what) of channels above an id whose owners are not as they must be.

    `what`: the `owner` cannot log in, the `group` of the owners is not there, has another `name`, does not have the
    owner as a managing `member`, or no `grant` to manage the channel.
    """
    rows = await reader.fetch_all(_ILL_KEPT, after=after, limit=limit)
    return [(number, path, what) for number, path, what in rows]
