"""`/api/cves`: what is known of vulnerabilities, and which files have them, in all channels the caller may see."""

from __future__ import annotations

from litestar import get
from litestar.params import FromPath, FromQuery

from packhouse.catalog.vulnerabilities import affected
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.core.db import Database
from packhouse.doors.api.cve_filters import FILTERS, Asked, Filters, InStatus, Order
from packhouse.doors.api.parameters import Caller, Filter, House, Limit, Offset, Page, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.cves import CveDetail, CveFile, CveShape, cve_detail, cve_file, cve_shape
from packhouse.workflows.vulnerabilities import cves


@get("/api/cves", tags=["cves"], dependencies=FILTERS, responses=refused())
async def list_cves(
    caller: Caller,
    services: House,
    asked: Filters,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Order = "latest",
    affecting: FromQuery[bool] = False,
) -> Page[CveShape]:
    """List what feeds know; with `affecting` only what was found in files the caller may look at."""
    seen = affected.everywhere(caller)
    return await cve_page(services.db, seen, asked, sort, limit, offset, affecting=affecting)


@get("/api/cves/{cve_id:str}", tags=["cves"], responses=refused())
async def show_cve(cve_id: FromPath[str], caller: Caller, services: House) -> CveDetail:
    """Show a vulnerability, by its CVE or any other of its names."""
    return cve_detail(await cves.find_cve(services.db, affected.everywhere(caller), cve_id))


@get("/api/cves/{cve_id:str}/files", tags=["cves"], responses=refused())
async def list_cve_files(
    cve_id: FromPath[str],
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    status: InStatus = None,
    channel: Filter = None,
) -> Page[CveFile]:
    """List the files that have a vulnerability, in the channels the caller may see, or in one of them."""
    row = await cves.find(services.db, cve_id)
    seen = affected.everywhere(caller)
    if channel is not None:
        seen = seen.within(channel)
    found, total = await cves.cve_files(services.db, seen, row, status, limit=page_size(limit), offset=offset)
    return Page([cve_file(one, row.score) for one in found], total)


async def cve_page(
    db: Database, seen: Scope, asked: Asked, sort: str, limit: int, offset: int, *, affecting: bool = True
) -> Page[CveShape]:
    """Return a page of vulnerabilities, those found in files of a scope unless not `affecting`, with these counted."""
    found, total = await cves.list_cves(
        db,
        seen,
        asked.given,
        affecting=affecting,
        status=asked.status,
        sort=sort,
        limit=page_size(limit),
        offset=offset,
    )
    return Page([cve_shape(one) for one in found], total)


HANDLERS = [list_cves, show_cve, list_cve_files]
