"""A channel ends: invisible at once, its rows cleared afterwards in small batches, its bindings kept for ever."""

from __future__ import annotations

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups import owners
from packhouse.catalog.tokens import service_accounts
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.db import Unit
from packhouse.formats.registry import FORMATS
from packhouse.workflows.channels import store
from packhouse.workflows.channels.creating import gone
from packhouse.workflows.publishing.channels import refuse_frozen
from packhouse.workflows.services import Services

#: rows per transaction
BATCH = 1000


async def delete_channel(services: Services, channel: Channel, actor: str) -> None:
    """Delete a channel with its subchannels and mirrors. Bytes nobody owns any more are swept later.

    Raises PackhouseError: `not_found`, `channel_frozen` when it or one of its subchannels is frozen; then nothing
    is deleted.
    """

    async def work(unit: Unit) -> None:
        held = await store.lock(unit, channel.id)
        if held is None:
            raise gone()
        children = await channels.children(unit, held.id)
        for one in (held, *children):
            refuse_frozen(one)
        for one in (held, *children):
            await store.end_mirrors(unit, one.id)
            await owners.end(unit, one.id)
            await service_accounts.end(unit, one.id, actor)
            await channels.mark_deleted(unit, one.id)
            await changes.note(unit, "channel", one.id, one.path)
        await changes.note(unit, "people")
        await unjudged.add(unit, await unjudged.named(unit, FORMATS))
        data = {"subchannels": [child.name for child in children]} if children else {}
        await record_event(unit, type="channel_deleted", actor=actor, object=held.path, channel_id=held.id, data=data)

    await services.db.write(work)


async def clear_deleted(services: Services) -> int:
    """Clear the rows of deleted channels, a batch per transaction; return how many channels are done with.

    Meant to be called every few seconds by one process at a time; harmless if two do, and after a crash it goes on
    where it was.
    """
    waiting = await store.waiting_for_clearing(services.db)
    for channel_id in waiting:

        async def work(unit: Unit, channel_id: int = channel_id) -> bool:
            return await store.clear_some(unit, channel_id, BATCH)

        while await services.db.write(work):
            pass
    return len(waiting)
