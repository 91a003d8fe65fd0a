"""`…/artifacts` and `/api/artifacts`: the packages of a channel, one package, and the search over all."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, delete, get
from litestar.params import FromPath

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import contents, listing, needs
from packhouse.catalog.packages.listing import PackageRow
from packhouse.catalog.rights.visibility import viewer
from packhouse.catalog.vulnerabilities import affected
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.families import known_families
from packhouse.doors.api.looking import manages, may_see_cves, scope_of
from packhouse.doors.api.pages import Pages, answer, encoded
from packhouse.doors.api.parameters import Caller, Filter, Here, House, Limit, Offset, Page, Search, Sort, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.artifacts import PackageShape, package_shape
from packhouse.formats import registry
from packhouse.workflows.publishing.moving import remove
from packhouse.workflows.publishing.relations import Dependency, dependencies
from packhouse.workflows.publishing.selection import Item


class Readme(msgspec.Struct, kw_only=True):
    """What a package says of itself; empty where it says nothing or we do not hold a file of it yet."""

    name: str
    family: str
    version: str
    summary: str
    description: str
    readme: str


@get(of_channel("/artifacts"), tags=["artifacts"], responses=refused())
async def list_artifacts(
    request: Request[Any, Any, Any],
    caller: Caller,
    services: House,
    here: Here,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Sort = "name",
    q: Search = "",
    artifact_family: Filter = None,
    family: Filter = None,
    platform: Filter = None,
) -> Response[Page[PackageShape]]:
    """List the packages of a channel. `artifact_family` and `family` are the same.

    Who may see CVEs is told how many each has.
    """
    given = {"channel_id": here.id, "path": here.path, "family": family or artifact_family, "platform": platform}
    pages: Pages = request.scope["state"]["api"].pages
    hidden = await manages(services.db, caller, here) if may_see_cves(caller) else None
    key = (*given.values(), q, sort, limit, offset, hidden)
    # what is known of vulnerabilities changes without the list: it is as old as what this process remembers
    epoch = None if hidden is None else services.feed.epoch
    number = (await listing.change_number(services.db, here.id), epoch)
    page = pages.find(key, number) if hidden is None or services.feed.fresh else None
    if page is None:
        found = await _packages(services.db, given, q, sort, limit, offset)
        if hidden is not None:
            await _count_cves(services.db, here, found.items, hidden=hidden)
        page = encoded(number, msgspec.json.encode(found))
        pages.keep(key, page)
    return answer(request, page)


@get("/api/artifacts", tags=["artifacts"], responses=refused())
async def search(
    caller: Caller,
    services: House,
    limit: Limit = 50,
    offset: Offset = 0,
    sort: Sort = "",
    q: Search = "",
    artifact_family: Filter = None,
    family: Filter = None,
    platform: Filter = None,
) -> Page[PackageShape]:
    """Search the packages of every channel the caller may see; exact names first, then by downloads."""
    given = {**viewer(caller), "family": family or artifact_family, "platform": platform}
    return await _packages(services.db, given, q, sort, limit, offset)


@get(of_channel("/artifacts/{family:str}/{name:str}"), tags=["artifacts"], responses=refused())
async def show_artifact(
    caller: Caller, services: House, here: Here, family: FromPath[str], name: FromPath[str]
) -> PackageShape:
    """Show a package. Who may see CVEs is told how many it has."""
    found = package_shape(await _package(services.db, here, family, name))
    if may_see_cves(caller):
        scope = (await scope_of(services.db, caller, here)).narrowed(family, name)
        found.cve_count = len(await affected.everything(services.db, scope))
    return found


@delete(of_channel("/artifacts/{family:str}/{name:str}"), tags=["artifacts"], responses=refused("channel_frozen"))
async def delete_artifact(
    caller: Caller, services: House, here: Here, family: FromPath[str], name: FromPath[str]
) -> None:
    """Take a package out of a channel, with all its files."""
    await remove(services, here, caller.username, [Item(_plain(name), _plain(family))])


@get(of_channel("/artifacts/{family:str}/{name:str}/readme"), tags=["artifacts"], responses=refused())
async def readme(services: House, here: Here, family: FromPath[str], name: FromPath[str]) -> Readme:
    """Tell what a package says of itself."""
    row = await _package(services.db, here, family, name)
    held = await listing.held_content(services.db, here.id, family, name, row.latest_version)
    facts = await contents.facts_of(services.db, held) if held is not None else None
    return Readme(
        name=row.name,
        family=row.family,
        version=row.latest_version,
        summary=facts.summary if facts else row.summary,
        description=facts.description if facts else "",
        readme=facts.readme if facts else "",
    )


@get(of_channel("/artifacts/{family:str}/{name:str}/dependencies"), tags=["artifacts"], responses=refused())
async def list_dependencies(
    services: House,
    here: Here,
    family: FromPath[str],
    name: FromPath[str],
    limit: Limit = 100,
    offset: Offset = 0,
    version: Filter = None,
) -> Page[Dependency]:
    """List what a version of a package (the latest, unless `version` names another) depends on, by name."""
    row = await _package(services.db, here, family, name)
    found = await dependencies(services.db, here, family, name, version or row.latest_version)
    return Page(found[offset : offset + page_size(limit)], len(found))


@get(of_channel("/artifacts/{family:str}/{name:str}/dependants"), tags=["artifacts"], responses=refused())
async def list_dependants(
    services: House, here: Here, family: FromPath[str], name: FromPath[str], limit: Limit = 100, offset: Offset = 0
) -> Page[PackageShape]:
    """List the packages of the same channel whose latest version depends on this package, by name."""
    await _package(services.db, here, family, name)
    rows, total = await needs.dependants(services.db, here, family, name, limit=page_size(limit), offset=offset)
    return Page([package_shape(row) for row in rows], total)


async def _packages(
    db: Database, given: dict[str, Any], question: str, sort: str, limit: int, offset: int
) -> Page[PackageShape]:
    chosen = {name: value for name, value in given.items() if value is not None}
    rows, total = await listing.packages(
        db, chosen, question=question, sort=sort, limit=page_size(limit), offset=offset
    )
    return Page([package_shape(row) for row in rows], total)


async def _count_cves(db: Database, here: Channel, packages: list[PackageShape], *, hidden: bool) -> None:
    """Fill in how many vulnerabilities packages of one channel have."""
    for family in {one.family for one in packages}:
        of_family = [one for one in packages if one.family == family]
        found = await affected.of_packages(db, here.id, family, [one.name for one in of_family], hidden=hidden)
        for one in of_family:
            one.cve_count = found.get(one.name, 0)


async def _package(db: Database, here: Channel, family: str, name: str) -> PackageRow:
    found = await listing.package_of(db, here, _plain(family), _plain(name))
    if found is None:
        raise no_package(here, family, name)
    return found


def no_package(here: Channel, family: str, name: str) -> PackhouseError:
    """Return the refusal for a package that a channel does not show."""
    hint = "List its packages." if family in registry.FORMATS else known_families()
    return PackhouseError("not_found", f"{here.path!r} has no {family[:40]} package {name[:200]!r}.", hint)


def _plain(text: str) -> str:
    """Return a path segment that a database can look for; one with a NUL can be nothing's name."""
    return text.replace("\0", "\ufffd")


HANDLERS = [list_artifacts, search, show_artifact, delete_artifact, readme, list_dependencies, list_dependants]
