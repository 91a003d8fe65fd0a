"""`/api/feeds`: made, shown, edited, run, stopped and deleted by administrators, read by those who may see CVEs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packhouse.catalog.vulnerabilities.sources import opened
from packhouse.workflows.feeding.managing import list_feeds
from tests.conftest import Backend
from tests.kit.calls import call, read
from tests.kit.feeding import kev, lines, osv, settled, until_gone
from tests.kit.house import House, open_house

FEEDS = "/api/feeds"


async def test_a_feed_from_its_making_to_its_end(house: House, tmp_path: Path) -> None:
    path = tmp_path / "advisories"
    path.mkdir()
    (path / "one.jsonl").write_bytes(lines(osv(n) for n in range(1, 4)))
    body = {"name": "ours", "source": path.as_uri(), "enabled": False}
    made = await call(house.admin, "POST", FEEDS, body)
    assert made.status == 201, made.body
    shown = made.json()
    assert (shown["state"], shown["last_success_at"], shown["no_data_since"]) == ("stopped", None, shown["created_at"])
    assert (await call(house.admin, "POST", FEEDS, body)).status == 409
    ran = await call(house.admin, "POST", f"{FEEDS}/ours/run")
    assert (ran.status, ran.json()["state"]) == (202, "pending")
    await settled(house.services)
    shown = await read(house.admin, f"{FEEDS}/ours")
    assert (shown["state"], shown["progress"]["reason"], shown["no_data_since"]) == ("completed", "", None)
    assert shown["progress"]["counts"]["added"] == 3
    assert shown["kind"] == "osv", "what was read is known"
    assert (await read(house.admin, "/api/cves"))["total_count"] == 3
    assert (await read(house.admin, "/api/cves/PYSEC-2"))["id"] == "CVE-2024-0002"
    back = await call(house.admin, "PUT", f"{FEEDS}/ours", {**shown, "every_seconds": 7200})
    assert (back.status, back.json()["every_seconds"], back.json()["enabled"]) == (200, 7200, False)
    assert await house.services.db.fetch_value("SELECT kind FROM feed") == "", "sent back as it was shown, it stays"
    stopped = await call(house.admin, "POST", f"{FEEDS}/ours/stop")
    assert (stopped.status, stopped.json()["code"]) == (409, "conflict")
    assert (await call(house.admin, "DELETE", f"{FEEDS}/ours")).status == 204
    await until_gone(house.services)
    assert await read(house.admin, FEEDS) == {"items": [], "total_count": 0}
    assert (await read(house.admin, "/api/cves"))["total_count"] == 0


async def test_the_kind_is_what_was_read_until_another_is_asked_for(house: House, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(lines([osv(1)]))
    (tmp_path / "two.json").write_bytes(kev("CVE-2024-0001"))
    made = await call(house.admin, "POST", FEEDS, {"name": "ours", "source": tmp_path.as_uri()})
    assert made.json()["kind"] is None, "nobody has looked"
    await settled(house.services)
    assert (await read(house.admin, f"{FEEDS}/ours"))["kind"] is None, "it has two"
    (tmp_path / "one.jsonl").unlink()
    await call(house.admin, "POST", f"{FEEDS}/ours/run", {"accept_shrink": True})
    await settled(house.services)
    assert (await read(house.admin, f"{FEEDS}/ours"))["kind"] == "kev"
    elsewhere = {"source": "https://feeds.example.org/x", "enabled": False}
    edited = await call(house.admin, "PUT", f"{FEEDS}/ours", elsewhere)
    assert edited.json()["kind"] is None, "nobody has looked there"


async def test_a_feed_that_is_enabled_waits_for_its_first_run_at_once(house: House, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(lines([osv(1)]))
    made = await call(house.admin, "POST", FEEDS, {"name": "ours", "source": tmp_path.as_uri()})
    assert (made.status, made.json()["state"]) == (201, "pending")
    await settled(house.services)
    assert (await read(house.admin, f"{FEEDS}/ours"))["state"] == "completed"


async def test_a_feed_that_waits_is_stopped_and_its_secrets_are_never_shown(house: House) -> None:
    source = "https://user:secret@feeds.example.org/all.zip"
    made = await call(house.admin, "POST", FEEDS, {"name": "far", "source": source, "run_now": True})
    assert (made.status, made.json()["state"]) == (201, "pending")
    assert b"secret" not in made.body
    edited = await call(house.admin, "PUT", f"{FEEDS}/far", {**made.json(), "enabled": False})
    assert edited.status == 200
    [feed] = await list_feeds(house.services.db)
    assert opened(house.services.sealer, feed) == source, "sent back as it was shown, it stays"
    stopped = await call(house.admin, "POST", f"{FEEDS}/far/stop")
    assert (stopped.status, stopped.json()["state"]) == (200, "stopped")
    senseless = [
        {"name": "x"}, {"source": source}, {"name": "x", "source": "ftp://a"}, {"name": "x y", "source": source},
        {"name": "x", "source": source, "kind": "rss"}, {"name": "x", "source": source, "url": "y"},
    ]  # fmt: skip
    for wrong in senseless:
        assert (await call(house.admin, "POST", FEEDS, wrong)).status == 400, wrong
    assert (await call(house.admin, "PUT", f"{FEEDS}/far", {"name": "near"})).status == 400
    for method, tail in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run"), ("POST", "/stop")):
        sent: Any = {} if method == "PUT" else None
        assert (await call(house.admin, method, f"{FEEDS}/nowhere{tail}", sent)).status == 404


async def test_only_administrators_touch_feeds(house: House) -> None:
    body = {"name": "x", "source": "file:///etc/passwd"}
    for method, target in (("GET", ""), ("POST", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x"),
                           ("POST", "/x/run"), ("POST", "/x/stop")):  # fmt: skip
        sent = body if method in ("POST", "PUT") and target in ("", "/x") else None
        assert (await call(house.as_("owner"), method, FEEDS + target, sent)).status == 403, (method, target)
        assert (await call(house.web, method, FEEDS + target, sent)).status == 401, (method, target)


async def test_the_feeds_of_the_settings_are_there(backend: Backend, tmp_path: Path) -> None:
    from packhouse.workflows.feeding.managing import ensure_feeds

    (tmp_path / "folder").mkdir()
    async with open_house(backend, feeds=f"https://feeds.example.org/all.zip,{tmp_path}/folder") as house:
        await ensure_feeds(house.services)
        sources = [one["source"] for one in (await read(house.admin, FEEDS))["items"]]
        assert sorted(sources) == [(tmp_path / "folder").as_uri(), "https://feeds.example.org/all.zip"]
