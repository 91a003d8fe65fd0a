"""Mirrors on the wire: two shapes, for a channel's list and for the list of all."""

from __future__ import annotations

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.mirror import Counts, Failure, Mirror, Options
from packhouse.catalog.mirrors.store import Conflict
from packhouse.core.clock import to_iso
from packhouse.core.db import Row
from packhouse.doors.api.words import ConflictDecision, MirrorMode, MirrorState, MirrorType, Privacy
from packhouse.formats import registry


class SyncState(msgspec.Struct, kw_only=True):
    """How the last run goes or went."""

    last_ckey: str
    last_exception: str
    total_steps_count: int
    current_step_number: int
    current_step_percentage: int
    current_step_description: str
    count: Counts
    failures: list[Failure]
    asks: str  #: `shrink` when a run stopped and waits for an administrator's yes


class MirrorShape(msgspec.Struct, kw_only=True):
    """A mirror in its channel. Secrets are never in it."""

    mirror_id: str
    mirror_name: str
    mirror_type: MirrorType
    mirror_mode: MirrorMode
    state: MirrorState
    source_root: str
    proxy: str | None
    cron: str
    filters: Filters
    use_channel_policy: bool
    policy_id: str | None  #: the policy it has of its own
    options: Options
    last_run_at: str | None  #: RFC 3339
    next_run_at: str | None
    created_at: str
    updated_at: str
    sync_state: SyncState


class ChannelPart(msgspec.Struct):
    """The channel a mirror fills."""

    name: str
    privacy: Privacy


class SubchannelPart(msgspec.Struct):
    """The subchannel a mirror fills."""

    name: str


class GlobalMirror(msgspec.Struct, kw_only=True):
    """A mirror in the list of all."""

    id: str
    name: str
    type: MirrorType
    mode: MirrorMode
    state: MirrorState
    source_root: str
    cron: str
    proxy: str | None
    filters: Filters
    last_run_at: str | None
    created_at: str
    updated_at: str
    channel: ChannelPart
    subchannel: SubchannelPart | msgspec.UnsetType = msgspec.UNSET  #: left out when the mirror fills a channel itself
    sync_state: SyncState


class ConflictShape(msgspec.Struct, kw_only=True):
    """A coordinate under which the upstream has other bytes than the channel."""

    ckey: str
    held_sha256: str | None
    upstream_sha256: str | None
    reason: str
    decision: ConflictDecision | None  #: null: nobody decided yet
    at: str  #: RFC 3339


class KeptOut(msgspec.Struct, kw_only=True):
    """A file a person took out, so that mirrors do not bring it again."""

    family: str
    name: str
    ckey: str
    at: str  #: RFC 3339


def mirror_shape(mirror: Mirror) -> MirrorShape:
    """Fill the shape of a mirror in its channel."""
    return MirrorShape(
        mirror_id=mirror.uuid,
        mirror_name=mirror.name,
        mirror_type=mirror.type,
        mirror_mode=mirror.mode,
        state=mirror.state,
        source_root=mirror.source,
        proxy=mirror.options.proxy,
        cron=mirror.cron,
        filters=mirror.filters,
        use_channel_policy=mirror.options.use_channel_policy,
        policy_id=mirror.options.policy_id,
        options=mirror.options,
        last_run_at=to_iso(mirror.last_run_at),
        next_run_at=to_iso(mirror.next_run_at),
        created_at=to_iso(mirror.created_at) or "",
        updated_at=to_iso(mirror.updated_at) or "",
        sync_state=sync_state(mirror),
    )


def global_mirror(mirror: Mirror, channel: Channel) -> GlobalMirror:
    """Fill the shape of a mirror in the list of all."""
    name, _, subchannel = channel.path.partition("/")
    return GlobalMirror(
        id=mirror.uuid,
        name=mirror.name,
        type=mirror.type,
        mode=mirror.mode,
        state=mirror.state,
        source_root=mirror.source,
        cron=mirror.cron,
        proxy=mirror.options.proxy,
        filters=mirror.filters,
        last_run_at=to_iso(mirror.last_run_at),
        created_at=to_iso(mirror.created_at) or "",
        updated_at=to_iso(mirror.updated_at) or "",
        channel=ChannelPart(name, channel.privacy),
        subchannel=SubchannelPart(subchannel) if subchannel else msgspec.UNSET,
        sync_state=sync_state(mirror),
    )


def sync_state(mirror: Mirror) -> SyncState:
    """Fill what is shown of the last run, or of how the first one begins; what the next run must know is left out."""
    shown = SyncState(**{name: getattr(mirror.progress, name) for name in SyncState.__struct_fields__})
    if mirror.state == "stopped" and mirror.last_run_at is None and not shown.current_step_description:
        starts = f"at {to_iso(mirror.next_run_at)}, by its schedule" if mirror.next_run_at else "when it is restarted"
        lazy = mirror.family in registry.FORMATS and registry.get(mirror.family).upstream is not None
        serves = " Names are served as they are asked for, which needs no run and is not counted here." if lazy else ""
        shown.current_step_description = f"It never ran; it runs {starts}.{serves}"
    return shown


def conflict_shape(conflict: Conflict) -> ConflictShape:
    """Fill the shape of a conflict."""
    return ConflictShape(
        ckey=f"{conflict.partition}/{conflict.filename}",
        held_sha256=bytes(conflict.held_sha256).hex() if conflict.held_sha256 else None,
        upstream_sha256=bytes(conflict.upstream_sha256).hex() if conflict.upstream_sha256 else None,
        reason=conflict.reason,
        decision=conflict.decision,
        at=to_iso(conflict.at) or "",
    )


def kept_out(row: Row) -> KeptOut:
    """Fill the shape of a file a person took out."""
    return KeptOut(family=row[0], name=row[2], ckey=f"{row[1]}/{row[3]}", at=to_iso(row[4]) or "")
