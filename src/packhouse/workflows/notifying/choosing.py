"""Who is told about a channel: owners and subscribers say whether, owners say where else. Each is one unit of work."""

from __future__ import annotations

from collections.abc import Sequence

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.notifications import hooks, outbox, subscriptions
from packhouse.catalog.notifications.hooks import Hook
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.posting import check_name
from packhouse.core.mail import is_address
from packhouse.core.randomness import new_uuid, random_hex
from packhouse.core.webhooks import Webhook, check, origin_of, webhook_settings
from packhouse.workflows.services import Services

#: webhooks of one channel
MOST_HOOKS = 20


async def set_enabled(services: Services, channel: Channel, actor: str, enabled: bool) -> None:
    """Let those who want to be told about a channel be told, or nobody. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> None:
        await _hold(unit, channel)
        if await subscriptions.set_silent(unit, channel.id, not enabled):
            await _tell(unit, "notifications_updated", channel, actor, {"enabled": enabled})

    await services.db.write(work)


async def subscribe(services: Services, channel: Channel, account_id: int, actor: str, wanted: bool) -> None:
    """Say whether somebody wants to be told about a channel. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> None:
        await _hold(unit, channel)
        await subscriptions.want(unit, channel.id, account_id, wanted)
        await _tell(unit, "notification_subscription_updated", channel, actor, {"subscribed": wanted})

    await services.db.write(work)


async def add_hook(
    services: Services, channel: Channel, caller: Principal, url: str, secret: str | None
) -> tuple[Hook, str]:
    """Let notifications go to an address, too; without a secret one is made. They are signed with it.

    Returns the webhook and the secret, which is not shown again.

    Raises PackhouseError: `bad_request`, `forbidden` for an address that may not be reached, `conflict` for too many
    webhooks, `not_found`.
    """
    wanted = Webhook(url, random_hex(32) if secret is None else secret)
    reach = webhook_settings(services.settings.private_hosts)
    check(wanted, reach)
    await check_name(url, reach)
    uuid = new_uuid()

    async def work(unit: Unit) -> Hook:
        await require_standing(unit, caller)
        await _hold(unit, channel)
        if len(await hooks.of_channel(unit, channel.id)) >= MOST_HOOKS:
            raise PackhouseError("conflict", f"A channel has at most {MOST_HOOKS} webhooks.", "Remove one first.")
        sealed, shown = hooks.seal(services.sealer, uuid, wanted), origin_of(url)
        made = await hooks.add(unit, Hook(0, uuid, channel.id, shown, sealed, caller.username, unit.now))
        await _tell(unit, "webhook_added", channel, caller.username, {"webhook": uuid, "origin": shown})
        return made

    return await services.db.write(work), wanted.secret


async def remove_hook(services: Services, channel: Channel, actor: str, uuid: str) -> None:
    """Send no more to a webhook. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> None:
        hook_id = await hooks.drop(unit, channel.id, uuid)
        if hook_id is None:
            raise PackhouseError("not_found", "There is no such webhook.", "List the notifications to find its id.")
        await outbox.drop_of_hook(unit, hook_id)
        await _tell(unit, "webhook_removed", channel, actor, {"webhook": uuid})

    await services.db.write(work)


async def send_again(services: Services, channel: Channel, actor: str, uuids: Sequence[str] | None) -> int:
    """Try deliveries anew that failed, or every one that did; return how many. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> int:
        count = await outbox.again(unit, channel.id, uuids)
        if not count:
            raise PackhouseError(
                "not_found", "There is no such delivery that failed.", "List the deliveries to see what there is."
            )
        await _tell(unit, "cve_notifications_repeated", channel, actor, {"deliveries": count})
        return count

    return await services.db.write(work)


async def set_address(services: Services, account_id: int, actor: str, address: str) -> None:
    """Let somebody's notifications go to a mail address; empty: to their name, if that is one.

    Raises PackhouseError("bad_request").
    """
    if address and not is_address(address):
        raise PackhouseError(
            "bad_request",
            f"`email`: {address[:120]!r} is no address that mail can be sent to.",
            "Write name@example.org.",
        )

    async def work(unit: Unit) -> None:
        await subscriptions.set_address(unit, account_id, address)
        await record_event(unit, type="user_address_updated", actor=actor, object=actor)

    await services.db.write(work)


async def _hold(unit: Unit, channel: Channel) -> None:
    if await channels.hold(unit, channel.id) is None:
        raise PackhouseError(
            "not_found", "The channel was deleted meanwhile.", "List the channels to see what there is."
        )


async def _tell(unit: Unit, kind: str, channel: Channel, actor: str, data: dict[str, object]) -> None:
    await record_event(unit, type=kind, actor=actor, object=channel.path, channel_id=channel.id, data=data)
