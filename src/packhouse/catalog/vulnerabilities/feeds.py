"""The noun feed: where advisories come from, how its last run went, and the queries of its table."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from packhouse.catalog.judgement_tables import feed
from packhouse.catalog.runs import Requests
from packhouse.core.clock import SECOND
from packhouse.core.db import Row, Unit
from packhouse.core.db.base import Reader

#: `deleting`: what it said is being taken back; then the feed is gone
STATES = ("pending", "running", "completed", "failed", "stopped", "deleting")
KINDS = ("osv", "nvd", "curated", "kev")
#: passed-over records shown of one run
MOST_SKIPS = 100


class Counts(msgspec.Struct):
    """What a run found and did, in records; `settled` in vulnerabilities."""

    read: int = 0
    skipped: int = 0
    added: int = 0
    changed: int = 0
    ended: int = 0
    settled: int = 0  #: of which it was worked out anew what they mean for the files that are here


class Skip(msgspec.Struct):
    """A record, or a part of one, that was passed over, and why."""

    where: str
    reason: str

    def __post_init__(self) -> None:
        self.where, self.reason = self.where[:300], self.reason[:500]


class Progress(Requests, omit_defaults=False):
    """What is shown of a feed's run, and what the next one must know."""

    total_steps: int = 5
    step: int = 0
    percentage: int = 0  #: of the step
    description: str = ""
    kind: str = ""  #: of what was read last; empty: nothing yet, or of several kinds
    reason: str = ""  #: why the last run failed; empty when it did not
    counts: Counts = msgspec.field(default_factory=Counts)
    skips: list[Skip] = []
    settled_key: str = ""  #: of the run being settled: all vulnerabilities up to this one are


class Spec(msgspec.Struct, frozen=True):
    """What an administrator asks a feed to be. The name stays: statements of a curated feed carry it."""

    name: str
    source: str  #: http(s)://…, file:///… (a file or a folder)
    kind: str = ""  #: of KINDS; empty: by what it holds
    enabled: bool = True  #: runs by its schedule; what a disabled one has said holds on
    every_seconds: int = 3600


class Feed(msgspec.Struct, frozen=True):
    """One row of `feed`. Times are microseconds."""

    id: int
    name: str
    source: str  #: without secrets
    sealed: bytes | None  #: the whole address (see `sources`); None: there is no more to it
    kind: str
    enabled: bool
    every_seconds: int
    state: str
    progress: Progress
    etag: str | None
    last_modified: str | None
    digest: bytes | None
    run: int
    settled_run: int
    last_run_at: int | None
    last_success_at: int | None  #: None: no data yet, and then nothing is clean
    next_run_at: int | None
    created_at: int
    updated_at: int

    @property
    def shown_kind(self) -> str:
        """The kind that was asked for, else that of what was read last; empty: unknown, or several."""
        return self.kind or self.progress.kind


_FIELDS = tuple(feed.c[name] for name in Feed.__struct_fields__)
_ALL = select(*_FIELDS).order_by(feed.c.name)
_BY_NAME = select(*_FIELDS).where(feed.c.name == bindparam("feed_name"))
_BY_ID = select(*_FIELDS).where(feed.c.id == bindparam("feed_id"))
_HOLD = _BY_ID.with_for_update(key_share=True)
_HOLD_ALL = select(*_FIELDS).order_by(feed.c.id).with_for_update(key_share=True)
_INSERT = (
    insert(feed)
    .values({column.name: bindparam(column.name) for column in feed.c if column.name != "id"})
    .returning(feed.c.id)
)
_OF_ID = feed.c.id == bindparam("feed_id")


def _set(*columns: str) -> Any:
    return update(feed).where(_OF_ID).values({column: bindparam(f"new_{column}") for column in columns})


_EDIT = _set("source", "sealed", "kind", "enabled", "every_seconds", "next_run_at", "updated_at")
_FORGET = update(feed).where(_OF_ID).values(etag=None, last_modified=None, digest=None)
_STATE = _set("state", "progress")
_PROGRESS = _set("progress")
_DELETING = update(feed).where(_OF_ID).values(state="deleting", updated_at=bindparam("new_updated_at"))
_RAN = _set("last_run_at", "next_run_at")
_NEXT = _set("next_run_at")
_TAKEN = _set("run", "etag", "last_modified", "digest", "last_success_at")
_SETTLED = _set("settled_run")
_UNSETTLED = select(feed.c.id).where(feed.c.settled_run < feed.c.run).limit(1)
_REMOVE = delete(feed).where(_OF_ID)

_encode = msgspec.json.Encoder(order="deterministic").encode


def _feed(row: Row) -> Feed:
    values = dict(zip(Feed.__struct_fields__, row, strict=True))
    values["enabled"] = bool(values["enabled"])
    values["progress"] = msgspec.json.decode(values["progress"], type=Progress)
    for name in ("sealed", "digest"):
        values[name] = None if values[name] is None else bytes(values[name])
    return Feed(**values)


async def every(reader: Reader) -> list[Feed]:
    """Return all feeds by name, also one that is being deleted."""
    return [_feed(row) for row in await reader.fetch_all(_ALL)]


async def by_name(reader: Reader, name: str) -> Feed | None:
    """Return the feed of a name."""
    row = await reader.fetch_one(_BY_NAME, feed_name=name)
    return _feed(row) if row else None


async def by_id(reader: Reader, feed_id: int) -> Feed | None:
    """Return the feed, or None when it is gone."""
    row = await reader.fetch_one(_BY_ID, feed_id=feed_id)
    return _feed(row) if row else None


async def hold(unit: Unit, feed_id: int) -> Feed | None:
    """Return the feed as it stays until the unit has ended."""
    row = await unit.fetch_one(_HOLD, feed_id=feed_id)
    return _feed(row) if row else None


async def hold_all(unit: Unit) -> dict[int, Feed]:
    """Return all feeds by id as they stay until the unit has ended: so none flips while what all say is merged."""
    return {row[0]: _feed(row) for row in await unit.fetch_all(_HOLD_ALL)}


async def add(unit: Unit, spec: Spec, next_run_at: int | None, sealed: bytes | None = None) -> Feed:
    """Add a feed that has said nothing yet, as `sources.seal` returns it. Its name must be free."""
    values = dict.fromkeys(("etag", "last_modified", "digest", "last_run_at", "last_success_at"))
    feed_id = await unit.fetch_value(
        _INSERT,
        **msgspec.structs.asdict(spec),
        **values,
        sealed=sealed,
        state="stopped",
        progress=_encode(Progress()).decode(),
        run=0,
        settled_run=0,
        next_run_at=next_run_at,
        created_at=unit.now,
        updated_at=unit.now,
    )
    found = await by_id(unit, int(feed_id))
    assert found is not None  # it was added in this unit
    return found


async def edit(unit: Unit, one: Feed, spec: Spec, next_run_at: int | None, sealed: bytes | None) -> None:
    """Make a feed what the spec says, as `sources.seal` returns it."""
    await unit.execute(
        _EDIT,
        feed_id=one.id,
        new_source=spec.source,
        new_sealed=sealed,
        new_kind=spec.kind,
        new_enabled=spec.enabled,
        new_every_seconds=spec.every_seconds,
        new_next_run_at=next_run_at,
        new_updated_at=unit.now,
    )


async def forget(unit: Unit, feed_id: int) -> None:
    """Let the next run read the source anew, whatever its validators say."""
    await unit.execute(_FORGET, feed_id=feed_id)


async def set_state(unit: Unit, feed_id: int, state: str, progress: Progress) -> None:
    """Set the state and what is shown of the run."""
    await unit.execute(_STATE, feed_id=feed_id, new_state=state, new_progress=_encode(progress).decode())


async def set_progress(unit: Unit, feed_id: int, progress: Progress) -> None:
    """Set what is shown of the run."""
    await unit.execute(_PROGRESS, feed_id=feed_id, new_progress=_encode(progress).decode())


async def set_deleting(unit: Unit, feed_id: int) -> None:
    """Say that the feed goes; a run under way begins anew, to take back what it said."""
    await unit.execute(_DELETING, feed_id=feed_id, new_updated_at=unit.now)


async def set_ran(unit: Unit, one: Feed, *, retry_seconds: int | None = None) -> None:
    """Note that a run ended now, and when the next one is due: by schedule, or in `retry_seconds`."""
    seconds = retry_seconds or (one.every_seconds if one.enabled else None)
    await unit.execute(_RAN, feed_id=one.id, new_last_run_at=unit.now, new_next_run_at=_in(unit, seconds))


async def set_next_run(unit: Unit, one: Feed) -> None:
    """Let the schedule come again in its time from now."""
    await unit.execute(_NEXT, feed_id=one.id, new_next_run_at=_in(unit, one.every_seconds if one.enabled else None))


def _in(unit: Unit, seconds: int | None) -> int | None:
    return None if seconds is None else unit.now + seconds * SECOND


async def set_taken(
    unit: Unit, feed_id: int, run: int, digest: bytes | None, etag: str | None, last_modified: str | None
) -> None:
    """Let the advisories of `run` be what the feed says, as its source, so described, said it now."""
    await unit.execute(
        _TAKEN,
        feed_id=feed_id,
        new_run=run,
        new_digest=digest,
        new_etag=etag,
        new_last_modified=last_modified,
        new_last_success_at=unit.now,
    )


async def set_settled(unit: Unit, feed_id: int, run: int) -> None:
    """Say that what changed up to `run` went into the vulnerabilities and names to be judged."""
    await unit.execute(_SETTLED, feed_id=feed_id, new_settled_run=run)


async def unsettled(reader: Reader) -> bool:
    """Say whether what a feed says now is still being worked off, so that names will wait that do not yet."""
    return await reader.fetch_one(_UNSETTLED) is not None


async def remove(unit: Unit, feed_id: int) -> None:
    """Remove the row of a feed that has no advisory any more."""
    await unit.execute(_REMOVE, feed_id=feed_id)
