"""Notifications on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.notifications.hooks import Hook
from packhouse.catalog.notifications.outbox import Delivery, Digest
from packhouse.catalog.notifications.subscriptions import Subscription
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import DeliveryState


class WebhookShape(msgspec.Struct, kw_only=True):
    """A webhook; its path and secret are never shown again."""

    id: str
    origin: str  #: `https://HOST[:PORT]`
    added_by: str
    added_at: str  #: RFC 3339


class NewWebhook(WebhookShape, kw_only=True):
    """A webhook with the secret that signs, which is shown this once."""

    secret: str


class NotificationsShape(msgspec.Struct, kw_only=True):
    """Who is told about a channel."""

    enabled: bool  #: false: nobody is
    subscribed: bool  #: whether the caller is, by mail
    mail: bool  #: whether this server sends mail
    subscribers: list[str]  #: the names of those who are
    webhooks: list[WebhookShape]


class SubscriptionShape(msgspec.Struct, kw_only=True):
    """A channel the caller owns, or said whether to be told about."""

    channel: str
    subscribed: bool
    enabled: bool  #: false: nobody is told about this channel


class AccountNotifications(msgspec.Struct, kw_only=True):
    """What the caller is told, and where."""

    email: str | None
    mail: bool  #: whether this server sends mail
    items: list[SubscriptionShape]
    total_count: int


class DigestShape(msgspec.Struct, kw_only=True):
    """What was newly found in a channel at a time."""

    id: int
    created_at: str  #: RFC 3339
    digest: dict[str, Any]  #: as it is sent to webhooks


class DeliveryShape(msgspec.Struct, kw_only=True):
    """A digest on its way to somebody."""

    id: str  #: `X-Packhouse-Delivery`, and part of the mail's Message-ID
    digest_id: int
    to: str  #: `mail:USERNAME` or `webhook:ID`
    state: DeliveryState
    attempts: int
    next_attempt_at: str | None
    sent_at: str | None
    error: str | None  #: of the last attempt


def webhook_shape(one: Hook) -> WebhookShape:
    """Fill the shape of a webhook."""
    return WebhookShape(id=one.uuid, origin=one.url, added_by=one.by, added_at=to_iso(one.at) or "")


def new_webhook(one: Hook, secret: str) -> NewWebhook:
    """Fill the shape of a webhook that was made just now."""
    return NewWebhook(**msgspec.structs.asdict(webhook_shape(one)), secret=secret)


def subscription_shape(one: Subscription) -> SubscriptionShape:
    """Fill the shape of a subscription."""
    return SubscriptionShape(channel=one.path, subscribed=one.wanted, enabled=not one.silent)


def digest_shape(one: Digest) -> DigestShape:
    """Fill the shape of a digest."""
    return DigestShape(id=one.id, created_at=to_iso(one.at) or "", digest=msgspec.json.decode(one.body))


def delivery_shape(one: Delivery, to: str) -> DeliveryShape:
    """Fill the shape of a delivery."""
    return DeliveryShape(
        id=one.uuid,
        digest_id=one.digest_id,
        to=to,
        state=one.state,
        attempts=one.attempts,
        next_attempt_at=to_iso(one.next_at) if one.state == "pending" else None,
        sent_at=to_iso(one.sent_at),
        error=one.error or None,
    )
