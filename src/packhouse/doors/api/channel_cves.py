"""`…/cves` below a channel and below a package: which vulnerabilities their files have."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import FromPath, QueryParameter

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries, listing
from packhouse.catalog.packages.entries import Entry
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.artifacts import no_package
from packhouse.doors.api.cve_filters import FILTERS, Filters, Order
from packhouse.doors.api.cves import cve_page
from packhouse.doors.api.looking import scope_of
from packhouse.doors.api.parameters import Caller, Filter, Here, House, Limit, Offset, Page
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.closure import ClosureShape, closure_shape
from packhouse.doors.api.shapes.cves import CveShape
from packhouse.doors.api.shapes.standing import KnowledgeShape, PackageCves, knowledge_shape, package_cves
from packhouse.workflows.vulnerabilities.closure import closure_of
from packhouse.workflows.vulnerabilities.knowledge import knowledge
from packhouse.workflows.vulnerabilities.packages import standing

FileKey = Annotated[
    str, QueryParameter(pattern=r"^[^\x00]*$", max_length=512, description="Of the file: `<subdir>/<filename>`.")
]


@get(of_channel("/cves"), tags=["cves"], dependencies=FILTERS, responses=refused())
async def list_channel_cves(
    caller: Caller,
    services: House,
    here: Here,
    asked: Filters,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Order = "latest",
) -> Page[CveShape]:
    """List what was found in files of a channel. Counts are of this channel; managers' include hidden files."""
    scope = await scope_of(services.db, caller, here)
    return await cve_page(services.db, scope, asked, sort, limit, offset)


@get(of_channel("/artifacts/{family:str}/{name:str}/cves"), tags=["cves"], dependencies=FILTERS, responses=refused())
async def list_package_cves(
    caller: Caller,
    services: House,
    here: Here,
    family: FromPath[str],
    name: FromPath[str],
    asked: Filters,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Order = "-score",
    ckey: Filter = None,
) -> PackageCves:
    """List what was found in the files of a package, or in the one with `ckey`, and tell how it stands."""
    scope = await scope_of(services.db, caller, here)
    await require_package(services.db, scope, here, family, name)
    file = None if ckey is None else await file_of(services.db, scope, here, family, name, ckey)
    chosen = scope.narrowed(family, name)
    chosen = chosen if file is None else chosen.of_file(file.partition, file.filename)
    page = await cve_page(services.db, chosen, asked, sort, limit, offset)
    stands = await standing(services.db, scope, family, name)
    shown = stands.whole if file is None else stands.of(file.id)
    return package_cves(page, shown, stands.knowledge)


@get(of_channel("/artifacts/{family:str}/{name:str}/closure"), tags=["cves"], responses=refused())
async def show_closure(
    caller: Caller, services: House, here: Here, family: FromPath[str], name: FromPath[str], ckey: FileKey
) -> ClosureShape:
    """Tell how each dependency of a file stands, and the worst of all that installing it may bring along."""
    scope = await scope_of(services.db, caller, here)
    await require_package(services.db, scope, here, family, name)
    file = await file_of(services.db, scope, here, family, name, ckey)
    found = await closure_of(services.db, here, family, file.partition, file.filename, name)
    return closure_shape(ckey, found, await knowledge(services.db))


@get("/api/cves/knowledge", tags=["cves"], responses=refused())
async def show_knowledge(services: House) -> KnowledgeShape:
    """Tell how old the data of feeds is: while there is none, nothing is clean."""
    return knowledge_shape(await knowledge(services.db))


async def require_package(db: Database, scope: Scope, here: Channel, family: str, name: str) -> None:
    """Raise PackhouseError("not_found") for a package of which the caller may see no file in the channel."""
    if "\0" not in family + name:
        if "hidden" in scope.kind and await entries.of_package(db, here.id, family, name):
            return
        if await listing.package_of(db, here, family, name):
            return
    raise no_package(here, family, name)


async def file_of(db: Database, scope: Scope, here: Channel, family: str, name: str, ckey: str) -> Entry:
    """Return the file of a package with a key. Raises PackhouseError("not_found") unless the caller may see it."""
    partition, _, filename = ckey.partition("/")
    found = await entries.find(db, here.id, family, partition, filename)
    if found is None or found.name != name or (found.rule and "hidden" not in scope.kind):
        raise PackhouseError(
            "not_found", f"{name!r} has no file {ckey[:200]!r} here.", "List the files of the package."
        )
    return found


HANDLERS = [list_channel_cves, list_package_cves, show_closure, show_knowledge]
