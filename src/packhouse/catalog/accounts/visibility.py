"""Which channels a caller may see, as one SQL condition for lists; equal to `permit(…, "channel:view", …)`.

A store adds `VISIBLE` to its `where` and `**viewer(principal)` to its values. `GRANT` is the column that completes a
`Target` in a query that already reads the channel.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select

from packhouse.catalog.accounts.permissions import READ, Action, Decision, Target, in_scope, permit
from packhouse.catalog.accounts.principal import Principal
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.people_tables import channel_grant
from packhouse.catalog.schema import channel
from packhouse.core.db import any_of
from packhouse.core.db.base import Reader

_KIND: ColumnElement[Any] = case((channel.c.parent_id.is_(None), "channel"), else_="subchannel")
_GRANTED = select(channel_grant.c.channel_id).where(
    channel_grant.c.user_id == bindparam("viewer_id"), channel_grant.c.level >= int(READ)
)

#: of the table `channel`; takes the values of `viewer`
VISIBLE: ColumnElement[bool] = and_(
    channel.c.path.is_not(None),
    any_of(_KIND, "viewer_kinds"),
    or_(
        any_of(channel.c.privacy, "viewer_privacies"),
        channel.c.owner_id == bindparam("viewer_id"),
        channel.c.id.in_(_GRANTED),
    ),
)

#: the Level the viewer was granted on the channel of this row; takes the value `viewer_id`
GRANT: ColumnElement[int] = func.coalesce(
    select(channel_grant.c.level)
    .where(channel_grant.c.channel_id == channel.c.id, channel_grant.c.user_id == bindparam("viewer_id"))
    .correlate(channel)
    .scalar_subquery(),
    0,
)

_GRANT_ON = select(channel_grant.c.level).where(
    channel_grant.c.channel_id == bindparam("channel_id"), channel_grant.c.user_id == bindparam("viewer_id")
)

_PRIVACIES = ("public", "authenticated", "private")
_KINDS: dict[str, Action] = {"channel": "channel:view", "subchannel": "subchannel:view"}


def viewer(principal: Principal) -> dict[str, Any]:
    """Return the values `VISIBLE` takes: `viewer_id`, `viewer_kinds`, `viewer_privacies`."""
    person = msgspec.structs.replace(principal, scopes=None)
    open_to_role = [p for p in _PRIVACIES if permit(person, "channel:view", Target(p)) is Decision.ALLOWED]
    return {
        "viewer_id": principal.account_id or 0,  # no account has the id 0
        "viewer_kinds": [kind for kind, action in _KINDS.items() if in_scope(principal, action)],
        "viewer_privacies": open_to_role,
    }


async def target_of(reader: Reader, principal: Principal, on: Channel) -> Target:
    """Return the `Target` of a channel whose row is known; asks for the grant only where one could count."""
    grant = 0
    if principal.known and principal.role != "admin" and on.owner_id != principal.account_id:
        row = await reader.fetch_one(_GRANT_ON, channel_id=on.id, viewer_id=principal.account_id)
        grant = row[0] if row else 0
    return Target(privacy=on.privacy, owner_id=on.owner_id, grant=grant, subchannel=on.parent_id is not None)
