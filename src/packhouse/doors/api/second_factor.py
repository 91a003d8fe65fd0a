"""`/api/account/totp`: the caller's second factor, and taking away somebody else's."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, delete, post
from litestar.params import FromPath, JSONBody

from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Login, Word
from packhouse.doors.api.problems import refused
from packhouse.workflows.signin import administering, second

Asked = Request[Any, Any, Any]


class PasswordShown(Body):
    """The password of the caller, whose login may have been left open."""

    password: Word


class CodeShown(Body):
    """What the authenticator application shows now."""

    code: Word


class SeedShape(msgspec.Struct, kw_only=True):
    """A seed for an authenticator application; it is in this answer and nowhere else."""

    secret: str  #: base32
    uri: str  #: `otpauth://`
    qr_svg: str  #: the same as a QR code, an SVG element


class RecoveryCodes(msgspec.Struct, kw_only=True):
    """Codes for when the application is lost; they are in this answer and nowhere else."""

    recovery_codes: list[str]  #: each works once


@post("/api/account/totp", tags=["account"], status_code=200, responses=refused("conflict"))
async def set_up(
    data: JSONBody[PasswordShown], request: Asked, caller: Caller, services: House, authenticator: Login
) -> SeedShape:
    """Begin with a second factor (TOTP, RFC 6238). It is asked for once a code of it was confirmed."""
    account = await authenticator.check_password(caller.username, data.password, _address(request))
    made = await second.enrol(services, caller, account)
    return SeedShape(secret=made.secret, uri=made.uri, qr_svg=made.svg)


@post("/api/account/totp/confirm", tags=["account"], status_code=200, responses=refused("conflict"))
async def confirm(
    data: JSONBody[CodeShown], request: Asked, caller: Caller, services: House, authenticator: Login
) -> RecoveryCodes:
    """Ask for the second factor from now on. Other logins of the caller end; the password alone works nowhere."""
    codes = await second.confirm(services, authenticator, caller, data.code, _address(request))
    authenticator.forget("account", caller.username)  # other processes hear of it by the list of changes
    return RecoveryCodes(recovery_codes=codes)


@delete("/api/account/totp", tags=["account"], responses=refused())
async def turn_off(
    data: JSONBody[PasswordShown], request: Asked, caller: Caller, services: House, authenticator: Login
) -> None:
    """Ask for no second factor any more, and forget its seed and recovery codes."""
    account = await authenticator.check_password(caller.username, data.password, _address(request))
    await second.turn_off(services.db, caller, account)


@delete("/api/users/{username:str}/totp", tags=["users"], responses=refused())
async def take_away(username: FromPath[str], caller: Caller, services: House) -> None:
    """Let somebody in who lost their second factor; they can set up another one."""
    await administering.drop_second_factor(services.db, caller, username)


def _address(request: Asked) -> str:
    return request.client.host if request.client else ""


HANDLERS: list[Any] = [set_up, confirm, turn_off, take_away]
