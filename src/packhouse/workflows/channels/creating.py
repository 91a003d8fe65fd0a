"""A channel or a subchannel begins."""

from __future__ import annotations

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel, check_privacy
from packhouse.catalog.groups import owners
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.tokens import service_accounts
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.names import check_channel_name, check_subchannel_name
from packhouse.workflows.channels.store import lock
from packhouse.workflows.services import Services

#: characters of a description
DESCRIPTION_LENGTH = 4000


async def create_channel(
    services: Services, owner: Principal, name: str, reserved: frozenset[str], *, description: str, privacy: str
) -> Channel:
    """Create a channel that `owner` owns.

    Raises PackhouseError: `bad_request`, `name_reserved`, `conflict` when the name is taken.
    """
    check_channel_name(name, reserved)
    return await _create(services, owner, None, name, check_description(description), check_privacy(privacy))


async def create_subchannel(
    services: Services, owner: Principal, parent: Channel, name: str, *, description: str, privacy: str | None = None
) -> Channel:
    """Create a subchannel, a channel of its own: from then on no edit of its parent changes it.

    Without `privacy` it has what its parent has at that moment, so that nothing is opened without being said.

    Raises PackhouseError: `bad_request`, `name_reserved`, `conflict`, `not_found` when the parent is gone.
    """
    if parent.parent_id is not None:
        raise PackhouseError("bad_request", "A subchannel has no subchannels.", "Create it in the channel itself.")
    check_subchannel_name(name)
    wanted = None if privacy is None else check_privacy(privacy)
    return await _create(services, owner, parent, name, check_description(description), wanted)


async def _create(
    services: Services, owner: Principal, parent: Channel | None, name: str, description: str, wanted: str | None
) -> Channel:
    async def work(unit: Unit) -> Channel:
        path, parent_id, privacy = name, None, wanted or "public"
        if parent is not None:
            held = await lock(unit, parent.id)
            if held is None:
                raise gone()
            path, parent_id, privacy = f"{held.path}/{name}", held.id, wanted or held.privacy
        if await channels.by_path(unit, path) is not None:
            raise taken(path)
        channel_id = await channels.insert_channel(unit, path, parent_id, description, privacy, owner.account_id or 0)
        await owners.begin(unit, channel_id, path, owner.account_id)
        await record_event(
            unit,
            type="channel_created",
            actor=owner.username,
            object=path,
            channel_id=channel_id,
            data={"privacy": privacy},
        )
        await changes.note(unit, "channel", channel_id, path)
        made = await channels.by_id(unit, channel_id)
        assert made is not None  # we have just made it
        if services.settings.service_account_autocreate:
            await service_accounts.ensure(unit, made, owner.username)
        return made

    return await services.db.write(work)


def check_description(description: str) -> str:
    """Return `description` if a channel may have it. Raises PackhouseError("bad_request")."""
    if len(description) > DESCRIPTION_LENGTH or "\0" in description:
        raise PackhouseError(
            "bad_request",
            f"`description` is longer than {DESCRIPTION_LENGTH} characters or holds a NUL.",
            "Shorten it.",
        )
    return description


def taken(path: str) -> PackhouseError:
    """Return the refusal of a path where a channel stands."""
    return PackhouseError("conflict", f"There is already a channel {path!r}.", "Choose another name.")


def gone() -> PackhouseError:
    """Return the refusal for a channel that was deleted meanwhile."""
    return PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
