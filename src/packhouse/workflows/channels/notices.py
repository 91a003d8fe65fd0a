"""What a channel tells the people who install from it (CEP 6)."""

from __future__ import annotations

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.core.clock import end_from_iso
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.creating import gone
from packhouse.workflows.channels.store import lock
from packhouse.workflows.services import Services

LEVELS = ("info", "warning", "critical")
#: characters of a message
MESSAGE_LENGTH = 2000


async def add_notice(
    services: Services, channel: Channel, actor: str, message: str, level: str, expires_at: str | None
) -> int:
    """Show a notice to conda users until `expires_at` (ISO 8601; None: until it is removed); return its id.

    Raises PackhouseError: `bad_request`, `not_found`.
    """
    if not message.strip() or len(message) > MESSAGE_LENGTH or not _plain(message):
        raise PackhouseError(
            "bad_request", f"`message` needs 1 to {MESSAGE_LENGTH} characters, none of them control.", "Correct it."
        )
    if level not in LEVELS:
        raise PackhouseError("bad_request", f"`level`: {level[:40]!r} is none.", f"Use one of {', '.join(LEVELS)}.")
    until = _time(expires_at)

    async def work(unit: Unit) -> int:
        if await lock(unit, channel.id) is None:
            raise gone()
        notice_id = await channels.add_notice(unit, channel.id, message, level, until)
        await _tell(unit, "channel_notice_added", channel, actor, notice_id)
        return notice_id

    return await services.db.write(work)


async def remove_notice(services: Services, channel: Channel, actor: str, notice_id: int) -> None:
    """Take a notice away. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> None:
        if not await channels.drop_notice(unit, channel.id, notice_id):
            raise PackhouseError("not_found", "There is no such notice.", "List the notices to find its id.")
        await _tell(unit, "channel_notice_removed", channel, actor, notice_id)

    await services.db.write(work)


async def _tell(unit: Unit, kind: str, channel: Channel, actor: str, notice_id: int) -> None:
    await record_event(
        unit, type=kind, actor=actor, object=channel.path, channel_id=channel.id, data={"notice": notice_id}
    )
    await changes.note(unit, "notice", channel.id)


def _plain(message: str) -> bool:
    """Whether a message is safe in a terminal: conda prints it as it is."""
    return all(character.isprintable() or character == "\n" for character in message)


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return end_from_iso(text)
    except (ValueError, OverflowError):
        raise PackhouseError(
            "bad_request", f"`expires_at`: {text[:40]!r} is no time.", "Write it like 2027-01-31T12:00:00Z."
        ) from None
