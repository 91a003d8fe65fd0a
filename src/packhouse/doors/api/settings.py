"""`/api/system/settings`: what administrators change while the installation runs."""

from __future__ import annotations

import msgspec
from litestar import get, put
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Word
from packhouse.doors.api.problems import refused
from packhouse.workflows.reporting import identification
from packhouse.workflows.reporting.identification import IdentSettings, Kind


class RunTimeSettings(msgspec.Struct, kw_only=True):
    """All that can be set while the installation runs."""

    anaconda_ident_settings: IdentSettings  #: what clients have to say of themselves to fetch conda files


class IdentEdit(Body, kw_only=True):
    """What shall be otherwise about the identification of clients."""

    enabled: bool | UnsetType = UNSET
    enable_from: Word | UnsetType | None = UNSET  #: ISO 8601; null: at once
    selected_tokens: list[Kind] | UnsetType = UNSET


class SettingsEdit(Body, kw_only=True):
    """What shall be otherwise; what is not sent stays as it is."""

    anaconda_ident_settings: IdentEdit | UnsetType = UNSET


@get("/api/system/settings", tags=["system"], responses=refused())
async def show(services: House) -> RunTimeSettings:
    """Show what is set."""
    return RunTimeSettings(anaconda_ident_settings=await identification.read(services.db))


@put("/api/system/settings", tags=["system"], responses=refused())
async def edit(data: JSONBody[SettingsEdit], caller: Caller, services: House) -> RunTimeSettings:
    """Change what is sent, at any depth, and leave the rest. All processes follow within two seconds.

    With `anaconda_ident_settings` GET and HEAD of conda packages and indexes are refused (`client_not_identified`),
    from `enable_from` on, unless the User-Agent has a token of each kind that is selected: `c/` client, `s/` session,
    `e/` environment, `u/` username, `h/` hostname, `n/` environment_name, `o/` organization.
    """
    given = data.anaconda_ident_settings
    if given is not UNSET:
        await identification.change(
            services.db,
            caller.username,
            enabled=given.enabled,
            enable_from=given.enable_from,
            selected_tokens=given.selected_tokens,
        )
    return RunTimeSettings(anaconda_ident_settings=await identification.read(services.db))


HANDLERS = [show, edit]
