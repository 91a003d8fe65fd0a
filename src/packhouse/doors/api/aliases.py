"""`/api/aliases`: which names in advisories packages stand for, why, and corrections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from packhouse.core.clock import to_iso
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.families import known_family
from packhouse.doors.api.parameters import Caller, Filter, House, Page, Word
from packhouse.doors.api.problems import refused
from packhouse.doors.api.words import AliasProvenance
from packhouse.workflows.curating.alias_corrections import Link, correct, of_package, of_upstream, take_back

Asked = Annotated[str, QueryParameter(min_length=1, max_length=512)]


class CorrectionRequest(Body, kw_only=True):
    """What a package is, or is not, called in an ecosystem."""

    name: Word  #: of the package
    family: Word = "conda"
    ecosystem: Word  #: as advisories spell it: PyPI, CRAN, conda, GitHub, CPE, …
    upstream: Word  #: its name there; with `negative` also `*`, none at all
    negative: bool = False  #: it is not that


class AliasShape(msgspec.Struct, kw_only=True):
    """One thing that is said of a package and a name in an ecosystem."""

    family: str
    name: str
    ecosystem: str
    upstream: str
    provenance: AliasProvenance  #: why: an administrator's word counts most, a guess by the name least
    negative: bool  #: they are not the same
    believed: bool  #: advisories about the one are matched to the other
    by: str  #: who said so, or the file it was read from
    at: str | None  #: RFC 3339


class CorrectedShape(msgspec.Struct, kw_only=True):
    """What is said of a package after a correction."""

    items: list[AliasShape]
    total_count: int
    no_longer: list[AliasShape]  #: what the correction took away: believed until then


@get("/api/aliases", tags=["aliases"], responses=refused("unsupported_type"))
async def list_aliases(
    services: House,
    family: Filter = None,
    name: Filter = None,
    ecosystem: Filter = None,
    upstream: Filter = None,
) -> Page[AliasShape]:
    """List all that is said of a package (`name`, and `family` if not conda), or of a name in an ecosystem."""
    family = known_family(family)
    if name and not (ecosystem or upstream):
        return _page(await of_package(services.db, family or "conda", name))
    if ecosystem and upstream and not (family or name):
        return _page(await of_upstream(services.db, ecosystem, upstream))
    raise PackhouseError("bad_request", "Ask about one thing.", "Send `name`, or `ecosystem` and `upstream`.")


@post("/api/aliases", tags=["aliases"], status_code=200, responses=refused("unsupported_type"))
async def make(data: JSONBody[CorrectionRequest], caller: Caller, services: House) -> CorrectedShape:
    """Correct what a package is called; answers all that is said of it then, and what it is called no longer."""
    links, gone = await correct(
        services, caller.username, data.family, data.name, data.ecosystem, data.upstream, negative=data.negative
    )
    former = [msgspec.structs.replace(_shape(one), believed=False) for one in gone]
    return CorrectedShape(items=[_shape(one) for one in links], total_count=len(links), no_longer=former)


@delete("/api/aliases", tags=["aliases"], responses=refused("unsupported_type"))
async def remove(
    caller: Caller, services: House, name: Asked, ecosystem: Asked, upstream: Asked, family: Filter = None
) -> None:
    """Take a correction back."""
    await take_back(services, caller.username, family or "conda", name, ecosystem, upstream)


def _page(links: Sequence[Link]) -> Page[AliasShape]:
    return Page([_shape(one) for one in links], len(links))


def _shape(one: Link) -> AliasShape:
    return AliasShape(**msgspec.structs.asdict(one.alias), believed=one.believed, by=one.by, at=to_iso(one.at))


HANDLERS = [list_aliases, make, remove]
