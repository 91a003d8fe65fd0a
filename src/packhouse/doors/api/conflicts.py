"""What mirrors and people disagree about: other bytes upstream, and files that people took out."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from packhouse.catalog.mirrors import store
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.bulk import BulkItem
from packhouse.doors.api.mirrors import found_mirror
from packhouse.doors.api.parameters import Caller, Here, House, Limit, Offset, Page, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.mirrors import ConflictShape, KeptOut, conflict_shape, kept_out
from packhouse.workflows.mirroring.editing import decide_conflict, restore
from packhouse.workflows.publishing.selection import Item


class Decision(Body):
    """How a conflict is settled. The upstream's bytes never take the place of ours."""

    ckey: Word
    decision: Literal["keep", "remove"]


class RestoreRequest(Body):
    """Packages, or with `ckey` single files, that mirrors may bring again."""

    items: list[BulkItem]


class Restored(msgspec.Struct):
    """What was done."""

    files: int


@get(of_channel("/mirrors/{mirror_id:str}/conflicts"), tags=["mirrors"], responses=refused())
async def list_conflicts(mirror_id: FromPath[str], services: House, here: Here) -> Page[ConflictShape]:
    """List the coordinates under which the upstream has other bytes than this channel, decided or not."""
    mirror = await found_mirror(services, here, mirror_id)
    found = [conflict_shape(one) for one in await store.conflicts(services.db, mirror.id)]
    return Page(found, len(found))


@post(
    of_channel("/mirrors/{mirror_id:str}/conflicts"),
    tags=["mirrors"],
    status_code=200,
    responses=refused("channel_frozen"),
)
async def decide(
    mirror_id: FromPath[str], data: JSONBody[Decision], caller: Caller, services: House, here: Here
) -> Page[ConflictShape]:
    """Settle a conflict: keep what is here, or take it out; answers the conflicts as they are then."""
    mirror = await found_mirror(services, here, mirror_id)
    partition, slash, filename = data.ckey.partition("/")
    if not slash:
        raise PackhouseError("bad_request", "`ckey` is `<subdir>/<filename>`.", "Copy it from the list of conflicts.")
    await decide_conflict(services, here, mirror, caller.username, partition, filename, data.decision)
    found = [conflict_shape(one) for one in await store.conflicts(services.db, mirror.id)]
    return Page(found, len(found))


@get(of_channel("/kept_out"), tags=["mirrors"], responses=refused())
async def list_kept_out(services: House, here: Here, limit: Limit = 100, offset: Offset = 0) -> Page[KeptOut]:
    """List the files people took out, which mirrors therefore do not bring."""
    found = [kept_out(row) for row in await store.kept_out(services.db, here.id, page_size(limit), offset)]
    return Page(found, await store.count_kept_out(services.db, here.id))


@post(of_channel("/kept_out/restore"), tags=["mirrors"], status_code=202, responses=refused())
async def allow(data: JSONBody[RestoreRequest], caller: Caller, services: House, here: Here) -> Restored:
    """Let mirrors bring files again that a person took out; their next runs do."""
    items = [Item(item.name, item.family, item.ckey) for item in data.items]
    return Restored(await restore(services, here, caller.username, items))


HANDLERS = [list_conflicts, decide, list_kept_out, allow]
