"""What people say of vulnerabilities in files: statements, made, changed and taken back.

A statement stands until somebody changes it: it is about a vulnerability and the files a match spec selects (or one
file), and no feed touches it. Each verb is one unit with one audit event, and leaves the packages to be judged again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.vulnerabilities import curation, feeds, statements, unjudged
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.statements import SEVERITY, Statement, check
from packhouse.workflows.judging.packages import package_name
from packhouse.workflows.services import Services

#: decisions of one request
MOST = 1000
#: what of them an audit event names
_NAMED = 20
#: whose word a person's is
USER = "user"
_KEY = re.compile(r"(CVE|GHSA|PYSEC|RSEC|MAL|OSV)-(.*)", re.IGNORECASE)

Place = tuple[str, str, str, str, str]


class Decision(msgspec.Struct, frozen=True):
    """What somebody decides about a vulnerability in files of a package; `reported` takes back what was decided."""

    cve: str  #: its key, or what a source calls it
    family: str
    name: str
    status: Status
    spec: str = ""  #: version and build of a match spec; empty: every file
    sha256: str = ""  #: of the one file it is about
    note: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What statements that come in do to those that stand."""

    added: list[StatementRow] = []
    changed: list[StatementRow] = []
    unchanged: list[StatementRow] = []
    older: list[StatementRow] = []  #: passed over, since what stands was said later
    removed: list[StatementRow] = []

    @property
    def written(self) -> list[StatementRow]:
        """All that is not as it was."""
        return [*self.added, *self.changed, *self.removed]


async def decide(services: Services, actor: str, decisions: Sequence[Decision]) -> list[StatementRow]:
    """Write down what a user decided, all or nothing, and return what then stands, in the order asked.

    Saying the same again changes nothing. Raises PackhouseError: `bad_request` for a decision that cannot be obeyed,
    `conflict` for a name that stands for several vulnerabilities, `unsupported_type`.
    """
    if not 0 < len(decisions) <= MOST:
        raise PackhouseError("bad_request", f"One request takes 1 to {MOST} decisions.", "Send them in several.")
    plain = [_checked(one, actor) for one in decisions]
    keys = await known_keys(services.db, {one.vulnerability for one in plain})
    plain = [msgspec.structs.replace(one, vulnerability=keys[one.vulnerability]) for one in plain]
    places = [_place_of(one) for one in plain]
    if len(set(places)) < len(places):
        raise PackhouseError("bad_request", "Two of the decisions are about the same files.", "Send one of them.")
    withdrawn = {place for place, one in zip(places, decisions, strict=True) if one.status == "reported"}

    async def work(unit: Unit) -> dict[Place, StatementRow]:
        await feeds.hold_all(unit)
        rows = [row_of(one, unit.now) for one in plain if _place_of(one) not in withdrawn]
        outcome = await compare(unit, rows, withdrawn)
        await write(unit, actor, "cve_curated", outcome)
        return await standing(unit, places)

    found = await services.db.write(work)
    return [found[place] for place in places if place in found]


async def change(services: Services, actor: str, number: int, status: Status, note: str | None) -> StatementRow | None:
    """Change what a user decided; `reported` takes it back. `note` None: as it is. Return what stands then.

    Raises PackhouseError: `not_found`, `conflict` for what no user said, `bad_request`.
    """
    row = await find(services.db, number)
    _require_own(row)
    words = row.note if note is None else note
    found = await decide(
        services, actor, [Decision(row.key, row.family, row.name, status, row.spec, row.sha256, words)]
    )
    return found[0] if found else None


async def withdraw(services: Services, actor: str, numbers: Sequence[int]) -> int:
    """Take statements of users back, all or nothing: findings are `reported` again, or what others say of them.

    Raises PackhouseError: `not_found`, `conflict` for what no user said.
    """

    async def work(unit: Unit) -> int:
        await feeds.hold_all(unit)
        rows = await curation.by_ids(unit, numbers)
        if len(rows) < len(set(numbers)):
            raise _no_statement()
        for row in rows:
            _require_own(row)
        await write(unit, actor, "cve_curated", Outcome(removed=rows))
        return len(rows)

    return await services.db.write(work)


async def find(reader: Reader, number: int) -> StatementRow:
    """Return a statement. Raises PackhouseError("not_found")."""
    rows = await curation.by_ids(reader, [number])
    if not rows:
        raise _no_statement()
    return rows[0]


async def known_keys(reader: Reader, names: Collection[str]) -> dict[str, str]:
    """Return for each name the key of the vulnerability; a name that no feed knows stands for itself.

    So that a decision is kept under the name that feeds, lists and the vulnerability itself go by.
    Raises PackhouseError("conflict") for a name of several.
    """
    spelled = {name: canonical(name) for name in names}
    called = await curation.keys_called(reader, set(spelled.values()))
    found = {}
    for name, plain in spelled.items():
        keys = called.get(plain, {plain})
        if len(keys) > 1:
            several = ", ".join(sorted(keys)[:10])
            raise PackhouseError("conflict", f"{plain!r} stands for several vulnerabilities: {several}.", "Name one.")
        found[name] = min(keys)
    return found


def canonical(name: str) -> str:
    """Return the name of a vulnerability as its register spells it: `CVE-2024-1`, `GHSA-xxxx-xxxx-xxxx`."""
    match = _KEY.fullmatch(name.strip())
    if match is None:
        return name.strip()
    register = match[1].upper()
    return f"{register}-{match[2].lower() if register == 'GHSA' else match[2].upper()}"


async def standing(reader: Reader, places: Iterable[Place]) -> dict[Place, StatementRow]:
    """Return what users say at places."""
    asked = set(places)
    names: dict[str, set[str]] = {}
    for family, name, *_ in asked:
        names.setdefault(family, set()).add(name)
    rows = [row for family, of in names.items() for row in await statements.of_names(reader, family, of)]
    return {place: row for row in rows if row.origin == USER and (place := place_of(row)) in asked}


async def compare(reader: Reader, rows: Sequence[StatementRow], withdrawn: Collection[Place] = ()) -> Outcome:
    """Tell what would become of statements of users that come in: the later one counts, and equal ones stay."""
    found = await standing(reader, [*(place_of(row) for row in rows), *withdrawn])
    outcome = Outcome([], [], [], [], [row for place in withdrawn if (row := found.get(place))])
    for row in rows:
        before = found.get(place_of(row))
        if before is None:
            outcome.added.append(row)
        elif (before.status, before.note) == (row.status, row.note):
            outcome.unchanged.append(before)
        elif (before.at, -_rank(before)) > (row.at, -_rank(row)):
            outcome.older.append(row)
        else:
            outcome.changed.append(row._replace(id=before.id))
    return outcome


async def write(unit: Unit, actor: str, event: str, outcome: Outcome, **data: object) -> None:
    """Carry an outcome out, with its one audit event, and let what it is about be judged again. All feeds are held."""
    written = outcome.written
    if not written:
        return
    await statements.put(unit, [*outcome.added, *outcome.changed])
    await statements.drop(unit, [row.id for row in outcome.removed])
    keys = {row.key for row in written}
    await curation.set_curated(unit, keys)
    counts = {name: len(getattr(outcome, name)) for name in ("added", "changed", "removed")}
    first = [
        {**_named(row), "status": "reported" if row in outcome.removed[:_NAMED] else row.status}
        for row in written[:_NAMED]
    ]
    about = keys.pop() if len(keys) == 1 else f"{len(keys)} vulnerabilities"
    await record_event(unit, type=event, actor=actor, object=about, data={**counts, "statements": first, **data})
    await unjudged.add(unit, {(row.family, row.name) for row in written})


def row_of(one: Statement, at: int | None = None) -> StatementRow:
    """Return a statement as it is stored, said at `at` if that is given."""
    at = one.at if at is None else at
    return StatementRow(
        0, one.vulnerability, one.family, one.name, one.spec, one.sha256, one.status, one.note, one.author, one.origin,
        at,
    )  # fmt: skip


def place_of(row: StatementRow) -> Place:
    """Return what a statement is about: of one origin there is one for each place."""
    return row.family, row.name, row.key, row.spec, row.sha256


def _place_of(one: Statement) -> Place:
    return one.family, one.name, one.vulnerability, one.spec, one.sha256


def _checked(one: Decision, actor: str) -> Statement:
    """Return a decision as a statement; one that takes back is checked like any other."""
    status = "active" if one.status == "reported" else one.status
    return check(
        Statement(
            canonical(one.cve),
            one.family,
            package_name(one.family, one.name),
            status,
            " ".join(one.spec.split()),
            one.sha256.lower(),
            one.note.strip(),
            actor,
            origin=USER,
        )
    )


def _require_own(row: StatementRow) -> None:
    if row.origin != USER:
        raise PackhouseError(
            "conflict",
            f"That is what {row.origin} says, and it would say it again.",
            "Make a statement of your own about the same files: it counts before that one.",
        )


def _no_statement() -> PackhouseError:
    return PackhouseError("not_found", "There is no such statement.", "List the statements to find its id.")


def _named(row: StatementRow) -> dict[str, str]:
    about = {"cve": row.key, "family": row.family, "name": row.name}
    return about | ({"sha256": row.sha256} if row.sha256 else {"spec": row.spec})


def _rank(row: StatementRow) -> int:
    return [str(status) for status in SEVERITY].index(row.status)
