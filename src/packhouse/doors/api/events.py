"""`/api/events`: what happened in the whole installation, as a list, and as a file that others can check."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.params import QueryParameter
from litestar.response import Stream

from packhouse.catalog.audit import store as audit
from packhouse.catalog.audit.types import EVENTS
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.parameters import MOST, Filter, House, Limit, Moment, Offset, Page, moment, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.history import EventShape, event_shape
from packhouse.workflows.reporting.trail import Head, csv_table, head, json_lines

Form = Annotated[Literal["csv", "json"], QueryParameter(description="What is answered: JSON lines, or a table.")]
About = Annotated[
    Filter,
    QueryParameter(
        max_length=512,
        pattern="^[^\\x00]*$",
        description="What it is about, whole: a channel by its name, others with what they are:"
        " `user ann`, `group crew`, `token NAME`.",
    ),
]
After = Annotated[
    int, QueryParameter(ge=0, le=MOST, description="Only what follows the event with this number: that of a head.")
]


class Keys(msgspec.Struct, kw_only=True):
    """What the audit trail is checked with."""

    algorithm: str  #: always `ed25519`
    public_key: str | None  #: hexadecimal; null: nothing was ever signed
    head: Head  #: the end of the chain at this moment


@get("/api/events", tags=["history"], responses=refused())
async def events(
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    type: Filter = None,
    actor: Filter = None,
    object: Filter = None,
    since: Moment = None,
    until: Moment = None,
) -> Page[EventShape]:
    """List the events of the installation, newest first. `since` is included, `until` is not; the rest are equal."""
    chosen = _chosen(type, actor, object, since, until)
    rows, total = await audit.events(services.db, chosen, page_size(limit), offset)
    return Page([event_shape(row, msgspec.json.decode(row[6])) for row in rows], total)


@get("/api/events/export", tags=["history"], responses=refused())
async def export(
    services: House,
    download_as: Form = "json",
    after: After = 0,
    type: Filter = None,
    actor: Filter = None,
    object: Filter = None,
    since: Moment = None,
    until: Moment = None,
) -> Stream:
    """Download the events in the order of their chain, oldest first, as far as they are sealed (within a second).

    JSON is one object a line: the `start`, then each event with its `hash`, then the signed `head`. Keep the head: with
    it `scripts/verify_audit.py` finds whether anything up to it was altered, removed or put elsewhere since. The next
    export goes on with `after`. What filters choose is no chain and cannot be checked, nor can a table.
    """
    chosen = _chosen(type, actor, object, since, until)
    start = await head(services.db, services.sealer, after)
    csv = download_as == "csv"
    body = (csv_table if csv else json_lines)(services.db, start, chosen)
    name = "events.csv" if csv else "events.jsonl"
    headers = {"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "private, no-cache"}
    return Stream(body, media_type="text/csv" if csv else "application/x-ndjson", headers=headers)


@get("/api/events/keys", tags=["history"], responses=refused())
async def keys(services: House) -> Keys:
    """Show what exports are checked with: the public key, and the head of the chain at this moment."""
    now = await head(services.db, services.sealer)
    return Keys(algorithm="ed25519", public_key=now.public_key, head=now)


def _chosen(
    type: str | None, actor: str | None, object: str | None, since: str | None, until: str | None
) -> dict[str, Any]:
    if type is not None and type not in EVENTS:
        near = f"Did you mean {' or '.join(found)}? " if (found := get_close_matches(type, EVENTS)) else ""
        raise PackhouseError(
            "bad_request", f"No event has the type {type[:80]!r}.", f"{near}docs/reference/events.md lists all."
        )
    given: dict[str, Any] = {
        "type": type,
        "actor": actor,
        "object": object,
        "since": None if since is None else moment("since", since),
        "until": None if until is None else moment("until", until, end=True),
    }
    return {key: value for key, value in given.items() if value is not None}


HANDLERS = [events, export, keys]
