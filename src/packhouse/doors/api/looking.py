"""Which files of a channel a caller is told of when it is about vulnerabilities."""

from __future__ import annotations

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.rights.permissions import INSTALLATION, Decision, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import target_of
from packhouse.catalog.vulnerabilities import affected
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.core.db import Database


def may_see_cves(caller: Principal) -> bool:
    """Say whether a caller may see CVEs: a right that no channel gives."""
    return permit(caller, "cve:view", INSTALLATION) is Decision.ALLOWED


async def manages(db: Database, caller: Principal, here: Channel) -> bool:
    """Say whether a caller manages a channel, and is told of its hidden files, too."""
    return permit(caller, "channel:edit", await target_of(db, caller, here)) is Decision.ALLOWED


async def scope_of(db: Database, caller: Principal, here: Channel) -> Scope:
    """Return the files of a channel; hidden ones too for whoever manages it."""
    return affected.of_channel(here.id, hidden=await manages(db, caller, here))
