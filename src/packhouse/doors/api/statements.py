"""`/api/statements`: what people, feeds and builders say of vulnerabilities in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.families import known_family
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import (
    Caller,
    Filter,
    House,
    Limit,
    Number,
    Offset,
    Page,
    Text,
    Word,
    page_size,
)
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.statements import StatementShape, statement_shape
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.statements import MAX_SPEC
from packhouse.workflows.curating.curation import Decision, change, decide, find, withdraw
from packhouse.workflows.curating.statement_list import list_statements
from packhouse.workflows.judging.packages import package_name

Spec = Annotated[str, msgspec.Meta(max_length=MAX_SPEC)]
Origin = Annotated[
    str | None,
    QueryParameter(max_length=80, description="`user`, `feed`, `feed:NAME` or `builder`."),
]
Named = Annotated[
    str | None, QueryParameter(max_length=320, description="A vulnerability, by its CVE or any other of its names.")
]


class DecisionRequest(Body, kw_only=True):
    """What shall hold of a vulnerability in files of a package: those a spec selects, or the one with a SHA-256."""

    cve: Word  #: or any other name of the vulnerability
    name: Word  #: of the package
    family: Word = "conda"
    spec: Spec = ""  #: version and build of a match spec, like `>=3.2,<4 py39_*`; empty: every file
    sha256: Word = ""
    status: Status  #: `reported` takes back what was decided
    note: Text = ""


class DecisionsRequest(Body):
    """Several decisions; when one is refused, none is made."""

    items: list[DecisionRequest]


class StatementEdit(Body, kw_only=True):
    """What shall hold instead."""

    status: Status  #: `reported` takes it back
    note: Text | None = None  #: without it the note stays


class Withdrawal(Body):
    """Statements to be taken back; when one cannot be, none is."""

    ids: list[Annotated[int, msgspec.Meta(ge=0, le=2**53)]]


class Withdrawn(msgspec.Struct):
    """What was done."""

    statements: int


@get("/api/statements", tags=["cves"], responses=refused("conflict", "unsupported_type"))
async def list_all(
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    cve: Named = None,
    family: Filter = None,
    name: Filter = None,
    status: Filter = None,
    origin: Origin = None,
    sha256: Filter = None,
    author: Filter = None,
    channel: Filter = None,
) -> Page[StatementShape]:
    """List statements, oldest first. Builders' are listed where a package or a vulnerability is named."""
    family = known_family(family)
    here: Channel | None = None
    if channel is not None:
        here = await permitted_channel(services.db, caller, "channel:view", channel)
    given = {
        "cve": _plain(cve),
        "family": family or ("conda" if name else None),
        "name": package_name(family or "conda", name) if name else None,
        "status": status,
        "origin": _plain(origin),
        "sha256": sha256.lower() if sha256 else None,
        "author": author,
        "channel_id": here.id if here else None,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    rows, total = await list_statements(services.db, chosen, limit=page_size(limit), offset=offset)
    return Page([statement_shape(row) for row in rows], total)


@get("/api/cves/{cve_id:str}/statements", tags=["cves"], responses=refused("conflict"))
async def list_of_one(
    cve_id: FromPath[str], services: House, limit: Limit = 100, offset: Offset = 0
) -> Page[StatementShape]:
    """List what is said of one vulnerability, by its CVE or any other of its names."""
    chosen = {"cve": _plain(cve_id)}
    rows, total = await list_statements(services.db, chosen, limit=page_size(limit), offset=offset)
    return Page([statement_shape(row) for row in rows], total)


@post("/api/statements", tags=["cves"], status_code=200, responses=refused("conflict", "unsupported_type"))
async def make(data: JSONBody[DecisionRequest], caller: Caller, services: House) -> Page[StatementShape]:
    """Decide about a vulnerability in files, in the place of what users decided about the same files before.

    Answers what then stands; nothing with `reported`. The same again changes nothing.
    """
    return _page(await decide(services, caller.username, [_decision(data)]))


@post("/api/statements/bulk", tags=["cves"], status_code=200, responses=refused("conflict", "unsupported_type"))
async def make_many(data: JSONBody[DecisionsRequest], caller: Caller, services: House) -> Page[StatementShape]:
    """Decide many at once, at most 1000; all or none. Answers what then stands, without those taken back."""
    return _page(await decide(services, caller.username, [_decision(one) for one in data.items]))


@post("/api/statements/withdraw", tags=["cves"], status_code=200, responses=refused("conflict"))
async def take_back(data: JSONBody[Withdrawal], caller: Caller, services: House) -> Withdrawn:
    """Take statements back; all or none."""
    return Withdrawn(await withdraw(services, caller.username, data.ids))


@get("/api/statements/{statement_id:int}", tags=["cves"], responses=refused())
async def show(statement_id: Number, services: House) -> StatementShape:
    """Show a statement."""
    return statement_shape(await find(services.db, statement_id))


@put("/api/statements/{statement_id:int}", tags=["cves"], responses=refused("conflict", "unsupported_type"))
async def edit(
    statement_id: Number, data: JSONBody[StatementEdit], caller: Caller, services: House
) -> Page[StatementShape]:
    """Change what a user decided. Answers what then stands; nothing with `reported`."""
    found = await change(services, caller.username, statement_id, data.status, data.note)
    return _page([found] if found else [])


@delete("/api/statements/{statement_id:int}", tags=["cves"], responses=refused("conflict"))
async def remove(statement_id: Number, caller: Caller, services: House) -> None:
    """Take back what a user decided: findings are `reported` again, or what others say of them."""
    await withdraw(services, caller.username, [statement_id])


def _decision(data: DecisionRequest) -> Decision:
    return Decision(**{name: getattr(data, name) for name in Decision.__struct_fields__})


def _page(rows: Sequence[StatementRow]) -> Page[StatementShape]:
    return Page([statement_shape(row) for row in rows], len(rows))


def _plain(text: str | None) -> str | None:
    """Return a text that a database can look for."""
    return None if text is None else text.replace("\0", "\ufffd")


HANDLERS = [list_all, list_of_one, make, make_many, take_back, show, edit, remove]
