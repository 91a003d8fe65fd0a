"""What administrators do against dependency confusion: reserve names, so that no mirror brings them.

A name that somebody uploaded to a channel is reserved there by itself; these are further names and patterns. Each verb
is one unit with one audit event, and leaves the packages concerned to be judged again.
"""

from __future__ import annotations

import re

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.policies import reservations
from packhouse.catalog.policies.reservations import ReservationRow
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.security.policies.specs import Specs
from packhouse.workflows.governing.places import path_of
from packhouse.workflows.services import Services

_PATTERN = re.compile(r"[A-Za-z0-9_.*-]{1,255}")
_TELLING = re.compile(r"[A-Za-z0-9]")

Package = tuple[str, str]  # family and name


async def create_reservation(
    services: Services, actor: str, pattern: str, family: str, channel_id: int | None
) -> ReservationRow:
    """Reserve a name, or a pattern such as `acme-*`, in a channel or, with None, everywhere; of one family or of all.

    Raises PackhouseError: `bad_request`, `unsupported_type`, `conflict` when it is reserved already, `not_found`.
    """
    pattern = _check(pattern, family)
    names = await _concerned(services.db, pattern, family, channel_id)

    async def work(unit: Unit) -> ReservationRow:
        path = await path_of(unit, channel_id)
        if await reservations.find(unit, family, pattern, channel_id) is not None:
            raise PackhouseError("conflict", f"{pattern!r} is reserved there already.", "There is nothing to do.")
        row = ReservationRow(0, family, pattern, channel_id, actor, unit.now, path)
        row = row._replace(id=await reservations.add(unit, row))
        await _tell(unit, "reservation_created", actor, row, names)
        return row

    row = await services.db.write(work)
    await _catch_up(services, row, names)
    return row


async def delete_reservation(services: Services, actor: str, reservation_id: int) -> None:
    """Let mirrors bring a name again. Raises PackhouseError("not_found")."""
    known = await reservations.by_id(services.db, reservation_id)
    if known is None:
        raise no_reservation()
    names = await _concerned(services.db, known.pattern, known.family, known.channel_id)

    async def work(unit: Unit) -> None:
        if not await reservations.drop(unit, known.id):
            raise no_reservation()
        await _tell(unit, "reservation_deleted", actor, known, names)

    await services.db.write(work)
    await _catch_up(services, known, names)


def no_reservation() -> PackhouseError:
    """Return the refusal of a reservation that is not there."""
    return PackhouseError("not_found", "There is no such reservation.", "List the reservations to find its id.")


async def _tell(unit: Unit, kind: str, actor: str, row: ReservationRow, names: set[Package]) -> None:
    data = {"pattern": row.pattern, "family": row.family or None, "packages": len(names)}
    await record_event(unit, type=kind, actor=actor, object=row.pattern, channel_id=row.channel_id, data=data)
    await unjudged.add(unit, names)


async def _concerned(db: Database, pattern: str, family: str, channel_id: int | None) -> set[Package]:
    """Return the packages a pattern is about, of those that came from elsewhere."""
    specs = Specs([f"{family}:{pattern}" if family else pattern])
    return {package for package in await reservations.brought(db, channel_id) if specs.about(*package)}


async def _catch_up(services: Services, row: ReservationRow, names: set[Package]) -> None:
    """Let also those packages be judged that came between the look at what is there and the unit."""
    await services.db.write(channels.hold_all)
    missed = await _concerned(services.db, row.pattern, row.family, row.channel_id) - names
    if missed:
        await services.db.write(lambda unit: unjudged.add(unit, missed))


def _check(pattern: str, family: str) -> str:
    if family:
        registry.get(family)
    pattern = pattern.strip()
    if not _PATTERN.fullmatch(pattern) or not _TELLING.search(pattern):
        raise PackhouseError(
            "bad_request", f"`pattern`: {pattern[:80]!r} is no name.", "Write a name, or one with *, like acme-*."
        )
    return pattern
