"""Lists of the people whom somebody may look after, narrowed by what they look for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, not_, or_, select

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.accounts.assigning import all_roles, owner_of
from packhouse.catalog.accounts.store import account_columns
from packhouse.catalog.people_tables import account, account_role, group_member, group_role, role
from packhouse.catalog.rights.giving import covers
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.sign_in_tables import provider
from packhouse.core.db import any_of
from packhouse.core.db.base import Reader

# An account's levels are the highest of its roles', so whoever holds each role's levels holds the account's. Who has
# one of the others is looked up once, from the roles: few have them, and an account may be in hundreds of groups.
_OTHERS = select(role.c.id).where(not_(any_of(role.c.id, "roles")))
_BEYOND = or_(
    account.c.id.in_(select(account_role.c.account_id).where(account_role.c.role_id.in_(_OTHERS))),
    account.c.id.in_(
        select(group_member.c.account_id)
        .join(group_role, group_role.c.group_id == group_member.c.group_id)
        .where(group_role.c.role_id.in_(_OTHERS))
    ),
)
_TEXT = account.c.username + " " + account.c.first_name + " " + account.c.last_name + " " + account.c.email
_VOUCHING: ColumnElement[str] = (
    select(provider.c.name).where(provider.c.id == account.c.provider_id).correlate(account).scalar_subquery()
)
_FILTERS: dict[str, ColumnElement[bool]] = {
    # SQLite knows the case of ASCII only, and most names begin with their one capital letter
    "part": or_(func.lower(_TEXT).like(bindparam("part"), escape="\\"), _TEXT.like(bindparam("capital"), escape="\\")),
    "disabled": account.c.disabled_at.is_not(None) == bindparam("disabled"),
    "role": account.c.id.in_(
        select(account_role.c.account_id)
        .join(role, role.c.id == account_role.c.role_id)
        .where(role.c.name == bindparam("role"))
    ),
    "provider": func.coalesce(_VOUCHING, "") == bindparam("provider"),
}
_PROVIDERS = select(provider.c.id, provider.c.name).where(any_of(provider.c.id, "ids"))


async def page_for(
    reader: Reader, caller: Principal, given: Mapping[str, Any], limit: int, offset: int
) -> tuple[list[Account], int]:
    """Return the people by name whom `caller` may look after, and how many there are: those that have no more.

    `given` narrows: `part` (of user name, first and last name, or mail address), `disabled`, `role` (one of their own),
    `provider` (who vouches for them; "": this installation).
    """
    person = owner_of(caller)
    known = [one.id for one in (await all_roles(reader)).values() if covers(person, one.levels, admin=one.admin)]
    rows, count = _statements(frozenset(given))
    values = {"roles": known, **given}
    if "part" in given:
        part = given["part"].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values |= {"part": f"%{part.lower()}%", "capital": f"%{part.title()}%"}
    found = await reader.fetch_all(rows, limit=limit, offset=offset, **values) if limit else []
    return [Account(*row) for row in found], int(await reader.fetch_value(count, **values))


async def providers_of(reader: Reader, accounts: Collection[Account]) -> dict[int, str]:
    """Return the names of the providers that vouch for some accounts, by their numbers."""
    ids = {one.provider_id for one in accounts if one.provider_id is not None}
    return dict(await reader.fetch_all(_PROVIDERS, ids=sorted(ids))) if ids else {}


@cache
def _statements(given: frozenset[str]) -> tuple[Select[Any], Select[Any]]:
    """Return the statements of a page and of the count."""
    which = (account.c.kind == "person", not_(_BEYOND), *(_FILTERS[name] for name in sorted(given)))
    rows = select(*account_columns()).where(*which).order_by(account.c.username)
    count = select(func.count()).select_from(account).where(*which)
    return rows.limit(bindparam("limit")).offset(bindparam("offset")), count
