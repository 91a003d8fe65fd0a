"""What tests of feeds need: records to serve, a worker to take them in, and what readers then see."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Iterable
from typing import Any

import msgspec

from packhouse.catalog.runs import LIVE
from packhouse.catalog.vulnerabilities.feeds import Feed, Spec
from packhouse.core.jobs import Worker
from packhouse.security.vulnerabilities.merging import Body
from packhouse.workflows.feeding import managing as feeds
from packhouse.workflows.feeding.run import feed_handlers
from packhouse.workflows.feeding.schedule import schedule_feeds
from packhouse.workflows.services import Services
from tests.kit.jobs import PATIENCE

HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"  # 9.8
LOW = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"  # 1.8


def osv(number: int, name: str = "", **more: Any) -> dict[str, Any]:
    """Return one OSV record about one PyPI package."""
    return {
        "id": f"PYSEC-{number}",
        "aliases": [f"CVE-2024-{number:04}"],
        "modified": "2024-01-01T00:00:00Z",
        "published": "2024-01-01T00:00:00Z",
        "summary": f"Summary {number}",
        "details": f"Details {number}",
        "severity": [{"type": "CVSS_V3", "score": HIGH}],
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name or f"pkg{number}"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
            }
        ],
        **more,
    }


def lines(records: Iterable[dict[str, Any]]) -> bytes:
    """Return records as JSON lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def zipped(records: Iterable[dict[str, Any]]) -> bytes:
    """Return records as OSV publishes an ecosystem."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return found.getvalue()


def kev(*cves: str) -> bytes:
    """Return CISA's catalogue of these."""
    return json.dumps({"vulnerabilities": [{"cveID": cve, "dateAdded": "2024-02-02"} for cve in cves]}).encode()


async def add_feed(services: Services, source: str, name: str = "ours", **spec: Any) -> Feed:
    """Create a feed that runs only when asked to."""
    return await feeds.create_feed(services, "ann", Spec(name, source, enabled=False, **spec))


async def take(services: Services, name: str = "ours", seconds: float = PATIENCE, **request: Any) -> Feed:
    """Run a feed now and return it once it has ended."""
    await feeds.run_feed_now(services, name, "ann", **request)
    return await settled(services, name, seconds=seconds)


async def settled(
    services: Services, name: str = "ours", worked_by: Services | None = None, seconds: float = PATIENCE
) -> Feed:
    """Work until the feed neither runs nor waits to; with `worked_by` the handlers have other services."""
    worker = Worker(services.db, feed_handlers(worked_by or services), "test")
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(seconds):
            while (now := await feeds.get_feed(services.db, name)).state in LIVE:
                await schedule_feeds(services)
                await asyncio.sleep(0.02)
            return now
    finally:
        await worker.stop()
        await task


async def until_gone(services: Services, name: str = "ours") -> None:
    """Work until a deleted feed has left nothing."""
    worker = Worker(services.db, feed_handlers(services), "test")
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while name in {feed.name for feed in await feeds.list_feeds(services.db)}:
                await schedule_feeds(services)
                await asyncio.sleep(0.02)
    finally:
        await worker.stop()
        await task


async def said(services: Services) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return what readers see of advisories: by feed, the names and keys of each source's id."""
    rows = await services.db.fetch_all(
        "SELECT f.name, a.source_id, n.ecosystem, n.name, k.key FROM advisory a JOIN feed f ON f.id = a.feed_id"
        " LEFT JOIN advisory_name n ON n.advisory_id = a.id LEFT JOIN advisory_key k ON k.advisory_id = a.id"
        " WHERE a.from_run <= f.run AND (a.to_run IS NULL OR a.to_run > f.run)"
    )
    found: dict[str, dict[str, set[str]]] = {}
    for feed, source_id, ecosystem, name, key in rows:
        found.setdefault(feed, {}).setdefault(source_id, set()).update({f"{ecosystem}:{name}", key})
    return {feed: {name: tuple(sorted(about)) for name, about in one.items()} for feed, one in found.items()}


async def vulnerabilities(services: Services) -> dict[str, tuple[Any, ...]]:
    """Return by key kind, score, exploited, withdrawn, summary and body."""
    rows = await services.db.fetch_all(
        "SELECT key, kind, score, exploited, withdrawn_at, summary, body FROM vulnerability"
    )
    return {
        row[0]: (row[1], row[2], bool(row[3]), row[4], row[5], msgspec.msgpack.decode(bytes(row[6]), type=Body))
        for row in rows
    }


async def waiting(services: Services) -> set[tuple[str, str]]:
    """Take away and return the names that wait to be judged."""
    rows = await services.db.fetch_all("SELECT family, name FROM unjudged")
    await services.db.write(lambda unit: unit.execute("DELETE FROM unjudged"))
    return {(row[0], row[1]) for row in rows}


async def everything(services: Services) -> tuple[Any, ...]:
    """Return all that feeds have left: what readers see, how many rows there are, and whether all is settled."""
    tables = ("advisory", "advisory_name", "advisory_key", "statement")
    counts = [await services.db.fetch_value(f"SELECT count(*) FROM {table}") for table in tables]
    behind = await services.db.fetch_value("SELECT count(*) FROM feed WHERE settled_run < run")
    return await said(services), await vulnerabilities(services), counts, behind
