"""`/api/feeds`: where advisories come from, how their runs went, and what administrators do with them."""

from __future__ import annotations

from typing import Any

from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType, structs

from packhouse.catalog.vulnerabilities.feeds import Feed, Spec
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Page, Word
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.feeds import FeedShape, feed_shape
from packhouse.doors.api.words import FeedKind
from packhouse.workflows.feeding import managing as feeds


class FeedRequest(Body, kw_only=True):
    """What a feed shall be. In an edit, unsent members stay as they are."""

    name: Word | UnsetType = UNSET  #: needed at first; it stays
    source: Word | UnsetType = UNSET  #: http(s)://…, or file:///… of the server: a file, or a folder to search
    kind: FeedKind | UnsetType | None = UNSET  #: left out: by what it holds
    enabled: bool | UnsetType = UNSET  #: runs by its schedule; what a disabled one has said holds on
    every_seconds: int | UnsetType = UNSET
    run_now: bool = False


class FeedEdit(FeedRequest, kw_only=True):
    """What shall be otherwise with a feed. It may be the feed as it was shown."""

    state: Any = UNSET  #: this and what follows is shown only, and not changed by an edit
    progress: Any = UNSET
    last_run_at: Any = UNSET
    last_success_at: Any = UNSET
    no_data_since: Any = UNSET
    next_run_at: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET


class FeedRun(Body, kw_only=True):
    """How a feed shall run now."""

    accept_shrink: bool = False  #: the answer to a run that stopped because the feed lost most of its advisories


@get("/api/feeds", tags=["feeds"], responses=refused())
async def list_feeds(services: House) -> Page[FeedShape]:
    """List the feeds, by name."""
    found = [feed_shape(feed) for feed in await feeds.list_feeds(services.db)]
    return Page(found, len(found))


@post("/api/feeds", tags=["feeds"], responses=refused("conflict"))
async def create_feed(data: JSONBody[FeedRequest], caller: Caller, services: House) -> FeedShape:
    """Add a feed. It runs by its schedule, at once if it is enabled or with `run_now`."""
    if data.source is UNSET or data.name is UNSET:
        raise PackhouseError("bad_request", "A feed needs a `name` and a `source`.", "Send both.")
    spec = _spec(data, Spec(data.name, data.source))
    return feed_shape(await feeds.create_feed(services, caller.username, spec, run_now=data.run_now))


@get("/api/feeds/{feed_name:str}", tags=["feeds"], responses=refused())
async def show_feed(feed_name: FromPath[str], services: House) -> FeedShape:
    """Show a feed: its state, how its last run went, and since when there is no data."""
    return feed_shape(await _found(services, feed_name))


@put("/api/feeds/{feed_name:str}", tags=["feeds"], responses=refused("conflict"))
async def edit_feed(feed_name: FromPath[str], data: JSONBody[FeedEdit], caller: Caller, services: House) -> FeedShape:
    """Edit a feed; another source is read at once if it is enabled. Its secrets, masked as they were shown, stay."""
    known = await _found(services, feed_name)
    base = Spec(known.name, known.source, known.kind, known.enabled, known.every_seconds)
    edited = await feeds.update_feed(services, known.name, caller.username, _spec(data, base), run_now=data.run_now)
    return feed_shape(edited)


@delete("/api/feeds/{feed_name:str}", tags=["feeds"], responses=refused())
async def delete_feed(feed_name: FromPath[str], caller: Caller, services: House) -> None:
    """Delete a feed: what it said ends, and then it is gone."""
    known = await _found(services, feed_name)
    await feeds.delete_feed(services, known.name, caller.username)


@post("/api/feeds/{feed_name:str}/run", tags=["feeds"], status_code=202, responses=refused())
async def run_feed(
    feed_name: FromPath[str], caller: Caller, services: House, data: JSONBody[FeedRun | None] = None
) -> FeedShape:
    """Run a feed as soon as a worker is free, also one that is disabled."""
    known = await _found(services, feed_name)
    accept = data.accept_shrink if data else False
    return feed_shape(await feeds.run_feed_now(services, known.name, caller.username, accept_shrink=accept))


@post("/api/feeds/{feed_name:str}/stop", tags=["feeds"], status_code=200, responses=refused("conflict"))
async def stop_feed(feed_name: FromPath[str], caller: Caller, services: House) -> FeedShape:
    """Halt a feed that runs or waits to; what it said before holds."""
    known = await _found(services, feed_name)
    return feed_shape(await feeds.stop_feed(services, known.name, caller.username))


async def _found(services: House, name: str) -> Feed:
    return await feeds.get_feed(services.db, name.replace("\0", "\ufffd"))


def _spec(data: FeedRequest, base: Spec) -> Spec:
    """Return what is asked for over what there is."""
    members = {name: getattr(data, name) for name in Spec.__struct_fields__}
    members["kind"] = data.kind or "" if data.kind is not UNSET else UNSET
    return structs.replace(base, **{name: value for name, value in members.items() if value is not UNSET})


HANDLERS = [list_feeds, create_feed, show_feed, edit_feed, delete_feed, run_feed, stop_feed]
