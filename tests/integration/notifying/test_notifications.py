"""Owners and subscribers hear once what is newly found in their channel, by mail and webhook, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from packhouse.catalog.notifications import hooks, outbox
from packhouse.catalog.notifications.hooks import Hook
from packhouse.catalog.vulnerabilities import findings, news, records, unjudged
from packhouse.catalog.vulnerabilities.records import VulnerabilityRow
from packhouse.core.db import Unit
from packhouse.core.randomness import new_uuid
from packhouse.workflows.channels.deleting import clear_deleted
from packhouse.workflows.notifying.gathering import Patience, gather_news
from packhouse.workflows.notifying.sending import send_due
from tests.conftest import Backend
from tests.kit.calls import call, read
from tests.kit.house import House, open_house
from tests.kit.mirroring import events
from tests.kit.receivers import Mailbox, Receiver, http_server, mail_server

SECRET = "0123456789abcdef-of-the-hook"
AT_ONCE = Patience(0, 0, 0)
OURS = "/api/channels/ours/notifications"


@asynccontextmanager
async def house_with(
    backend: Backend, mailbox: Mailbox, allowed: Sequence[int] = (), **settings: Any
) -> AsyncIterator[House]:
    """Run a house that sends mail, with a private channel of Ann's that holds two versions of `app`."""
    mail = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.port, "smtp_tls": "none", "smtp_from": "house@example.org"}
    hosts = ",".join(f"127.0.0.1:{port}" for port in allowed)
    async with open_house(backend, **{**mail, "allowed_private_hosts": hosts, **settings}) as house:
        for name in ("ann@example.org", "bob@example.org", "carl"):
            await house.person(name)
        await house.channel("ours", "private", "ann@example.org")
        await house.upload("ours", "app", "1.0")
        await house.upload("ours", "app", "2.0")
        yield house


async def learn(house: House, number: int, versions: Sequence[str] = ("1.0",), name: str = "app", **more: Any) -> None:
    """Let a vulnerability be found newly in versions of a package."""
    key = f"CVE-2024-{number:04}"
    values: dict[str, Any] = {"kind": "vulnerability", "score": 98, "exploited": False, "summary": f"Summary {number}"}
    row = VulnerabilityRow(key=key, published_at=1, modified_at=1, withdrawn_at=None, body=b"", **{**values, **more})

    async def work(unit: Unit) -> None:
        await records.put(unit, [row])
        found = (await findings.ids_of(unit, [key]))[key]
        await news.add(unit, [("conda", name, version, found) for version in versions])

    await house.services.db.write(work)


async def tell(house: House) -> None:
    await gather_news(house.services, AT_ONCE)
    await send_due(house.services)


async def deliveries(house: House) -> list[tuple[str, str, int]]:
    listed = await read(house.as_("ann@example.org"), f"{OURS}/deliveries")
    return sorted((one["to"].split(":")[0], one["state"], one["attempts"]) for one in listed["items"])


async def grant(house: House, name: str, level: int = 1) -> None:
    channel = await house.find("ours")
    values = {"channel": channel.id, "account": house.people[name].principal.account_id, "level": level}
    await house.services.db.write(
        lambda unit: unit.execute("INSERT INTO channel_grant VALUES (:channel, :account, :level)", **values)
    )


async def soon(house: House) -> None:
    """Let the pause before the next attempt be over."""
    await house.services.db.write(lambda unit: unit.execute("UPDATE delivery SET next_at = 0 WHERE state = 'pending'"))


async def test_the_owner_hears_once_of_what_was_found(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        await tell(house)
        assert mailbox.mails == []
        await learn(house, 1, ["1.0", "2.0", "3.0"])
        await learn(house, 2, ["2.0"], score=40)
        await learn(house, 3, name="elsewhere")
        await tell(house)
        await tell(house)
        (mail,) = mailbox.mails
        assert mailbox.to() == ["ann@example.org"]
        assert mail["Subject"] == "ours: 2 new vulnerabilities, CVE-2024-0001 (9.8 critical)"
        said = mail.get_content()
        assert "  conda: app 1.0, 2.0 (2 files)" in said and "CVE-2024-0002  4.0 medium" in said
        assert "elsewhere" not in said and "3.0" not in said
        await learn(house, 4, ["2.0"])
        await tell(house)
        assert [one["Subject"] for one in mailbox.mails[1:]] == [
            "ours: 1 new vulnerability, CVE-2024-0004 (9.8 critical)"
        ]
        listed = await read(house.as_("ann@example.org"), f"{OURS}/digests")
        assert [one["digest"]["vulnerability_count"] for one in listed["items"]] == [1, 2]
        built = [data for _, _, data in await events(house.services, "cve_notification_built")]
        assert built[0] == {"vulnerabilities": 2, "files": 2, "mails": 1, "webhooks": 0}
        counted = await events(house.services, "channel_cve_count_update")
        assert counted[0] == ("channel_cve_count_update", "system", {"vulnerabilities": 2, "files": 2})
        for table in ("news", "news_round"):
            assert await house.services.db.fetch_value(f"SELECT count(*) FROM {table}") == 0


async def test_subscribers_opt_in_and_owners_out(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        ann, bob = house.as_("ann@example.org"), house.as_("bob@example.org")
        subscription = f"{OURS}/subscription"
        assert (await call(bob, "PUT", subscription, {"subscribed": True})).status == 404
        await house.channel("open", "public", "ann@example.org")
        elsewhere = await call(bob, "PUT", "/api/channels/open/notifications/subscription", {"subscribed": True})
        assert elsewhere.status == 403, "it is seen, and its CVEs are not"
        await grant(house, "bob@example.org")
        assert (await read(bob, OURS))["subscribed"] is False
        said = (await call(bob, "PUT", subscription, {"subscribed": True})).json()
        assert said["subscribed"] and said["subscribers"] == ["ann@example.org", "bob@example.org"]
        assert (await call(bob, "PUT", OURS, {"enabled": False})).status == 403
        await learn(house, 1)
        await tell(house)
        assert mailbox.to() == ["ann@example.org", "bob@example.org"]
        assert len({mail["Message-ID"] for mail in mailbox.mails}) == 2
        await call(ann, "PUT", subscription, {"subscribed": False})
        assert (await read(ann, "/api/account/notifications"))["items"] == [
            {"channel": "open", "subscribed": True, "enabled": True},
            {"channel": "ours", "subscribed": False, "enabled": True},
        ]
        await learn(house, 2)
        await tell(house)
        assert mailbox.to() == ["ann@example.org", "bob@example.org", "bob@example.org"]
        await call(ann, "PUT", OURS, {"enabled": False})
        await learn(house, 3)
        await tell(house)
        assert len(mailbox.mails) == 3 and await house.services.db.fetch_value("SELECT count(*) FROM news") == 0
        told = await events(house.services, "channel_cve_count_update")
        built = await events(house.services, "cve_notification_built")
        assert len(told) == len(built) + 1, "it is known of a channel of which nobody is told"


async def test_who_lost_the_right_hears_nothing_more(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        await grant(house, "bob@example.org")
        await call(house.as_("bob@example.org"), "PUT", f"{OURS}/subscription", {"subscribed": True})
        await learn(house, 1)
        await gather_news(house.services, AT_ONCE)
        await house.services.db.write(lambda unit: unit.execute("DELETE FROM channel_grant"))
        await send_due(house.services)
        assert mailbox.to() == ["ann@example.org"]
        assert await deliveries(house) == [("mail", "dropped", 1), ("mail", "sent", 1)]
        await learn(house, 2)
        await tell(house)
        assert mailbox.to() == ["ann@example.org"] * 2


async def test_an_address_is_said_where_the_name_is_none(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        await house.channel("carls", "public", "carl")
        await house.upload("carls", "app", "1.0")
        await learn(house, 1)
        await tell(house)
        assert mailbox.to() == ["ann@example.org"]
        account, carl = "/api/account/notifications", house.as_("carl")
        assert (await read(carl, account))["email"] is None
        for wrong in ("carl", "a@b\r\nBcc: x@y", "a@b, c@d", "Carl <carl@example.org>"):
            answer = await call(carl, "PUT", account, {"email": wrong})
            assert (answer.status, answer.json()["code"]) == (400, "bad_request")
        assert (await call(carl, "PUT", account, {"email": "carl@example.org"})).json()["email"] == "carl@example.org"
        await learn(house, 2)
        await tell(house)
        assert mailbox.to() == ["ann@example.org", "ann@example.org", "carl@example.org"]


async def test_a_mail_server_that_is_away_is_asked_again_and_a_refusal_is_shown(backend: Backend) -> None:
    mailbox = Mailbox(["451 come again", "250 taken", "554 no such mailbox"])
    async with mail_server(mailbox), house_with(backend, mailbox) as house:
        ann = house.as_("ann@example.org")
        await learn(house, 1)
        await tell(house)
        assert await deliveries(house) == [("mail", "pending", 1)]
        (shown,) = (await read(ann, f"{OURS}/deliveries"))["items"]
        assert "451" in shown["error"] and shown["next_attempt_at"] and shown["to"] == "mail:ann@example.org"
        await send_due(house.services)
        assert mailbox.refused == 1, "not before its time"
        await soon(house)
        await send_due(house.services)
        await soon(house)
        await send_due(house.services)
        assert len(mailbox.mails) == 1 and await deliveries(house) == [("mail", "sent", 2)]
        assert shown["id"] in mailbox.mails[0]["Message-ID"]

        await learn(house, 2)
        await tell(house)
        assert await deliveries(house) == [("mail", "failed", 1), ("mail", "sent", 2)]
        ((_, actor, data),) = await events(house.services, "cve_notification_failed")
        assert actor == "system" and "554" in data["reason"] and data["to"] == "mail"
        await soon(house)
        await send_due(house.services)
        assert mailbox.refused == 2, "a refusal is for good"
        mailbox.answers = ["250 taken"]
        failed = next(one for one in (await read(ann, f"{OURS}/deliveries"))["items"] if one["state"] == "failed")
        answer = await call(ann, "POST", f"{OURS}/deliveries/retry", {"deliveries": [failed["id"]]})
        assert (answer.status, answer.json()) == (202, {"count": 1})
        await send_due(house.services)
        assert len(mailbox.mails) == 2
        assert (await call(ann, "POST", f"{OURS}/deliveries/retry", {"deliveries": [failed["id"]]})).status == 404


async def test_a_webhook_is_told_signed_and_once(backend: Backend) -> None:
    async with (
        mail_server(Mailbox()) as mailbox,
        http_server(Receiver(SECRET, [404, 200])) as receiver,
        house_with(backend, mailbox, [receiver.port]) as house,
    ):
        ann = house.as_("ann@example.org")
        made = await call(ann, "POST", f"{OURS}/webhooks", {"url": receiver.url, "secret": SECRET})
        assert made.status == 201 and made.json()["secret"] == SECRET
        shown = (await read(ann, OURS))["webhooks"]
        assert shown == [{name: value for name, value in made.json().items() if name != "secret"}]
        assert shown[0]["origin"] == f"http://127.0.0.1:{receiver.port}"
        await learn(house, 1, summary='quoted " text')
        await tell(house)
        assert await deliveries(house) == [("mail", "sent", 1), ("webhook", "failed", 1)]
        failed = (await read(ann, f"{OURS}/deliveries"))["items"]
        (one,) = [delivery for delivery in failed if delivery["state"] == "failed"]
        assert one["to"] == f"webhook:{shown[0]['id']}" and "404" in one["error"]
        assert (await call(ann, "POST", f"{OURS}/deliveries/retry", {})).json() == {"count": 1}
        for _ in range(2):
            await soon(house)
            await send_due(house.services)
        assert len(mailbox.mails) == 1
        assert receiver.deliveries == [one["id"]] * 2
        said = receiver.bodies[1]
        assert (said["event"], said["channel"]) == ("cve_notification", "ours")
        (item,) = said["digest"]["items"]
        assert (item["id"], item["score"], item["summary"]) == ("CVE-2024-0001", 9.8, 'quoted " text')
        assert item["packages"] == [
            {"family": "conda", "name": "app", "versions": ["1.0"], "version_count": 1, "file_count": 1}
        ]
        log = json.dumps(await events(house.services, "")) + json.dumps(failed)
        assert "very-secret" not in log and SECRET not in log
        assert (await call(ann, "DELETE", f"{OURS}/webhooks/{shown[0]['id']}")).status == 204
        await learn(house, 2)
        await tell(house)
        assert len(receiver.bodies) == 2


async def test_a_receiver_with_troubles_is_asked_later(backend: Backend) -> None:
    async with (
        mail_server(Mailbox()) as mailbox,
        http_server(Receiver(SECRET, [501, 200])) as receiver,
        house_with(backend, mailbox, [receiver.port]) as house,
    ):
        await call(house.as_("ann@example.org"), "POST", f"{OURS}/webhooks", {"url": receiver.url, "secret": SECRET})
        await learn(house, 1)
        await tell(house)
        assert ("webhook", "pending", 1) in await deliveries(house)
        await soon(house)
        await send_due(house.services)
        assert ("webhook", "sent", 2) in await deliveries(house)


async def test_private_addresses_are_refused_unless_named(backend: Backend) -> None:
    async with (
        mail_server(Mailbox()) as mailbox,
        http_server(Receiver(SECRET)) as receiver,
        house_with(backend, mailbox, [receiver.port + 1]) as house,
    ):
        ann = house.as_("ann@example.org")
        named = receiver.url.replace("127.0.0.1", "localhost")
        for url in (receiver.url, named, "http://10.0.0.1/", "http://[::1]/x", "http://169.254.169.254/latest"):
            answer = await call(ann, "POST", f"{OURS}/webhooks", {"url": url})
            assert (answer.status, answer.json()["code"]) == (403, "forbidden")
            assert "PACKHOUSE_ALLOWED_PRIVATE_HOSTS" in answer.json()["message"]
            assert "lacks" not in answer.json()["title"]
            assert "very-secret" not in answer.body.decode()
        for body in ({"url": "ftp://example.org"}, {"url": "https://example.org", "secret": "short"}):
            assert (await call(ann, "POST", f"{OURS}/webhooks", body)).status in (400, 403)
        # a name is judged again when it is connected to: this one leads to the receiver by now, which nobody allowed
        ours = (await house.find("ours")).id
        hook = Hook(0, new_uuid(), ours, named, SECRET.encode(), "ann@example.org", 0)
        await house.services.db.write(lambda unit: hooks.add(unit, hook))
        await learn(house, 1)
        await tell(house)
        assert ("webhook", "failed", 1) in await deliveries(house)
        assert receiver.bodies == []


async def test_without_a_mail_server_nobody_waits_for_mail(backend: Backend) -> None:
    async with house_with(backend, Mailbox(), smtp_host=None, smtp_port=None, smtp_from=None) as house:
        assert (await read(house.as_("ann@example.org"), OURS))["mail"] is False
        await learn(house, 1)
        await tell(house)
        assert await deliveries(house) == []
        assert (await read(house.as_("ann@example.org"), f"{OURS}/digests"))["total_count"] == 1


async def test_a_round_that_was_broken_off_tells_everybody_once(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        await house.channel("bobs", "public", "bob@example.org")
        await house.upload("bobs", "app", "1.0")
        await learn(house, 1)
        broken = pytest.MonkeyPatch()

        async def dies(*_: Any, **__: Any) -> bool:
            raise RuntimeError("killed")

        for place in ("digested", "clear_some"):  # after the digests, and before the news are removed
            broken.setattr(news, place, dies)
            with pytest.raises(RuntimeError):
                await gather_news(house.services, AT_ONCE)
            broken.undo()
            await learn(house, 2)
        await tell(house)
        assert mailbox.to() == ["ann@example.org", "bob@example.org"]
        await tell(house)
        assert mailbox.to() == ["ann@example.org"] * 2 + ["bob@example.org"] * 2
        assert await house.services.db.fetch_value("SELECT count(*) FROM news") == 0


async def test_two_processes_send_a_delivery_once(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        await learn(house, 1)
        await gather_news(house.services, AT_ONCE)
        db = house.services.db
        ids = await outbox.due(db, await db.now(), 8)
        first = await db.write(lambda unit: outbox.claim(unit, ids, 60_000_000))
        assert len(first) == 1 and await db.write(lambda unit: outbox.claim(unit, ids, 60_000_000)) == []
        await send_due(house.services)
        assert mailbox.mails == []
        await soon(house)
        await send_due(house.services)
        assert len(mailbox.mails) == 1


async def test_news_wait_until_all_is_judged(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        db = house.services.db
        await learn(house, 1)
        await db.write(lambda unit: unit.execute("DELETE FROM unjudged"))
        await db.write(lambda unit: unjudged.add(unit, [("conda", "app")]))
        await gather_news(house.services, Patience(0, 60, 60))
        assert await db.fetch_value("SELECT count(*) FROM digest") == 0
        await gather_news(house.services, Patience(0, 60, 0))
        assert await db.fetch_value("SELECT count(*) FROM digest") == 1
        await learn(house, 2)
        await db.write(lambda unit: unit.execute("DELETE FROM unjudged"))
        await gather_news(house.services, Patience(0, 60, 60))
        assert await db.fetch_value("SELECT count(*) FROM digest") == 2


async def test_nothing_is_left_of_deleted_channels_and_accounts(backend: Backend) -> None:
    async with mail_server(Mailbox()) as mailbox, house_with(backend, mailbox) as house:
        await grant(house, "bob@example.org")
        bob = house.as_("bob@example.org")
        await call(bob, "PUT", f"{OURS}/subscription", {"subscribed": True})
        await call(bob, "PUT", "/api/account/notifications", {"email": "b@example.org"})
        await call(house.as_("ann@example.org"), "POST", f"{OURS}/webhooks", {"url": "https://example.org/x"})
        await learn(house, 1)
        await gather_news(house.services, AT_ONCE)
        assert (await call(house.admin, "DELETE", "/api/users/bob@example.org")).status == 204
        assert (await house.as_("ann@example.org").request("DELETE", "/api/channels/ours")).status in (200, 202, 204)
        await send_due(house.services)
        assert mailbox.mails == []
        await clear_deleted(house.services)
        for table in ("subscription", "mail_address", "webhook", "delivery", "digest", "silent_channel"):
            assert await house.services.db.fetch_value(f"SELECT count(*) FROM {table}") == 0, table
