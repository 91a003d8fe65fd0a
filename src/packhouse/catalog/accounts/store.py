"""Queries of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Delete,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    null,
    or_,
    select,
    update,
)

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.people_tables import (
    account,
    account_role,
    channel_grant,
    group_member,
    token,
    token_grant,
)
from packhouse.catalog.roles.role import ADMIN, AUTHOR
from packhouse.catalog.schema import channel
from packhouse.catalog.sign_in_tables import (
    auth_code,
    device_grant,
    identity,
    known_place,
    login,
    recovery_code,
)
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid


def _holds(role_id: int) -> ColumnElement[bool]:
    held = select(account_role.c.role_id).where(
        account_role.c.account_id == account.c.id, account_role.c.role_id == role_id
    )
    return held.correlate(account).exists()


#: the highest builtin role of an account
ROLE: ColumnElement[Any] = case((_holds(ADMIN), "admin"), (_holds(AUTHOR), "author"), else_="everyone")
_VOUCHED_FOR = select(identity.c.subject).where(identity.c.account_id == account.c.id).correlate(account).exists()
#: whether anybody gets in as an account: by a password, by the word of a provider, or as a machine by its tokens
CAN_LOG_IN: ColumnElement[bool] = and_(
    account.c.disabled_at.is_(None),
    or_(account.c.password_hash.is_not(None), account.c.kind == "service", _VOUCHED_FOR),
)
_ACCOUNT = tuple(ROLE.label("role") if name == "role" else account.c[name] for name in Account.__struct_fields__)


def account_columns() -> tuple[Any, ...]:
    """Return the columns of `Account`, for queries of its siblings."""
    return _ACCOUNT


_BY_NAME = select(*_ACCOUNT).where(account.c.username == bindparam("username"))
_PASSWORD = select(account.c.password_hash, account.c.disabled_at, *_ACCOUNT).where(
    account.c.username == bindparam("username")
)
_BY_ID = select(*_ACCOUNT).where(account.c.id == bindparam("account_id"))
_ADMINS = select(account.c.id).where(_holds(ADMIN), CAN_LOG_IN).limit(2)
_ADMIN_SOURCES = select(account_role.c.source_id).where(
    account_role.c.account_id == bindparam("account_id"), account_role.c.role_id == ADMIN
)
#: changes nothing, but makes units that count administrators wait for each other
_LOCK_ADMINS = update(account_role).where(account_role.c.role_id == ADMIN).values(role_id=ADMIN)
_INSERT = """INSERT INTO account (uuid, username, kind, password_hash, provider_id, created_at)
 VALUES (:uuid, :username, :kind, :password_hash, :provider_id, :now)
 ON CONFLICT (username) DO NOTHING RETURNING id"""
#: what an edit of a profile may change
PROFILE = ("email", "email_verified", "first_name", "last_name", "default_channel_id")
_SET_DISABLED = (
    update(account)
    .where(account.c.id == bindparam("account_id"))
    .values(disabled_at=bindparam("at"), disabled_by=bindparam("actor"), sessions=account.c.sessions + 1)
)
_SET_PASSWORD = (
    update(account)
    .where(account.c.id == bindparam("account_id"))
    .values(password_hash=bindparam("hashed"), sessions=account.c.sessions + 1)
)
_HOLD = select(account.c.id).where(account.c.id == bindparam("account_id")).with_for_update(key_share=True)
_HOLD_NAMED = select(account.c.id).where(account.c.username == bindparam("username")).with_for_update(key_share=True)
_SET_LAST_LOGIN = update(account).where(account.c.id == bindparam("account_id")).values(last_login_at=bindparam("now"))
_BY_VERIFIED_EMAIL = (
    select(*_ACCOUNT)
    .where(
        func.lower(account.c.email) == bindparam("address"),
        account.c.email_verified.is_(True),
        account.c.provider_id.is_(None),
        account.c.kind == "person",
    )
    .limit(2)
)
_DROP_TOTP = (
    update(account)
    .where(account.c.id == bindparam("of_account"))
    .values(totp_secret=null(), totp_since=null(), totp_step=0)
)
_DROP_CODES = delete(recovery_code).where(recovery_code.c.account_id == bindparam("of_account"))
_OWNED = select(func.count()).where(channel.c.owner_id == bindparam("account_id"), channel.c.path.is_not(None))
_REMEMBER = """INSERT INTO former_account (account_id, username)
 SELECT id, username FROM account WHERE id = :account_id"""
_GONE: BindParameter[int] = bindparam("account_id")
_TOKENS_OF = select(token.c.id).where(token.c.account_id == _GONE)
_FORGET_HEIRS = update(channel).where(channel.c.heir_of == _GONE).values(heir_of=null())
#: what goes with an account, whatever refers to a row before that row
_DELETE: tuple[Delete | Update, ...] = (
    _FORGET_HEIRS,
    delete(channel_grant).where(channel_grant.c.user_id == _GONE),
    delete(token_grant).where(token_grant.c.token_id.in_(_TOKENS_OF)),
    delete(token).where(token.c.account_id == _GONE),
    update(token).where(token.c.created_by == _GONE).values(created_by=null()),
    *(
        delete(table).where(table.c.account_id == _GONE)
        for table in (
            account_role,
            group_member,
            identity,
            device_grant,
            auth_code,
            login,
            recovery_code,
            known_place,
        )
    ),
    delete(account).where(account.c.id == _GONE),
)


async def by_name(reader: Reader, username: str) -> Account | None:
    """Return the account of that name, disabled or not."""
    row = await reader.fetch_one(_BY_NAME, username=username)
    return Account(*row) if row else None


async def found(reader: Reader, username: str) -> Account:
    """Return the account of that name. Raises PackhouseError("not_found")."""
    one = await by_name(reader, username)
    if one is None:
        raise absent(username)
    return one


def absent(username: str) -> PackhouseError:
    """Return the refusal for an account that is not there, or that the caller may not know of."""
    return PackhouseError("not_found", f"There is no user {username[:80]!r}.", "List the users to find the name.")


async def by_id(reader: Reader, account_id: int) -> Account | None:
    """Return the account, disabled or not."""
    row = await reader.fetch_one(_BY_ID, account_id=account_id)
    return Account(*row) if row else None


async def with_password(reader: Reader, username: str) -> tuple[Account, str] | None:
    """Return the account and its password hash, if it may log in with a password."""
    row = await reader.fetch_one(_PASSWORD, username=username)
    if row is None or row[0] is None or row[1] is not None:
        return None
    return Account(*row[2:]), row[0]


async def any_admin(reader: Reader) -> bool:
    """Say whether there is an administrator who can log in."""
    return bool(await reader.fetch_all(_ADMINS))


async def is_only_admin(reader: Reader, account_id: int) -> bool:
    """Say whether nobody else is an administrator who can log in."""
    return [row[0] for row in await reader.fetch_all(_ADMINS)] == [account_id]


async def lock_admins(unit: Unit) -> None:
    """Let no other unit change an administrator until this one ends."""
    await unit.execute(_LOCK_ADMINS)


async def admin_sources(reader: Reader, account_id: int) -> set[int]:
    """Return who made somebody an administrator: 0 a person, else the numbers of providers."""
    return {row[0] for row in await reader.fetch_all(_ADMIN_SOURCES, account_id=account_id)}


async def insert_account(
    unit: Unit, username: str, password_hash: str | None, kind: str = "person", provider_id: int | None = None
) -> int | None:
    """Create an account that has no role yet, and return its id; None if the name is taken."""
    made: int | None = await unit.fetch_value(
        _INSERT,
        uuid=new_uuid(),
        username=username,
        kind=kind,
        password_hash=password_hash,
        provider_id=provider_id,
        now=unit.now,
    )
    return made


async def edit_profile(unit: Unit, account_id: int, values: Mapping[str, Any]) -> None:
    """Write some of `PROFILE`; what is not among `values` stays as it is."""
    if values:
        given = {f"new_{name}": value for name, value in values.items()}
        await unit.execute(_profile(frozenset(values)), account_id_=account_id, **given)


@cache
def _profile(names: frozenset[str]) -> Update:
    columns: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in PROFILE if name in names}
    return update(account).where(account.c.id == bindparam("account_id_")).values(columns)


async def set_disabled(unit: Unit, account_id: int, at: int | None, actor: str) -> None:
    """Disable (a time, and who did) or enable (None and nobody) an account; every session of it ends."""
    await unit.execute(_SET_DISABLED, account_id=account_id, at=at, actor=actor)


async def hold(unit: Unit, account_id: int) -> None:
    """Let nobody else change the account or its tokens, nor make anything that stays by it, until the unit ends."""
    await unit.fetch_one(_HOLD, account_id=account_id)


async def hold_named(unit: Unit, username: str) -> None:
    """Hold the account of that name, if there is one, before it is read: what was read is then so until the end."""
    await unit.fetch_one(_HOLD_NAMED, username=username)


async def set_last_login(unit: Unit, account_id: int) -> None:
    """Note that somebody has logged in to the account now."""
    await unit.execute(_SET_LAST_LOGIN, account_id=account_id, now=unit.now)


async def drop_second_factor(unit: Unit, account_id: int) -> None:
    """Forget the seed of a second factor and its recovery codes."""
    for statement in (_DROP_TOTP, _DROP_CODES):
        await unit.execute(statement, of_account=account_id)


async def by_verified_email(reader: Reader, address: str) -> list[Account]:
    """Return two at most of the people of this installation who have shown that mail to `address` reaches them."""
    return [Account(*row) for row in await reader.fetch_all(_BY_VERIFIED_EMAIL, address=address.lower())]


async def set_password(unit: Unit, account_id: int, hashed: str) -> None:
    """Set the password hash; every login of the account ends."""
    await unit.execute(_SET_PASSWORD, account_id=account_id, hashed=hashed)


async def forget_heirs(unit: Unit, account_id: int) -> None:
    """Let whoever got channels in the place of this account keep them: somebody who is back has no heirs."""
    await unit.execute(_FORGET_HEIRS, account_id=account_id)


async def count_owned(reader: Reader, account_id: int) -> int:
    """Return how many channels the account owns."""
    return int(await reader.fetch_value(_OWNED, account_id=account_id))


async def delete_account(unit: Unit, account_id: int) -> None:
    """Delete the account with what it holds and its tokens; its number keeps its name, for the history of downloads."""
    for statement in (_REMEMBER, *_DELETE):
        await unit.execute(statement, account_id=account_id)
