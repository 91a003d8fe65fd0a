"""Deliveries go out: by mail to people, signed to webhooks, again with growing pauses, and never again once sent.

Whoever sends claims the delivery first. If that process dies between the receiver's answer and the note of it, the
delivery is repeated after the claim has run out, under the same name: `X-Packhouse-Delivery`, or the mail's Message-ID.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.notifications import hooks, outbox, subscriptions
from packhouse.catalog.notifications.outbox import DROPPED, FAILED, PENDING, SENT, Delivery
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.mail import Mail, mail_server, send
from packhouse.core.webhooks import RETRY_SECONDS, deliver, webhook_settings
from packhouse.workflows.notifying.digests import Digest, subject, text
from packhouse.workflows.services import Services

#: deliveries on their way at the same time
AT_ONCE = 8
#: how long nobody else tries what a process has claimed, in seconds; longer than any attempt takes
CLAIM_SECONDS = 600
#: attempts before a delivery has failed, and the longest pause between two, in seconds: two days in all
MOST_ATTEMPTS = 12
LONGEST_PAUSE = 6 * 3600
#: the event that webhooks are told
EVENT = "cve_notification"
log = get_logger("packhouse.notifications")
_decode = msgspec.json.Decoder(Digest).decode


class _Dropped(Exception):
    """Why nobody is told any more."""


async def send_due(services: Services) -> None:
    """Send what is due, some at a time, until nothing is; cheap when nothing is."""
    while ids := await outbox.due(services.db, await services.db.now(), AT_ONCE):
        mine = await services.db.write(partial(outbox.claim, ids=ids, microseconds=CLAIM_SECONDS * SECOND))
        bodies = await outbox.bodies(services.db, [one.digest_id for one in mine])
        await asyncio.gather(*(_send(services, one, bodies[one.digest_id]) for one in mine))


async def _send(services: Services, one: Delivery, body: str) -> None:
    try:
        await (_mail(services, one, body) if one.account_id is not None else _post(services, one, body))
    except _Dropped as dropped:
        why = str(dropped)
        await services.db.write(lambda unit: outbox.settle(unit, one, DROPPED, why))
    except PackhouseError as fault:
        await _failed(services, one, fault)
    except Exception as fault:  # one delivery must not hold up the others
        log.exception("notification could not be sent", delivery=one.uuid)
        why = f"A fault of the server itself ({type(fault).__name__}); the worker's log says more."
        await _failed(services, one, PackhouseError("try_later", why))
    else:
        await services.db.write(lambda unit: outbox.settle(unit, one, SENT))


async def _mail(services: Services, one: Delivery, body: str) -> None:
    channel = await _channel(services, one)
    people = await subscriptions.recipients(services.db, channel)
    person = next((person for person in people if person.account_id == one.account_id), None)
    if person is None or person.address is None:
        raise _Dropped("The recipient does not want it any more, lost the right to it, or has no address.")
    server = mail_server(services.settings)
    if server is None:
        raise PackhouseError("delivery_failed", "No mail server is set.", "Set `smtp_host` and `smtp_from`.")
    digest = _decode(body)
    mail = Mail(
        to=person.address,
        name=person.username,
        subject=subject(channel.path, digest),
        text=text(channel.path, digest),
        message_id=one.uuid,
    )
    await send(server, mail)


async def _post(services: Services, one: Delivery, body: str) -> None:
    channel = await _channel(services, one)
    hook = await hooks.by_id(services.db, one.webhook_id or 0)
    if hook is None:
        raise _Dropped("The webhook was removed.")
    said: dict[str, Any] = {
        "event": EVENT,
        "channel": channel.path,
        "delivery": one.uuid,
        "digest": msgspec.Raw(body.encode()),
    }
    await deliver(
        hooks.unseal(services.sealer, hook),
        EVENT,
        one.uuid,
        msgspec.json.encode(said),
        webhook_settings(services.settings.private_hosts),
    )


async def _channel(services: Services, one: Delivery) -> Channel:
    found = await channels.by_id(services.db, one.channel_id)
    if found is None:
        raise _Dropped("The channel was deleted.")
    if await subscriptions.is_silent(services.db, one.channel_id):
        raise _Dropped("Nobody is told about this channel any more.")
    return found


async def _failed(services: Services, one: Delivery, fault: PackhouseError) -> None:
    """Try again later, unless the fault is for good or it has been tried often enough; then say so once."""
    again = fault.code == "try_later" and one.attempts < MOST_ATTEMPTS
    pause = min(max(fault.retry_after or 0, RETRY_SECONDS * 2 ** (one.attempts - 1)), LONGEST_PAUSE)

    async def work(unit: Unit) -> None:
        if again:
            await outbox.settle(unit, one, PENDING, str(fault), unit.now + pause * SECOND)
            return
        channel = await channels.by_id(unit, one.channel_id)
        if await outbox.settle(unit, one, FAILED, str(fault)) and channel is not None:
            to = "mail" if one.account_id is not None else "webhook"
            data = {"delivery": one.uuid, "to": to, "attempts": one.attempts, "reason": fault.message}
            await record_event(
                unit, type="cve_notification_failed", actor="system", object=channel.path, channel_id=channel.id,
                data=data,
            )  # fmt: skip

    await services.db.write(work)
