"""Queries of mirrors, of the upstream indexes they took in, and of their conflicts."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Text, and_, bindparam, delete, func, insert, or_, select, update

from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.mirror import MOST_FAILURES, Failure, Mirror, Options, Progress, Spec
from packhouse.catalog.runs import LIVE
from packhouse.catalog.schema import channel, mirror, mirror_conflict, mirror_index, removal
from packhouse.core.db import Row, Unit
from packhouse.core.db.base import Reader

_FIELDS = tuple(mirror.c[name] for name in Mirror.__struct_fields__)
_JSON = {8: Filters, 9: Options, 12: Progress}
_CREDENTIAL = 10
_SHOWN = mirror.c.deleted_at.is_(None)

_BY_UUID = select(*_FIELDS).where(mirror.c.uuid == bindparam("uuid"), _SHOWN)
_BY_ID = select(*_FIELDS).where(mirror.c.id == bindparam("mirror_id"))
# not against rows that only refer to the mirror
_HOLD = _BY_ID.with_for_update(key_share=True)
_OF_CHANNEL = select(*_FIELDS).where(mirror.c.channel_id == bindparam("channel_id"), _SHOWN).order_by(mirror.c.name)
_HOLD_ALL = (
    select(*_FIELDS)
    .where(mirror.c.channel_id == bindparam("channel_id"), _SHOWN)
    .order_by(mirror.c.id)
    .with_for_update(key_share=True)
)
_ALL = (
    select(*_FIELDS)
    .join_from(mirror, channel, and_(channel.c.id == mirror.c.channel_id, channel.c.path.is_not(None)))
    .where(_SHOWN)
    .order_by(mirror.c.name, mirror.c.id)
)
_IN_STATE = select(*_FIELDS).where(mirror.c.state == bindparam("state")).order_by(mirror.c.id)
_TO_BE_CLEARED = (
    select(*_FIELDS)
    .join_from(mirror, channel, channel.c.id == mirror.c.channel_id)
    .where(mirror.c.state == "deleting", channel.c.frozen_at.is_(None))
    .order_by(mirror.c.id)
)
_DUE = _ALL.where(mirror.c.next_run_at <= bindparam("now"))
_INSERT = insert(mirror).values({column.name: bindparam(column.name) for column in mirror.c if column.name != "id"})
_INSERT = _INSERT.returning(mirror.c.id)
_EDIT = (
    update(mirror)
    .where(mirror.c.id == bindparam("mirror_id"))
    .values(
        {name: bindparam(f"new_{name}") for name in ("name", "mode", "source", "cron", "filters", "options")}
        | {"credential": bindparam("new_credential"), "updated_at": bindparam("now"), "needs_full_run": True}
        | {"next_run_at": bindparam("new_next")}
    )
)
_OPTIONS = (
    update(mirror)
    .where(mirror.c.id == bindparam("mirror_id"))
    .values(options=bindparam("new_options"), updated_at=bindparam("now"), needs_full_run=True)
)
_STATE = (
    update(mirror)
    .where(mirror.c.id == bindparam("mirror_id"))
    .values(state=bindparam("new_state"), progress=bindparam("new_progress"))
)
_PROGRESS = update(mirror).where(mirror.c.id == bindparam("mirror_id")).values(progress=bindparam("new_progress"))
_PROGRESS_BETWEEN_RUNS = _PROGRESS.where(mirror.c.state == bindparam("known_state"))
_RAN = update(mirror).where(mirror.c.id == bindparam("mirror_id")).values(last_run_at=bindparam("at"))
_NEXT = update(mirror).where(mirror.c.id == bindparam("mirror_id")).values(next_run_at=bindparam("at"))
_FULL = update(mirror).where(mirror.c.id == bindparam("mirror_id")).values(needs_full_run=bindparam("needed"))
_FULL_SIGNED = (
    update(mirror)
    .where(or_(mirror.c.filters.like('%"only_signed":true%'), mirror.c.options.like('%"policy_id":"%')))
    .values(needs_full_run=True)
)
_FULL_ALL = update(mirror).where(mirror.c.channel_id == bindparam("channel")).values(needs_full_run=True)
_DELETE = (
    update(mirror)
    .where(mirror.c.id == bindparam("mirror_id"), _SHOWN)
    .values(state="deleting", deleted_at=bindparam("now"), progress=bindparam("new_progress"))
)
_FORGET_CREDENTIAL = update(mirror).where(mirror.c.id == bindparam("mirror_id")).values(credential=None)

_INDEXES = select(*mirror_index.c).where(mirror_index.c.mirror_id == bindparam("mirror_id"))
_PUT_INDEX = """INSERT INTO mirror_index
 (mirror_id, partition, url, etag, last_modified, digest, base_url, shards, file_count)
 VALUES (:mirror_id, :partition, :url, :etag, :last_modified, :digest, :base_url, :shards, :file_count)
 ON CONFLICT (mirror_id, partition) DO UPDATE SET url = excluded.url, etag = excluded.etag,
 last_modified = excluded.last_modified, digest = excluded.digest, base_url = excluded.base_url,
 shards = excluded.shards, file_count = excluded.file_count"""
_DROP_INDEX = delete(mirror_index).where(
    mirror_index.c.mirror_id == bindparam("mirror_id"), mirror_index.c.partition == bindparam("partition")
)
_DROP_INDEXES = delete(mirror_index).where(mirror_index.c.mirror_id == bindparam("mirror_id"))
_BASE = select(mirror_index.c.base_url).where(
    mirror_index.c.mirror_id == bindparam("mirror_id"), mirror_index.c.partition == bindparam("partition")
)

_CONFLICTS = (
    select(*mirror_conflict.c)
    .where(mirror_conflict.c.mirror_id == bindparam("mirror_id"))
    .order_by(mirror_conflict.c.partition, mirror_conflict.c.filename)
)
# A decision holds for the bytes it was made about; other ones ask anew, where the upstream says which they are.
_PUT_CONFLICT = """INSERT INTO mirror_conflict
 (mirror_id, partition, filename, held_sha256, upstream_sha256, reason, at)
 VALUES (:mirror_id, :partition, :filename, :held_sha256, :upstream_sha256, :reason, :at)
 ON CONFLICT (mirror_id, partition, filename) DO UPDATE SET held_sha256 = excluded.held_sha256, at = excluded.at,
 reason = excluded.reason, upstream_sha256 = excluded.upstream_sha256,
 decision = CASE WHEN mirror_conflict.upstream_sha256 = excluded.upstream_sha256
 OR (mirror_conflict.upstream_sha256 IS NULL AND excluded.upstream_sha256 IS NULL) THEN mirror_conflict.decision END"""
_DECIDE = (
    update(mirror_conflict)
    .where(
        mirror_conflict.c.mirror_id == bindparam("of_mirror"),
        mirror_conflict.c.partition == bindparam("in_partition"),
        mirror_conflict.c.filename == bindparam("named"),
    )
    .values(decision=bindparam("new_decision"))
)
_DROP_CONFLICT = delete(mirror_conflict).where(
    mirror_conflict.c.mirror_id == bindparam("mirror_id"),
    mirror_conflict.c.partition == bindparam("partition"),
    mirror_conflict.c.filename == bindparam("filename"),
)

_FORGIVE = (
    update(removal)
    .where(
        removal.c.channel_id == bindparam("in_channel"),
        removal.c.family == bindparam("of_family"),
        removal.c.name == bindparam("of_name"),
        removal.c.by_person.is_(True),
        or_(bindparam("ckey", type_=Text) == "", removal.c.partition + "/" + removal.c.filename == bindparam("ckey")),
    )
    .values(by_person=False)
)
_KEPT_OUT = (
    select(removal.c.family, removal.c.partition, removal.c.name, removal.c.filename, func.max(removal.c.at))
    .where(removal.c.channel_id == bindparam("channel_id"), removal.c.by_person.is_(True))
    .group_by(removal.c.family, removal.c.partition, removal.c.name, removal.c.filename)
    .order_by(removal.c.name, removal.c.partition, removal.c.filename)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)

_COUNT_KEPT_OUT = select(func.count()).select_from(_KEPT_OUT.limit(None).offset(None).order_by(None).subquery())

_encode = msgspec.json.Encoder(order="deterministic").encode


class TakenIndex(msgspec.Struct, frozen=True):
    """The upstream index of one partition as last taken in completely."""

    mirror_id: int
    partition: str
    url: str
    etag: str | None
    last_modified: str | None
    digest: bytes  #: SHA-256 of the index as it was sent
    base_url: str  #: where the files are; empty: beside the index
    shards: bytes | None  #: msgpack of {name: SHA-256 of its shard}; None: the index is not sharded
    file_count: int


class Conflict(msgspec.Struct, frozen=True):
    """A coordinate under which the upstream has other bytes than this channel."""

    mirror_id: int
    partition: str
    filename: str
    held_sha256: bytes | None
    upstream_sha256: bytes | None
    reason: str
    decision: str | None
    at: int


def text(value: Any) -> str:
    """Return a struct as the JSON text of its column."""
    return _encode(value).decode()


def _mirror(row: Row) -> Mirror:
    values = list(row)
    for position, kind in _JSON.items():
        values[position] = msgspec.json.decode(values[position] or "{}", type=kind)
    values[_CREDENTIAL] = values[_CREDENTIAL] or ""
    values[13] = bool(values[13])
    return Mirror(*values)


async def by_uuid(reader: Reader, uuid: str) -> Mirror | None:
    """Return the mirror with this public id, unless it is deleted."""
    row = await reader.fetch_one(_BY_UUID, uuid=uuid)
    return _mirror(row) if row else None


async def by_id(reader: Reader, mirror_id: int) -> Mirror | None:
    """Return a mirror, deleted or not."""
    row = await reader.fetch_one(_BY_ID, mirror_id=mirror_id)
    return _mirror(row) if row else None


async def hold(unit: Unit, mirror_id: int) -> Mirror | None:
    """Return a mirror, deleted or not; nobody changes it before the unit has ended."""
    row = await unit.fetch_one(_HOLD, mirror_id=mirror_id)
    return _mirror(row) if row else None


async def of_channel(reader: Reader, channel_id: int) -> list[Mirror]:
    """Return the mirrors of a channel, by name."""
    return [_mirror(row) for row in await reader.fetch_all(_OF_CHANNEL, channel_id=channel_id)]


async def all_mirrors(reader: Reader) -> list[Mirror]:
    """Return every mirror of every channel that is not deleted, by name."""
    return [_mirror(row) for row in await reader.fetch_all(_ALL)]


async def in_state(reader: Reader, state: str) -> list[Mirror]:
    """Return the mirrors in one state."""
    return [_mirror(row) for row in await reader.fetch_all(_IN_STATE, state=state)]


async def to_be_cleared(reader: Reader) -> list[Mirror]:
    """Return the deleted mirrors that left something behind, but for those of frozen channels, which wait."""
    return [_mirror(row) for row in await reader.fetch_all(_TO_BE_CLEARED)]


async def due(reader: Reader, now: int) -> list[Mirror]:
    """Return the mirrors whose schedule says that they should run."""
    return [_mirror(row) for row in await reader.fetch_all(_DUE, now=now)]


async def insert_mirror(
    unit: Unit, uuid: str, channel_id: int, spec: Spec, sealed: str, state: str, next_run_at: int | None
) -> int:
    """Add a mirror and return its id; `sealed` is the credential of the spec as it is kept."""
    return int(
        await unit.fetch_value(
            _INSERT,
            uuid=uuid,
            channel_id=channel_id,
            type=spec.type,
            state=state,
            progress=text(Progress()),
            needs_full_run=True,
            last_run_at=None,
            next_run_at=next_run_at,
            created_at=unit.now,
            updated_at=unit.now,
            deleted_at=None,
            **_columns(spec, sealed),
        )
    )


async def edit(unit: Unit, mirror_id: int, spec: Spec, sealed: str, next_run_at: int | None) -> None:
    """Replace the spec; the next run looks at every file anew. `sealed` is its credential as it is kept."""
    values = {f"new_{name}": value for name, value in _columns(spec, sealed).items()}
    await unit.execute(_EDIT, mirror_id=mirror_id, now=unit.now, new_next=next_run_at, **values)


async def set_options(unit: Unit, mirror_id: int, options: Options) -> None:
    """Replace the options; the next run looks at every file anew, and one that is under way begins anew."""
    await unit.execute(_OPTIONS, mirror_id=mirror_id, now=unit.now, new_options=text(options))


def _columns(spec: Spec, sealed: str) -> dict[str, Any]:
    return {
        "name": spec.name,
        "mode": spec.mode,
        "source": spec.source,
        "cron": spec.cron,
        "filters": text(spec.filters),
        "options": text(spec.options),
        "credential": sealed or None,
    }


async def set_state(unit: Unit, mirror_id: int, state: str, progress: Progress) -> None:
    """Set the state and what is shown of the run."""
    await unit.execute(_STATE, mirror_id=mirror_id, new_state=state, new_progress=text(progress))


async def set_progress(unit: Unit, mirror_id: int, progress: Progress) -> None:
    """Set what is shown of the run."""
    await unit.execute(_PROGRESS, mirror_id=mirror_id, new_progress=text(progress))


async def add_failure(unit: Unit, mirror_id: int, failure: Failure) -> None:
    """Show a file that could not be fetched on demand. While a run has the word, or is about to, nothing is added."""
    now = await by_id(unit, mirror_id)
    if now is None or now.state in LIVE:
        return
    others = [one for one in now.progress.failures if one.ckey != failure.ckey]
    now.progress.failures = [*others[1 - MOST_FAILURES :], failure]
    shown = text(now.progress)
    await unit.execute(_PROGRESS_BETWEEN_RUNS, mirror_id=mirror_id, known_state=now.state, new_progress=shown)


async def set_last_run(unit: Unit, mirror_id: int) -> None:
    """Note that a run ended now."""
    await unit.execute(_RAN, mirror_id=mirror_id, at=unit.now)


async def set_next_run(unit: Unit, mirror_id: int, at: int | None) -> None:
    """Set when the schedule wants the next run."""
    await unit.execute(_NEXT, mirror_id=mirror_id, at=at)


async def set_full_run(unit: Unit, mirror_id: int, needed: bool) -> None:
    """Say whether the next run must look at every file, whatever the upstream's validators say."""
    await unit.execute(_FULL, mirror_id=mirror_id, needed=needed)


async def ask_full_run_of_signed(unit: Unit) -> None:
    """Let mirrors that take signed files only look at everything next time: whose signatures count has changed.

    Those with a policy of their own, too, which may ask for that.
    """
    await unit.execute(_FULL_SIGNED)


async def ask_full_run(unit: Unit, channel_id: int) -> None:
    """Let the mirrors of a channel look at every file in their next run: they may bring again what was kept out."""
    await unit.execute(_FULL_ALL, channel=channel_id)


async def tell_neighbours(unit: Unit, channel_id: int, mirror_id: int) -> None:
    """Let other mirrors look at every file in their next run, as coordinates that this one held have become free.

    Only those that met coordinates of others, or are finding out: what the rest bring, nobody else ever held.
    """
    for other in [_mirror(row) for row in await unit.fetch_all(_HOLD_ALL, channel_id=channel_id)]:
        concerned = other.progress.meets_others or other.state in LIVE
        if other.id != mirror_id and concerned and not other.needs_full_run:
            await set_full_run(unit, other.id, True)


async def mark_deleted(unit: Unit, mirror_id: int, progress: Progress) -> bool:
    """Take the mirror out of sight; False when that has happened already."""
    return await unit.execute(_DELETE, mirror_id=mirror_id, now=unit.now, new_progress=text(progress)) > 0


async def forget_credential(unit: Unit, mirror_id: int) -> None:
    """Forget what opened the source of a mirror that nothing is fetched for any more."""
    await unit.execute(_FORGET_CREDENTIAL, mirror_id=mirror_id)


async def indexes(reader: Reader, mirror_id: int) -> dict[str, TakenIndex]:
    """Return by partition the indexes that were taken in."""
    rows = await reader.fetch_all(_INDEXES, mirror_id=mirror_id)
    return {taken.partition: taken for taken in (TakenIndex(*row) for row in rows)}


async def put_index(unit: Unit, taken: TakenIndex) -> None:
    """Note that an index was taken in completely."""
    await unit.execute(_PUT_INDEX, **{name: getattr(taken, name) for name in TakenIndex.__struct_fields__})


async def drop_index(unit: Unit, mirror_id: int, partition: str | None = None) -> None:
    """Forget one index, or all of a mirror."""
    if partition is None:
        await unit.execute(_DROP_INDEXES, mirror_id=mirror_id)
    else:
        await unit.execute(_DROP_INDEX, mirror_id=mirror_id, partition=partition)


async def base_url(reader: Reader, mirror_id: int, partition: str) -> str:
    """Return where the files of a partition are; empty: beside its index."""
    return await reader.fetch_value(_BASE, mirror_id=mirror_id, partition=partition) or ""


async def conflicts(reader: Reader, mirror_id: int) -> list[Conflict]:
    """Return the conflicts of a mirror, decided or not."""
    return [Conflict(*row) for row in await reader.fetch_all(_CONFLICTS, mirror_id=mirror_id)]


async def put_conflicts(unit: Unit, rows: list[dict[str, Any]]) -> None:
    """Note conflicts: mirror_id, partition, filename, held_sha256, upstream_sha256, reason."""
    await unit.execute_many(_PUT_CONFLICT, [{**row, "at": unit.now} for row in rows])


async def decide_conflict(unit: Unit, mirror_id: int, partition: str, filename: str, decision: str) -> bool:
    """Write down what an administrator decided; False when there is no such conflict."""
    return (
        await unit.execute(_DECIDE, of_mirror=mirror_id, in_partition=partition, named=filename, new_decision=decision)
        > 0
    )


async def drop_conflicts(unit: Unit, mirror_id: int, keys: list[tuple[str, str]]) -> None:
    """Forget conflicts, given as (partition, filename), that are none any more."""
    rows = [{"mirror_id": mirror_id, "partition": partition, "filename": filename} for partition, filename in keys]
    await unit.execute_many(_DROP_CONFLICT, rows)


async def forgive(unit: Unit, channel_id: int, family: str, name: str, ckey: str | None) -> int:
    """Let mirrors bring the files of a package (or one of them) again; return how many removals that concerns.

    `entries.forgive` does that for the one coordinate at which somebody uploads.
    """
    return await unit.execute(_FORGIVE, in_channel=channel_id, of_family=family, of_name=name, ckey=ckey or "")


async def kept_out(reader: Reader, channel_id: int, limit: int, offset: int) -> list[Row]:
    """Return (family, partition, name, filename, when) of what people took out, so that mirrors do not bring it."""
    return await reader.fetch_all(_KEPT_OUT, channel_id=channel_id, limit=limit, offset=offset)


async def count_kept_out(reader: Reader, channel_id: int) -> int:
    """Return how many files `kept_out` has for a channel."""
    return int(await reader.fetch_value(_COUNT_KEPT_OUT, channel_id=channel_id))
