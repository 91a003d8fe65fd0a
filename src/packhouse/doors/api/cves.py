"""`/api/cves` and `…/cves`: what is known of vulnerabilities, everywhere and in one channel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from packhouse.catalog.vulnerabilities import affected
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.core.db import Database
from packhouse.doors.api.parameters import Caller, Filter, House, Limit, Moment, Offset, Page, Sort, moment, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.scores import Score, least, most
from packhouse.doors.api.shapes.cves import CveDetail, CveFile, CveShape, cve_detail, cve_file, cve_shape
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.workflows.vulnerabilities import cves

Name = Annotated[
    str | None,
    QueryParameter(pattern=r"^[^\x00]*$", max_length=320, description="A part of its key, or another name of it."),
]
Words = Annotated[
    str | None, QueryParameter(pattern=r"^[^\x00]*$", max_length=320, description="A part of its key or its summary.")
]
InStatus = Annotated[Status | None, QueryParameter(description="Those that have this status in a file.")]
OfKind = Annotated[Literal["vulnerability", "malware"] | None, QueryParameter(description="Only of this kind.")]


class Asked:
    """What a list of vulnerabilities was asked for: filters by name, as `reading.vulnerabilities` takes them."""

    def __init__(self, **given: Any) -> None:
        """Take the parameters of a request. Raises PackhouseError("bad_request") that names the one that is none."""
        self.given: dict[str, Any] = {}
        for name, value in given.items():
            if value is not None and value != "":
                self.given["text" if name == "q" else name] = _read(name, value)


def _read(name: str, value: Any) -> Any:
    if name in ("score_from", "score_to"):
        return (least if name == "score_from" else most)(name, value)
    if name.endswith(("_from", "_to")):
        return moment(name, value)
    return int(value) if isinstance(value, bool) else value


async def cve_page(
    db: Database, scope: Scope, seen: Scope, asked: Asked, status: Status | None, sort: str, limit: int, offset: int
) -> Page[CveShape]:
    """Return a page of the vulnerabilities of a scope."""
    found, total = await cves.list_cves(
        db, scope, seen, asked.given, status=status, sort=sort, limit=page_size(limit), offset=offset
    )
    return Page([cve_shape(one) for one in found], total)


@get("/api/cves", tags=["cves"], responses=refused())
async def list_cves(
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Sort = "latest",
    q: Words = None,
    name: Name = None,
    score_from: Score = None,
    score_to: Score = None,
    status: InStatus = None,
    kind: OfKind = None,
    exploited: FromQuery[bool | None] = None,
    curated: FromQuery[bool | None] = None,
    withdrawn: FromQuery[bool | None] = None,
    curated_from: Moment = None,
    curated_to: Moment = None,
    modified_from: Moment = None,
    modified_to: Moment = None,
    published_from: Moment = None,
    published_to: Moment = None,
    affecting: FromQuery[bool] = False,
) -> Page[CveShape]:
    """List what feeds know: what was judged last first, then what was published last.

    `affecting`: only what was found in files the caller may look at. `sort`: latest, name, score, published, modified,
    curated. Of times `…_from` is included and `…_to` is not.
    """
    asked = Asked(
        q=q, name=name, score_from=score_from, score_to=score_to, kind=kind, exploited=exploited, curated=curated,
        withdrawn=withdrawn, curated_from=curated_from, curated_to=curated_to, modified_from=modified_from,
        modified_to=modified_to, published_from=published_from, published_to=published_to,
    )  # fmt: skip
    seen = affected.everywhere(caller)
    scope = seen if affecting else affected.ANYWHERE
    return await cve_page(services.db, scope, seen, asked, status, sort, limit, offset)


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


HANDLERS = [list_cves, show_cve, list_cve_files]
