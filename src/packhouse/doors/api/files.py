"""`…/artifacts/<family>/<name>/files`: the files of a package, with the filters of the files table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import listing
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database
from packhouse.doors.api.artifacts import no_package
from packhouse.doors.api.looking import may_see_cves, scope_of
from packhouse.doors.api.parameters import (
    Bytes,
    Caller,
    Filter,
    Here,
    House,
    Limit,
    Moment,
    Offset,
    Page,
    Sort,
    moment,
    page_size,
)
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.artifacts import FileShape, file_shape
from packhouse.workflows.vulnerabilities.packages import PackageStanding, standing

Status = Annotated[
    Literal["active", "passive"] | None,
    QueryParameter(description="Whether we hold the bytes, or fetch them when asked."),
]


@get(of_channel("/artifacts/{family:str}/{name:str}/files"), tags=["artifacts"], responses=refused())
async def list_files(
    caller: Caller,
    services: House,
    here: Here,
    family: FromPath[str],
    name: FromPath[str],
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Sort = "-created_at",
    q: Filter = None,
    platform: Filter = None,
    version: Filter = None,
    indexing_status: Status = None,
    signed: FromQuery[bool | None] = None,
    size_from: Bytes = None,
    size_to: Bytes = None,
    created_from: Moment = None,
    created_to: Moment = None,
) -> Page[FileShape]:
    """List the files of a package, newest first. `q` is a part of the file name; times bound the arrival here.

    Who may see CVEs is told how each file stands.
    """
    if "\0" in family + name:
        raise no_package(here, family, name)
    given: dict[str, Any] = {
        "channel_id": here.id,
        "family": family,
        "name": name,
        "filename": q,
        "platform": platform,
        "version": version,
        "active": None if indexing_status is None else int(indexing_status == "active"),
        "signed": None if signed is None else int(signed),
        "size_from": size_from,
        "size_to": size_to,
        "created_from": None if created_from is None else moment("created_from", created_from),
        "created_to": None if created_to is None else moment("created_to", created_to, end=True),
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    rows, total = await listing.files(services.db, chosen, sort=sort, limit=page_size(limit), offset=offset)
    if not total and await listing.package_of(services.db, here, family, name) is None:
        raise no_package(here, family, name)
    stands = await _standing(services.db, caller, here, family, name) if rows else None
    return Page([file_shape(row, here.path, stands.of(row.id) if stands else None) for row in rows], total)


async def _standing(db: Database, caller: Principal, here: Channel, family: str, name: str) -> PackageStanding | None:
    """Return how the files of a package stand, for those who may know."""
    if not may_see_cves(caller):
        return None
    return await standing(db, await scope_of(db, caller, here), family, name)


HANDLERS = [list_files]
