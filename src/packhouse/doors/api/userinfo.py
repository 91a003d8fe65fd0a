"""Who the caller is, at the addresses and in the words of OpenID Connect and of the command lines that use it."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import get, route

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.parameters import Caller, House
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.accounts import UserPart


class UserInfo(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Claims about the caller (OpenID Connect Core section 5.1); what is not known is not there."""

    sub: str  #: the same for ever
    preferred_username: str
    name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    email_verified: bool = False


class OrganizationShape(msgspec.Struct, kw_only=True):
    """An organisation, as the service calls it that the command lines were made for."""

    id: str
    name: str
    title: str


@get("/api/auth/oauth2/userinfo", tags=["auth"], responses=refused())
async def user_info(caller: Caller, services: House) -> UserInfo:
    """Tell who the caller is, in the words of OpenID Connect."""
    return _claims(await _account(services.db, caller))


@route(
    "/auth/realms/packhouse/protocol/openid-connect/userinfo",
    http_method=["GET", "POST"],
    include_in_schema=False,
    status_code=200,
)
async def user_info_of_provider(caller: Caller, services: House) -> UserInfo:
    """Tell the same where discovery says it is (OpenID Connect Core section 5.3)."""
    return _claims(await _account(services.db, caller))


@get("/api/auth/account/profile", tags=["auth"], responses=refused())
async def account_profile(caller: Caller, services: House) -> UserPart:
    """Tell the caller's name."""
    found = await _account(services.db, caller)
    return UserPart(
        id=found.uuid,
        email=found.email,
        username=found.username,
        first_name=found.first_name,
        last_name=found.last_name,
    )


@get("/api/auth/organizations/my", tags=["auth"], responses=refused())
async def organizations() -> list[OrganizationShape]:
    """List the caller's organisations: none, as an installation is one."""
    return []


def _claims(found: Account) -> UserInfo:
    return UserInfo(
        sub=found.uuid,
        preferred_username=found.username,
        name=f"{found.first_name} {found.last_name}".strip(),
        given_name=found.first_name,
        family_name=found.last_name,
        email=found.email,
        email_verified=bool(found.email_verified),  # SQLite says 0 and 1
    )


async def _account(db: Database, caller: Principal) -> Account:
    found = await store.by_id(db, caller.account_id or 0)
    if found is None:
        raise PackhouseError("unauthenticated", "The account is gone.", "Log in again.")
    return found


HANDLERS: list[Any] = [user_info, user_info_of_provider, account_profile, organizations]
