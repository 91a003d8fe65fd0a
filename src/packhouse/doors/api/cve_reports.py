"""`…/cves/report` and `…/blast_radius`: every file with every CVE, and how far one of them reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from packhouse.catalog.rights.permissions import INSTALLATION, Decision, permit
from packhouse.catalog.vulnerabilities import affected
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.core.db import Database
from packhouse.core.tables import csv_lines
from packhouse.doors.api.looking import scope_of
from packhouse.doors.api.parameters import Caller, Here, House, Limit, Moment, Offset, Page, moment, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.reach import BlastRadius, DownloadShape, blast_radius, download_shape
from packhouse.doors.api.shapes.report import COLUMNS, cells, report_line
from packhouse.doors.api.shapes.standing import knowledge_shape
from packhouse.workflows.vulnerabilities import cves, reach
from packhouse.workflows.vulnerabilities.knowledge import Knowledge, knowledge
from packhouse.workflows.vulnerabilities.report import report

Form = Annotated[Literal["csv", "json"], QueryParameter(description="What is answered.")]


@get(of_channel("/cves/report"), tags=["cves"], responses=refused())
async def channel_report(caller: Caller, services: House, here: Here, download_as: Form = "json") -> Stream:
    """Download every file of a channel with every vulnerability found in it, and its status there.

    JSON is `{"items": […], "knowledge": {…}}`. In CSV a cell that a spreadsheet would run begins with an apostrophe.
    """
    scope, known = await scope_of(services.db, caller, here), await knowledge(services.db)
    csv = download_as == "csv"
    body = _csv(services.db, scope) if csv else _json(services.db, scope, known)
    name = f"{here.path.replace('/', '-')}-cves.{download_as}"
    headers = {"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "private, no-cache"}
    return Stream(body, media_type="text/csv" if csv else "application/json", headers=headers)


@get("/api/cves/{cve_id:str}/blast_radius", tags=["cves"], responses=refused())
async def show_blast_radius(
    cve_id: FromPath[str], caller: Caller, services: House, since: Moment = None
) -> BlastRadius:
    """Tell in which channels files have a vulnerability and, to those who may read the audit log, who downloaded them.

    `since`: downloads at or after that time.
    """
    start = 0 if since is None else moment("since", since)
    seen = affected.everywhere(caller)
    cve = await cves.find_cve(services.db, seen, cve_id)
    places = await reach.places(services.db, seen, cve.row)
    if permit(caller, "audit:view", INSTALLATION) is not Decision.ALLOWED:
        return blast_radius(cve, places, None, since)
    had = await reach.downloaded(services.db, cve.row, start)
    return blast_radius(cve, places, reach.users(had), since)


@get("/api/cves/{cve_id:str}/downloads", tags=["cves"], responses=refused())
async def list_downloads(
    cve_id: FromPath[str], services: House, limit: Limit = 100, offset: Offset = 0, since: Moment = None
) -> Page[DownloadShape]:
    """List who downloaded which file with a vulnerability, the latest first, whatever has become of the file.

    One item for each user and file; `since`: at or after that time, where days are not divided.
    """
    start = 0 if since is None else moment("since", since)
    row = await cves.find(services.db, cve_id)
    had = await reach.downloaded(services.db, row, start)
    return Page([download_shape(one) for one in had[offset : offset + page_size(limit)]], len(had))


async def _csv(db: Database, scope: Scope) -> AsyncIterator[bytes]:
    yield csv_lines([COLUMNS])
    async for lines in report(db, scope):
        yield csv_lines(cells(report_line(line)) for line in lines)


async def _json(db: Database, scope: Scope, known: Knowledge) -> AsyncIterator[bytes]:
    yield b'{"knowledge":' + msgspec.json.encode(knowledge_shape(known)) + b',"items":['
    between = b""
    async for lines in report(db, scope):
        encoded: list[Any] = [msgspec.json.encode(report_line(line)) for line in lines]
        if encoded:
            yield between + b",".join(encoded)
            between = b","
    yield b"]}"


HANDLERS = [channel_report, show_blast_radius, list_downloads]
