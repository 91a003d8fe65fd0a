"""`…/notifications`: who is told what is newly found in a channel, by mail and by webhooks, and whether it arrived."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.notifications import hooks, outbox, subscriptions
from packhouse.catalog.rights.principal import Principal
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import Caller, Here, House, Limit, Offset, Page, Text, Word, page_size
from packhouse.doors.api.permissions import SUBSCRIBE
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.notifications import (
    AccountNotifications,
    DeliveryShape,
    DigestShape,
    NewWebhook,
    NotificationsShape,
    delivery_shape,
    digest_shape,
    new_webhook,
    subscription_shape,
    webhook_shape,
)
from packhouse.workflows.notifying import choosing
from packhouse.workflows.services import Services


class NotificationsEdit(Body):
    """Whether anybody is told about a channel."""

    enabled: bool


class SubscriptionEdit(Body):
    """Whether the caller wants to be told about a channel."""

    subscribed: bool


class WebhookRequest(Body):
    """An address that notifications are sent to."""

    url: Text
    secret: Word | None = None  #: signs what is sent; without one it is made up


class RetryRequest(Body):
    """Deliveries that failed and shall be tried anew."""

    deliveries: list[Word] | None = None  #: their ids; without them every one that failed


class RetriedDeliveries(msgspec.Struct):
    """How many deliveries are tried anew."""

    count: int


class AddressEdit(Body):
    """Where the caller gets mail."""

    email: Word  #: empty: at the user name, if that is an address


@get(of_channel("/notifications"), tags=["notifications"], responses=refused())
async def channel_notifications(caller: Caller, services: House, here: Here) -> NotificationsShape:
    """Tell who is told what is newly found in a channel: its owner, unless they do not want to, and subscribers."""
    return await _of_channel(caller, services, here)


@put(of_channel("/notifications"), tags=["notifications"], responses=refused())
async def edit_notifications(
    data: JSONBody[NotificationsEdit], caller: Caller, services: House, here: Here
) -> NotificationsShape:
    """Let nobody be told about a channel, or again those who want to be."""
    await choosing.set_enabled(services, here, caller.username, data.enabled)
    return await _of_channel(caller, services, here)


@put(of_channel("/notifications/subscription"), tags=["notifications"], responses=refused())
async def edit_subscription(
    data: JSONBody[SubscriptionEdit], caller: Caller, services: House, here: Here
) -> NotificationsShape:
    """Say whether the caller wants to be told about a channel by mail."""
    await permitted_channel(services.db, caller, SUBSCRIBE, here.path)
    await choosing.subscribe(services, here, caller.account_id or 0, caller.username, data.subscribed)
    return await _of_channel(caller, services, here)


@post(of_channel("/notifications/webhooks"), tags=["notifications"], responses=refused("conflict"))
async def add_webhook(data: JSONBody[WebhookRequest], caller: Caller, services: House, here: Here) -> NewWebhook:
    """Send notifications to an address, too; private ones must be named in PACKHOUSE_ALLOWED_PRIVATE_HOSTS."""
    return new_webhook(*await choosing.add_hook(services, here, caller, data.url, data.secret))


@delete(of_channel("/notifications/webhooks/{webhook_id:str}"), tags=["notifications"], responses=refused())
async def remove_webhook(webhook_id: FromPath[str], caller: Caller, services: House, here: Here) -> None:
    """Send nothing more to a webhook."""
    await choosing.remove_hook(services, here, caller.username, webhook_id)


@get(of_channel("/notifications/digests"), tags=["notifications"], responses=refused())
async def list_digests(services: House, here: Here, limit: Limit = 20, offset: Offset = 0) -> Page[DigestShape]:
    """List what was newly found in a channel, the latest first; digests are kept for 30 days."""
    found, total = await outbox.digests(services.db, here.id, page_size(limit), offset)
    return Page([digest_shape(one) for one in found], total)


@get(of_channel("/notifications/deliveries"), tags=["notifications"], responses=refused())
async def list_deliveries(services: House, here: Here, limit: Limit = 100, offset: Offset = 0) -> Page[DeliveryShape]:
    """List what was sent to whom, the latest first, and what could not be sent."""
    found, total = await outbox.deliveries(services.db, here.id, page_size(limit), offset)
    return Page([delivery_shape(one, to) for one, to in found], total)


@post(of_channel("/notifications/deliveries/retry"), tags=["notifications"], status_code=202, responses=refused())
async def retry_deliveries(
    data: JSONBody[RetryRequest], caller: Caller, services: House, here: Here
) -> RetriedDeliveries:
    """Try deliveries anew that failed."""
    return RetriedDeliveries(await choosing.send_again(services, here, caller.username, data.deliveries))


@get("/api/account/notifications", tags=["account"], responses=refused())
async def account_notifications(caller: Caller, services: House) -> AccountNotifications:
    """List the channels the caller owns, or said whether to be told about, and where mail goes."""
    return await _of_account(caller, services)


@put("/api/account/notifications", tags=["account"], responses=refused())
async def edit_address(data: JSONBody[AddressEdit], caller: Caller, services: House) -> AccountNotifications:
    """Say where the caller gets mail."""
    await choosing.set_address(services, caller.account_id or 0, caller.username, data.email.strip())
    return await _of_account(caller, services)


async def _of_channel(caller: Principal, services: Services, here: Channel) -> NotificationsShape:
    people = await subscriptions.recipients(services.db, here)
    found = await hooks.of_channel(services.db, here.id)
    return NotificationsShape(
        enabled=not await subscriptions.is_silent(services.db, here.id),
        subscribed=any(one.account_id == caller.account_id for one in people),
        mail=services.settings.smtp_host != "",
        subscribers=[one.username for one in people],
        webhooks=[webhook_shape(one) for one in found],
    )


async def _of_account(caller: Principal, services: Services) -> AccountNotifications:
    found = await subscriptions.of_account(services.db, caller.account_id or 0)
    return AccountNotifications(
        email=await subscriptions.address_of(services.db, caller.account_id or 0, caller.username),
        mail=services.settings.smtp_host != "",
        items=[subscription_shape(one) for one in found],
        total_count=len(found),
    )


HANDLERS = [
    channel_notifications,
    edit_notifications,
    edit_subscription,
    add_webhook,
    remove_webhook,
    list_digests,
    list_deliveries,
    retry_deliveries,
    account_notifications,
    edit_address,
]
