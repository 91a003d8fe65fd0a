"""Channels on the wire."""

from __future__ import annotations

import msgspec

from packhouse.catalog.channels.listing import ChannelRow
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import Access, Behavior, Privacy


class ChannelShape(msgspec.Struct, kw_only=True):
    """A channel or subchannel."""

    name: str  #: a subchannel's own name, without its parent's
    parent: str | None
    privacy: Privacy
    description: str
    owners: list[str]  #: user names: the owner first, then who manages the group of owners
    artifact_count: int  #: packages
    file_count: int
    download_count: int  #: of the packages that are there: one that loses its last file takes its own along
    mirror_count: int
    subchannel_count: int  #: those the caller may see
    channel_count: int  #: the same, as another client calls it
    indexing_behavior: Behavior
    policy_id: str | None  #: of the policy that is assigned
    policy: str | None  #: its name
    created: str  #: RFC 3339
    updated: str
    access: Access | msgspec.UnsetType = msgspec.UNSET  #: in the account's list only


class EditedChannel(ChannelShape, kw_only=True):
    """The answer to an edit."""

    changed: bool  #: False: it was like that before


def channel_shape(row: ChannelRow) -> ChannelShape:
    """Fill the shape of one channel."""
    return ChannelShape(**_fields(row))  # type: ignore[arg-type]  # the names are those of the structure


def edited_channel(row: ChannelRow, changed: bool) -> EditedChannel:
    """Fill the answer to an edit."""
    return EditedChannel(**_fields(row), changed=changed)  # type: ignore[arg-type]  # the names are those of it


def own_channel(row: ChannelRow, caller: Principal) -> ChannelShape:
    """Fill the shape of a channel in its owner's or grantee's own list."""
    shape = channel_shape(row)
    if row.owner_id == caller.account_id:
        shape.access = "owner"
    else:
        shape.access = "collaborator" if row.grant > 1 else "viewer"
    return shape


def _fields(row: ChannelRow) -> dict[str, object]:
    parent, _, name = row.path.rpartition("/")
    return {
        "name": name,
        "parent": parent or None,
        "privacy": row.privacy,
        "description": row.description,
        "owners": [*([row.owner] if row.owner else []), *row.managers],
        "artifact_count": row.artifact_count,
        "file_count": row.file_count,
        "download_count": row.download_count,
        "mirror_count": row.mirror_count,
        "subchannel_count": row.subchannel_count,
        "channel_count": row.subchannel_count,
        "indexing_behavior": "default" if row.frozen_at is None else "frozen",
        "policy_id": row.policy_id,
        "policy": row.policy,
        "created": to_iso(row.created_at),
        "updated": to_iso(row.updated_at),
    }
