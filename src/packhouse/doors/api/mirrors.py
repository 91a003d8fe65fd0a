"""`…/mirrors` and `/api/mirrors`: what fills channels from elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.channels.listing import visible_ids
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.mirror import Credential, Mirror, Options, Spec
from packhouse.catalog.policies import store as policies
from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import MOST, Caller, Here, House, Page, Word
from packhouse.doors.api.policies import require
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.mirrors import GlobalMirror, MirrorShape, SyncState, global_mirror, mirror_shape
from packhouse.doors.api.shapes.mirrors import sync_state as sync_shape
from packhouse.doors.api.words import MirrorMode, MirrorType
from packhouse.workflows.mirroring.editing import (
    create_mirror,
    delete_mirror,
    run_mirror_now,
    stop_mirror,
    update_mirror,
)
from packhouse.workflows.mirroring.preview import Preview, preview, preview_spec
from packhouse.workflows.services import Services


class MirrorRequest(Body, kw_only=True):
    """What a mirror shall be. In an edit, unsent members stay as they are; `filters` is replaced as a whole."""

    mirror_name: Word | UnsetType = UNSET
    source_root: Word | UnsetType = UNSET
    mirror_mode: MirrorMode | UnsetType = UNSET  #: active: fetch everything; passive (the default): when asked for
    mirror_type: MirrorType | UnsetType = UNSET  #: conda (the default) or python_simple
    cron: Word | UnsetType | None = UNSET  #: five fields, UTC; empty: runs only when asked to
    filters: Filters | UnsetType | None = UNSET
    proxy: Word | UnsetType | None = UNSET
    ca_bundle: Word | UnsetType | None = UNSET
    client_cert: Word | UnsetType | None = UNSET
    client_key: Word | UnsetType | None = UNSET
    verify_tls: bool | UnsetType = UNSET
    include_dependencies: bool | UnsetType = UNSET  #: with `only_specs`: also what the selected files need
    credential: Credential | UnsetType | None = UNSET  #: opens the source; never shown again
    use_channel_policy: bool | UnsetType | None = UNSET  #: true (the default): what its policy hides is not fetched
    policy_id: Word | UnsetType | None = UNSET  #: without that: the policy that selects what is taken in, like filters
    run_now: bool = False


class MirrorEdit(MirrorRequest, kw_only=True):
    """What shall be otherwise with a mirror. It may be the mirror as it was shown: an old client sends it all back."""

    mirror_id: Any = UNSET  #: this and what follows is shown only, and not changed by an edit
    state: Any = UNSET
    last_run_at: Any = UNSET
    next_run_at: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET
    sync_state: Any = UNSET
    options: Options | UnsetType = UNSET  #: as shown; to change one, send it as a member of its own


Asked = TypeVar("Asked", bound=MirrorRequest)


class RunRequest(Body, kw_only=True):
    """How a mirror shall run now."""

    accept_shrink: bool = False  #: the answer to a run that stopped because the upstream lost most of its files


class Paging(msgspec.Struct, kw_only=True):
    """What an old client sends as the body of a GET."""

    limit: Annotated[int, msgspec.Meta(ge=0, le=MOST)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0, le=MOST)] | None = None
    sort: str | None = None


_SORTS = {
    "mirror_name": lambda pair: pair[0].name,
    "name": lambda pair: pair[0].name,
    "state": lambda pair: pair[0].state,
    "channel": lambda pair: pair[1].path,
    "created_at": lambda pair: pair[0].created_at,
    "last_run_at": lambda pair: pair[0].last_run_at or 0,
}
PageNumber = Annotated[int | None, QueryParameter(ge=0, le=MOST)]
SortName = Annotated[str | None, QueryParameter(max_length=64)]


@get("/api/mirrors", tags=["mirrors"], responses=refused())
async def list_all_mirrors(
    request: Request[Any, Any, Any],
    caller: Caller,
    services: House,
    limit: PageNumber = None,
    offset: PageNumber = None,
    sort: SortName = None,
) -> Page[GlobalMirror]:
    """List the mirrors of all channels one may see. Paging may also come as a JSON body, as an old client sends it."""
    paging = _paging(await request.body())
    order = sort or paging.sort or "mirror_name"
    if (chosen := _SORTS.get(order.removeprefix("-"))) is None:
        raise PackhouseError("bad_request", f"`sort`: {order[:40]!r} is no order.", f"Use one of {', '.join(_SORTS)}.")
    pairs = await _with_channels(services, caller, await store.all_mirrors(services.db))
    pairs.sort(key=chosen, reverse=order.startswith("-"))
    first = next((number for number in (offset, paging.offset) if number is not None), 0)
    most = next((number for number in (limit, paging.limit) if number is not None), 100)
    page = pairs[first : first + most]
    return Page([global_mirror(mirror, channel) for mirror, channel in page], len(pairs))


@get(of_channel("/mirrors"), tags=["mirrors"], responses=refused())
async def list_mirrors(services: House, here: Here) -> Page[MirrorShape]:
    """List the mirrors of a channel, by name."""
    found = [mirror_shape(mirror) for mirror in await store.of_channel(services.db, here.id)]
    return Page(found, len(found))


@post(of_channel("/mirrors"), tags=["mirrors"], responses=refused("conflict", "unsupported_type"))
async def create(data: JSONBody[MirrorRequest], caller: Caller, services: House, here: Here) -> MirrorShape:
    """Add a mirror to a channel. It runs by its `cron`, with `run_now` at once, and else when it is restarted."""
    data = await _checked(services, here, caller, data)
    made = await create_mirror(
        services,
        here,
        caller.username,
        _spec(data, None),
        administrator=caller.role == "admin",
        run_now=data.run_now,
    )
    return mirror_shape(made)


@post(
    of_channel("/mirrors/dry_run"),
    tags=["mirrors"],
    status_code=200,
    responses=refused("upstream_failed", "unsupported_type"),
)
async def dry_run_new(data: JSONBody[MirrorRequest], caller: Caller, services: House, here: Here) -> Preview:
    """Find out what the first run of a new mirror would bring; nothing is written."""
    data = await _checked(services, here, caller, data)
    return await preview_spec(services, here, _spec(data, None), administrator=caller.role == "admin")


@get(of_channel("/mirrors/{mirror_id:str}"), tags=["mirrors"], responses=refused())
async def show(mirror_id: FromPath[str], services: House, here: Here) -> MirrorShape:
    """Show a mirror."""
    return mirror_shape(await found_mirror(services, here, mirror_id))


@put(
    of_channel("/mirrors/{mirror_id:str}"),
    tags=["mirrors"],
    status_code=202,
    responses=refused("conflict", "unsupported_type"),
)
async def edit(
    mirror_id: FromPath[str], data: JSONBody[MirrorEdit], caller: Caller, services: House, here: Here
) -> MirrorShape:
    """Edit a mirror; its next run reconciles the channel with it."""
    mirror = await found_mirror(services, here, mirror_id)
    data = await _checked(services, here, caller, data, mirror)
    edited = await update_mirror(
        services,
        here,
        mirror,
        caller.username,
        _edited(data, mirror),
        administrator=caller.role == "admin",
        run_now=data.run_now,
    )
    return mirror_shape(edited)


@delete(of_channel("/mirrors/{mirror_id:str}"), tags=["mirrors"], responses=refused("channel_frozen"))
async def remove(
    mirror_id: FromPath[str], caller: Caller, services: House, here: Here, files: FromQuery[bool] = False
) -> None:
    """Delete a mirror and what it has not fetched; with `files` also what it has."""
    mirror = await found_mirror(services, here, mirror_id)
    await delete_mirror(services, here, mirror, caller.username, files=files)


@post(
    of_channel("/mirrors/{mirror_id:str}/dry_run"),
    tags=["mirrors"],
    status_code=200,
    responses=refused("upstream_failed", "unsupported_type"),
)
async def dry_run(
    mirror_id: FromPath[str], caller: Caller, services: House, here: Here, data: JSONBody[MirrorEdit | None] = None
) -> Preview:
    """Find out what a run of the mirror would change now, or, with a body, after that edit; nothing is written."""
    mirror = await found_mirror(services, here, mirror_id)
    if data is None:
        return await preview(services, here, mirror)
    data = await _checked(services, here, caller, data, mirror)
    administrator = caller.role == "admin"
    return await preview_spec(services, here, _edited(data, mirror), administrator=administrator, before=mirror)


@post(
    of_channel("/mirrors/{mirror_id:str}/stop_mirror_sync"),
    tags=["mirrors"],
    status_code=200,
    responses=refused("conflict"),
)
async def stop(mirror_id: FromPath[str], caller: Caller, services: House, here: Here) -> MirrorShape:
    """Halt a mirror that runs or waits to; what it has taken in stays."""
    mirror = await found_mirror(services, here, mirror_id)
    return mirror_shape(await stop_mirror(services, here, mirror, caller.username))


@post(
    of_channel("/mirrors/{mirror_id:str}/restart_mirror_sync"), tags=["mirrors"], status_code=202, responses=refused()
)
async def restart(
    mirror_id: FromPath[str], caller: Caller, services: House, here: Here, data: JSONBody[RunRequest | None] = None
) -> MirrorShape:
    """Run a mirror as soon as a worker is free."""
    mirror = await found_mirror(services, here, mirror_id)
    accept = data.accept_shrink if data else False
    return mirror_shape(await run_mirror_now(services, mirror, caller.username, accept_shrink=accept))


@get(of_channel("/mirrors/{mirror_id:str}/sync_state"), tags=["mirrors"], responses=refused())
async def sync_state(mirror_id: FromPath[str], services: House, here: Here) -> SyncState:
    """Tell how the last run of a mirror goes or went."""
    return sync_shape(await found_mirror(services, here, mirror_id))


async def found_mirror(services: Services, here: Channel, mirror_id: str) -> Mirror:
    """Return a mirror of this very channel. Raises PackhouseError("not_found")."""
    mirror = await store.by_uuid(services.db, mirror_id.replace("\0", ""))
    if mirror is None or mirror.channel_id != here.id:
        raise PackhouseError("not_found", f"{here.path!r} has no such mirror.", "List its mirrors to find the id.")
    return mirror


async def _checked(
    services: Services, here: Channel, caller: Principal, data: Asked, before: Mirror | None = None
) -> Asked:
    """Return a request with the policy it means: that of the channel, named as the mirror's, is no other one.

    Raises PackhouseError("forbidden") for a policy named by who may not see policies.
    """
    if not data.policy_id or (before is not None and data.policy_id == before.options.policy_id):
        return data
    require(caller, "policy:view")
    named = await policies.by_uuid(services.db, data.policy_id.replace("\0", ""))
    if data.use_channel_policy is not False and named is not None and named.id == here.policy_id:
        return msgspec.structs.replace(data, policy_id=None)
    return data


async def _with_channels(services: Services, caller: Principal, mirrors: list[Mirror]) -> list[tuple[Mirror, Channel]]:
    """Return mirrors with their channels, as far as the caller's account sees these, whatever else a token is for."""
    known: dict[int, Channel | None] = {}
    for mirror in mirrors:
        if mirror.channel_id not in known:
            known[mirror.channel_id] = await channels.by_id(services.db, mirror.channel_id)
    person = msgspec.structs.replace(caller, scopes=None)
    seen = await visible_ids(services.db, person, known)
    return [
        (mirror, channel)
        for mirror in mirrors
        if (channel := known[mirror.channel_id]) is not None and channel.id in seen
    ]


def _paging(body: bytes) -> Paging:
    try:
        return msgspec.json.decode(body, type=Paging) if body else Paging()
    except (msgspec.DecodeError, RecursionError):
        return Paging()  # a body on GET means nothing by itself (RFC 9110 section 9.3.1)


def _spec(data: MirrorRequest, before: Mirror | None) -> Spec:
    """Return what is asked for: the request over the mirror it edits, or over the defaults."""
    base = _spec_of(before) if before else Spec("", "")
    options = {name: getattr(data, name) for name in Options.__struct_fields__ if hasattr(data, name)}
    renamed = {
        "name": data.mirror_name,
        "source": data.source_root,
        "mode": data.mirror_mode,
        "type": data.mirror_type,
        "cron": data.cron or "" if data.cron is not UNSET else UNSET,
        "filters": data.filters or Filters() if data.filters is not UNSET else UNSET,
        "credential": data.credential,
    }
    options["policy_id"] = _own_policy(data)
    if data.use_channel_policy is None:
        options["use_channel_policy"] = True
    chosen = msgspec.structs.replace(base.options, **{k: v for k, v in options.items() if v is not UNSET})
    return msgspec.structs.replace(base, options=chosen, **{k: v for k, v in renamed.items() if v is not UNSET})


def _own_policy(data: MirrorRequest) -> str | UnsetType | None:
    """Return the policy a mirror shall have of its own; who asks for the channel's asks for no other one."""
    if data.policy_id is UNSET and data.use_channel_policy in (True, None):
        return None
    return data.policy_id or None if data.policy_id is not UNSET else UNSET


def _edited(data: MirrorEdit, mirror: Mirror) -> Spec:
    """Return what a mirror shall be. Raises PackhouseError("bad_request") for options that are only shown."""
    if data.options is not UNSET and data.options != mirror.options:
        raise PackhouseError(
            "bad_request", "`options` is only shown.", "To change one, send it as a member of its own, like `proxy`."
        )
    return _spec(data, mirror)


def _spec_of(mirror: Mirror) -> Spec:
    """Return a mirror's spec as it is shown; its credential, unsent, stays what it is."""
    return Spec(mirror.name, mirror.source, mirror.mode, mirror.type, mirror.cron, mirror.filters, mirror.options, None)


HANDLERS = [
    list_all_mirrors,
    list_mirrors,
    create,
    dry_run_new,
    show,
    edit,
    remove,
    dry_run,
    stop,
    restart,
    sync_state,
]
