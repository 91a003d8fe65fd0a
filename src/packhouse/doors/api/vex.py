"""`/api/vex`: statements as VEX documents, out and in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromQuery, QueryParameter

from packhouse.doors.api.bodies import check_unique
from packhouse.doors.api.families import known_family
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import Caller, Filter, House
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.statements import StatementShape, statement_shape
from packhouse.doors.api.statements import Named
from packhouse.security.vulnerabilities.vex import MAX_BYTES
from packhouse.workflows.curating.sharing import export_statements, take_in
from packhouse.workflows.judging.packages import package_name

#: of what was passed over, and of what was taken, an answer names so many
SHOWN = 1000
Format = Annotated[Literal["openvex", "cyclonedx"], QueryParameter(description="OpenVEX 0.2.0 or CycloneDX 1.6.")]
Whose = Annotated[
    str, QueryParameter(max_length=80, pattern=r"^(user|feed(:.+)?)$", description="`user`, `feed` or `feed:NAME`.")
]


@dataclass
class DocumentOperation(Operation):
    """The document, which is of no structure of ours."""

    def __post_init__(self) -> None:
        document = Schema(type=OpenAPIType.OBJECT, description="OpenVEX 0.2.0, or CycloneDX 1.4 to 1.7.")
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=document)}, required=True)


class SkippedShape(msgspec.Struct, kw_only=True):
    """What of a document was passed over."""

    where: str  #: where it stands in the document, or what it is about
    reason: str


class TakenShape(msgspec.Struct, kw_only=True):
    """What became of a document, or would."""

    form: Literal["openvex", "cyclonedx"]
    dry_run: bool
    added: int
    changed: int
    unchanged: int  #: said here already
    skipped: int
    statements: list[StatementShape]  #: the first thousand of those added and changed
    passed_over: list[SkippedShape]  #: the first thousand


@get("/api/vex", tags=["cves"], responses=refused("conflict", "unsupported_type"))
async def export(
    caller: Caller,
    services: House,
    format: Format = "openvex",
    origin: Whose = "user",
    cve: Named = None,
    family: Filter = None,
    name: Filter = None,
    channel: Filter = None,
) -> Response[bytes]:
    """Export statements as a VEX document; unless `origin` is given, what users say."""
    family = known_family(family)
    here = None if channel is None else await permitted_channel(services.db, caller, "artifact:view", channel)
    given = {
        "origin": origin.replace("\0", "\ufffd"),
        "cve": cve.replace("\0", "\ufffd") if cve else None,
        "family": family or ("conda" if name else None),
        "name": package_name(family or "conda", name) if name else None,
        "channel_id": here.id if here else None,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    document = await export_statements(services.db, chosen, format, f"{caller.username} (Packhouse)")
    kind = "vex" if format == "openvex" else "cdx"
    headers = {"Content-Disposition": f"attachment; filename=packhouse.{kind}.json", "Cache-Control": "no-store"}
    return Response(document, media_type="application/json", headers=headers)


async def _left_to_the_handler(request: Request[Any, Any, Any]) -> None:
    """Take the place of what looks through bodies on the event loop: this one may be large."""


@post(
    "/api/vex",
    tags=["cves"],
    status_code=200,
    operation_class=DocumentOperation,
    request_max_body_size=MAX_BYTES,
    before_request=_left_to_the_handler,
    responses=refused(),
)
async def take(
    request: Request[Any, Any, Any], caller: Caller, services: House, dry_run: FromQuery[bool] = False
) -> TakenShape:
    """Take in the statements of a VEX document as the word of users, all that can be used or nothing.

    What was said here later stays. With `dry_run` nothing is written.
    """
    document = await request.body()
    await asyncio.to_thread(check_unique, document)
    taken = await take_in(services, caller.username, document, dry_run=dry_run)
    outcome = taken.outcome
    return TakenShape(
        form=taken.form,
        dry_run=dry_run,
        added=len(outcome.added),
        changed=len(outcome.changed),
        unchanged=len(outcome.unchanged),
        skipped=len(taken.skipped),
        statements=[statement_shape(row) for row in [*outcome.added, *outcome.changed][:SHOWN]],
        passed_over=[SkippedShape(where=one.where, reason=one.reason) for one in taken.skipped[:SHOWN]],
    )


HANDLERS = [export, take]
