"""`…/explain` and `…/simulate`: why something may be seen or not, and what another policy would change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.response import Stream
from msgspec import UNSET, UnsetType

from packhouse.catalog.policies import hidden
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.families import known_family
from packhouse.doors.api.leaving import while_there
from packhouse.doors.api.parameters import Caller, Filter, Here, House, Limit, Offset, Page, Word, page_size
from packhouse.doors.api.policies import require
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.explaining import (
    LISTS,
    ExplanationShape,
    HiddenCount,
    SimulationShape,
    counts,
    explanation,
    rows_of,
)
from packhouse.doors.api.shapes.policies import RulesRequest, given_rules
from packhouse.formats import registry
from packhouse.security.policies.policy import NO_POLICY, Rules, decode, edited
from packhouse.security.policies.summary import summarise, warnings
from packhouse.workflows.answering.explaining import explain_file, explain_package
from packhouse.workflows.answering.simulating import Outcome, simulate_policy
from packhouse.workflows.governing.policies import get_policy
from packhouse.workflows.services import Services

#: files of a package that are explained in one answer
_FILES = 500
#: lines written together
_LINES = 50


class SimulationRequest(RulesRequest, kw_only=True):
    """The rules to be tried: those of a policy, with what is sent besides in their place; or, without one, just these.

    `policy_id` null: no policy at all.
    """

    policy_id: Word | UnsetType | None = UNSET
    dependencies: bool = True  #: look at them, too: what could not be installed any more; slow in a large channel


@get(of_channel("/explain"), tags=["policies"], responses=refused("conflict", "unsupported_type"))
async def explain(
    services: House,
    here: Here,
    file: Filter = None,
    package: Filter = None,
    family: Filter = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> ExplanationShape:
    """Tell why a file, by its ckey or name, or the files of a package may be seen or not, and what may be instead.

    A file says of which family it is; a package without one is conda's. A page has 500 files at most.
    """
    if (file is None) == (package is None):
        raise PackhouseError("bad_request", "Name a `file` or a `package`.", "Name one of the two.")
    if file is not None:
        family = known_family(family) or registry.family_of(file)
        return explanation(await explain_file(services.db, here, family, file))
    family = known_family(family) or "conda"
    return explanation(await explain_package(services.db, here, family, package or "", min(limit, _FILES), offset))


@get(of_channel("/explain/counts"), tags=["policies"], responses=refused())
async def explain_counts(services: House, here: Here) -> Page[HiddenCount]:
    """Tell how many files of a channel each rule hides, and how many may be seen."""
    rows = await hidden.by_rule(services.db, here.id)
    found = [HiddenCount(family=family, rule=rule, files=files) for family, rule, files in rows]
    found.sort(key=lambda one: (one.family, one.rule or ""))
    return Page(found, len(found))


@post(of_channel("/simulate"), tags=["policies"], status_code=200, responses=refused())
async def simulate(
    request: Request[Any, Any, Any],
    data: JSONBody[SimulationRequest],
    caller: Caller,
    services: House,
    here: Here,
    limit: Limit = 100,
    offset: Offset = 0,
) -> SimulationShape:
    """Find out what a policy would do to a channel; nothing is stored. `limit` and `offset` are for each list."""
    rules = await _rules(data, caller, services)
    outcomes = await while_there(request, simulate_policy(services.db, here, rules, dependencies=data.dependencies))
    size = page_size(limit)
    pages = {name: [one async for one in rows_of(services.db, outcomes, name, size, offset)] for name in LISTS}
    said = rules or NO_POLICY
    return SimulationShape(counts=counts(outcomes), summary=summarise(said), warnings=warnings(said), **pages)


@post(of_channel("/simulate/lines"), tags=["policies"], status_code=200, responses=refused())
async def simulate_lines(
    request: Request[Any, Any, Any],
    data: JSONBody[SimulationRequest],
    caller: Caller,
    services: House,
    here: Here,
) -> Response[Any]:
    """The same, whole: a JSON object a line, first `counts`, then one with `disappears`, `comes_back` … for each."""
    rules = await _rules(data, caller, services)
    outcomes = await while_there(request, simulate_policy(services.db, here, rules, dependencies=data.dependencies))
    return Stream(_lines(services, outcomes), media_type="application/x-ndjson")


async def _lines(services: Services, outcomes: Sequence[Outcome]) -> AsyncIterator[bytes]:
    """Yield the lines in pieces, so that others are served between."""
    encode = msgspec.json.Encoder().encode
    piece = [encode({"counts": counts(outcomes)})]
    for name in LISTS:
        async for row in rows_of(services.db, outcomes, name):
            piece.append(encode({name: row}))
            if len(piece) >= _LINES:
                yield b"\n".join(piece) + b"\n"
                piece = []
    if piece:
        yield b"\n".join(piece) + b"\n"


async def _rules(data: SimulationRequest, caller: Caller, services: Services) -> Rules | None:
    given = given_rules(data)
    if data.policy_id is None and not given:
        return None
    if data.policy_id is UNSET or data.policy_id is None:
        return edited(Rules(), given)
    require(caller, "policy:view")
    return edited(decode((await get_policy(services.db, data.policy_id)).rules), given)


HANDLERS = [explain, explain_counts, simulate, simulate_lines]
