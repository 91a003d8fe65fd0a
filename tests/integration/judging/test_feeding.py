"""A feed is taken in whole or not at all, whatever its source sends and wherever the run is broken off."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.vulnerabilities.feeds import Spec
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import load
from packhouse.workflows.feeding import managing as feeds
from packhouse.workflows.feeding.schedule import schedule_feeds
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.feeding import (
    LOW,
    add_feed,
    everything,
    kev,
    lines,
    osv,
    said,
    settled,
    take,
    until_gone,
    vulnerabilities,
    waiting,
    zipped,
)
from tests.kit.mirroring import events, services_on
from tests.kit.upstream import Redirect, Upstream

KEYS = "SELECT key, id FROM vulnerability"


async def test_a_feed_is_taken_in_and_the_same_bytes_change_nothing(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream({"all.zip": zipped(osv(n) for n in range(1, 31))}) as up:
        feed = await add_feed(services, f"{up.url}/all.zip")
        assert feed.last_success_at is None
        feed = await take(services)
        assert (feed.state, feed.progress.reason, feed.run, feed.settled_run) == ("completed", "", 1, 1)
        assert (feed.progress.counts.added, feed.progress.counts.settled) == (30, 30)
        assert feed.progress.percentage == 100
        assert (await said(services))["ours"]["PYSEC-7"] == ("CVE-2024-0007", "PyPI:pkg7")
        found = (await vulnerabilities(services))["CVE-2024-0007"]
        assert found[:5] == ("vulnerability", 98, False, None, "Summary 7")
        assert (found[5].description, found[5].aliases, found[5].feeds) == ("Details 7", ("PYSEC-7",), ("ours",))
        assert await waiting(services) == {("@PyPI", f"pkg{n}") for n in range(1, 31)}
        first = feed.last_success_at or 0
        up.requests.clear()
        feed = await take(services)
        assert feed.state == "completed"
        assert (feed.last_success_at or 0) > first, "asked again, and nothing new"
        assert [request.headers.get("if-none-match") is not None for request in up.requests] == [True]
        up.etags = None
        await take(services)
        assert await waiting(services) == set()
        assert len([one for one in await events(services, "feed_") if one[0] == "feed_applied"]) == 1
        told = await events(services, "cve_")
        assert [kind for kind, _, _ in told] == ["cve_updated", "cve_update_finished"], (
            "once, and nothing for nothing new"
        )
        assert (told[0][2]["count"], told[0][2]["all"][6]) == (30, "CVE-2024-0007")
        assert (told[1][2]["updated"], told[1][2]["deleted"]) == (30, 0)


async def test_only_what_changed_is_judged_again(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(lines(osv(n) for n in range(1, 11)))
    async with services_on(backend) as services:
        await add_feed(services, path.as_uri())
        await take(services)
        await waiting(services)
        numbers = {row[0]: row[1] for row in await services.db.fetch_all(KEYS)}
        changed = osv(3, severity=[{"type": "CVSS_V3", "score": LOW}])
        path.write_bytes(lines([*(osv(n) for n in range(1, 10) if n != 3), changed, osv(11)]))
        feed = await take(services)
        counts = feed.progress.counts
        assert (counts.added, counts.changed, counts.ended, counts.settled) == (1, 1, 1, 3)
        assert await waiting(services) == {("@PyPI", f"pkg{n}") for n in (3, 10, 11)}
        found = await vulnerabilities(services)
        assert found["CVE-2024-0003"][1] == 18
        assert "CVE-2024-0010" not in found
        updated, deleted, finished = [data for _, _, data in (await events(services, "cve_"))[2:]]
        assert (updated["all"], deleted["all"]) == (["CVE-2024-0003", "CVE-2024-0011"], ["CVE-2024-0010"])
        assert (finished["updated"], finished["deleted"]) == (2, 1)
        now = {row[0]: row[1] for row in await services.db.fetch_all(KEYS)}
        assert now["CVE-2024-0003"] == numbers["CVE-2024-0003"], "findings refer to the number"
        assert await services.db.fetch_value("SELECT count(*) FROM advisory") == 10


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"<html>sign in</html>",
        zipped([osv(1), osv(2)])[:-30],
        json.dumps([osv(n) for n in range(1, 20)]).encode()[:-200],
        lines([osv(1), *({"id": 7, "affected": "x"} for _ in range(3))]),
    ],
)
async def test_a_broken_feed_changes_nothing(backend: Backend, tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "feed"
    path.write_bytes(lines(osv(n) for n in range(1, 11)))
    async with services_on(backend) as services:
        await add_feed(services, path.as_uri())
        await take(services)
        await waiting(services)
        before = await everything(services)
        path.write_bytes(broken)
        for _ in range(2):
            feed = await take(services)
            assert feed.state == "failed"
            assert "Nothing was taken" in feed.progress.reason
        assert await everything(services) == before
        assert await waiting(services) == set()
        assert [kind for kind, _, _ in await events(services, "feed_failed")] == ["feed_failed"], "once, not each hour"
        path.write_bytes(lines(osv(n) for n in range(1, 12)))
        assert (await take(services)).progress.reason == ""


async def test_a_feed_that_lost_most_of_its_records_asks_first(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(lines(osv(n) for n in range(1, 11)))
    async with services_on(backend) as services:
        await add_feed(services, path.as_uri())
        await take(services)
        path.write_bytes(lines(osv(n) for n in range(1, 5)))
        feed = await take(services)
        assert (feed.state, feed.progress.asks) == ("failed", "shrink")
        assert "6 of its 10" in feed.progress.reason
        assert len((await said(services))["ours"]) == 10
        feed = await take(services, accept_shrink=True)
        assert (feed.state, len((await said(services))["ours"])) == ("completed", 4)
        assert not feed.progress.accept_shrink, "the yes was for that run"


@pytest.mark.parametrize("lie", [{"withdrawn": "2024-02-02T00:00:00Z"}, {"affected": []}])
async def test_a_feed_that_takes_most_of_its_records_back_asks_first(
    backend: Backend, tmp_path: Path, lie: dict[str, Any]
) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(lines(osv(n) for n in range(1, 11)))
    async with services_on(backend) as services:
        await add_feed(services, path.as_uri())
        await take(services)
        before = await everything(services)
        path.write_bytes(lines(osv(n, **(lie if n > 4 else {})) for n in range(1, 11)))
        feed = await take(services)
        assert (feed.state, feed.progress.asks) == ("failed", "shrink")
        assert "6 of its 10" in feed.progress.reason
        assert await everything(services) == before
        assert (await take(services, accept_shrink=True)).state == "completed"
        path.write_bytes(lines(osv(n, summary="Reworded", **(lie if n > 4 else {})) for n in range(1, 11)))
        assert (await take(services)).state == "completed", "what was taken back before is not taken back again"


async def test_feeds_are_merged_and_a_deleted_one_takes_back_what_it_said(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "osv.jsonl").write_bytes(lines([osv(1), osv(2)]))
    (tmp_path / "kev.json").write_bytes(kev("CVE-2024-0001", "CVE-2024-0009"))
    async with services_on(backend) as services:
        await add_feed(services, (tmp_path / "osv.jsonl").as_uri())
        await add_feed(services, (tmp_path / "kev.json").as_uri(), "kev", kind="kev")
        await take(services)
        await waiting(services)
        alone = await everything(services)
        await take(services, "kev")
        found = await vulnerabilities(services)
        assert [found[key][2] for key in sorted(found)] == [True, False, True]
        assert found["CVE-2024-0001"][5].feeds == ("kev", "ours")
        assert await waiting(services) == {("@PyPI", "pkg1")}
        await feeds.delete_feed(services, "kev", "ann")
        with pytest.raises(PackhouseError, match="no such feed"):
            await feeds.get_feed(services.db, "kev")
        await until_gone(services, "kev")
        assert await everything(services) == alone
        assert await waiting(services) == {("@PyPI", "pkg1")}


async def test_statements_of_a_curated_feed_follow_it(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "curated.json"

    def write(*rows: dict[str, Any]) -> None:
        path.write_text(json.dumps([{"id": "CVE-2024-0001", "curated": "2024-03-01", **row} for row in rows]))

    write({"package": "numpy", "status": "cleared", "spec": "<2"}, {"package": "scipy", "status": "active"})
    async with services_on(backend) as services:
        await add_feed(services, path.as_uri(), kind="curated")
        assert (await take(services)).progress.reason == ""
        rows = await services.db.fetch_all("SELECT name, spec, status, origin FROM statement ORDER BY name")
        assert rows == [("numpy", "<2", "cleared", "feed:ours"), ("scipy", "", "active", "feed:ours")]
        assert {("conda", "numpy"), ("conda", "scipy")} <= await waiting(services)
        assert await services.db.fetch_value("SELECT curated_at FROM vulnerability") is not None
        write(
            {"package": "numpy", "status": "mitigated", "spec": "<2"},
            {"package": "numpy", "status": "active", "spec": "=="},
        )
        feed = await take(services)
        assert len(feed.progress.skips) == 1, "a spec that selects nothing we could say is passed over"
        assert await services.db.fetch_all("SELECT name, spec, status FROM statement") == [("numpy", "<2", "mitigated")]
        assert {("conda", "numpy"), ("conda", "scipy")} <= await waiting(services)
        await feeds.delete_feed(services, "ours", "ann")
        await until_gone(services)
        assert await services.db.fetch_value("SELECT count(*) FROM statement") == 0


async def test_a_feed_that_is_no_file_is_refused_and_not_read_for_ever(backend: Backend, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with services_on(backend) as services:
        for number, path in enumerate((Path("/dev/zero"), pipe)):
            await add_feed(services, path.as_uri(), f"n{number}")
            feed = await take(services, f"n{number}")
            assert (feed.state, "it is no file" in feed.progress.reason) == ("failed", True)


async def test_a_folder_is_searched_for_what_it_holds(backend: Backend, tmp_path: Path) -> None:
    folder = tmp_path / "air gap"
    folder.mkdir()
    async with services_on(backend) as services:
        await add_feed(services, folder.as_uri())
        feed = await take(services)
        assert (feed.state, feed.last_success_at) == ("failed", None)
        assert "no feed in it yet" in feed.progress.reason
        (folder / "PyPI.zip").write_bytes(zipped([osv(1), osv(2)]))
        (folder / "known.json").write_bytes(kev("CVE-2024-0002"))
        (folder / "README.txt").write_text("Not a feed.")
        assert (await take(services)).progress.reason == ""
        found = await vulnerabilities(services)
        assert {key: one[2] for key, one in found.items()} == {"CVE-2024-0001": False, "CVE-2024-0002": True}


class Interrupted(Exception):
    """Stands for a process that dies."""


class Failing:
    """A database whose write number `at` raises, before it is done or after."""

    def __init__(self, db: Database, at: int, after: bool) -> None:
        self._db, self._left, self._after = db, at, after
        self.raised = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def write(self, work: Any) -> Any:
        self._left -= 1
        if self._left:
            return await self._db.write(work)
        self.raised = True
        if self._after:
            await self._db.write(work)
        raise Interrupted


async def broken_off(services: Services, at: int, after: bool) -> bool:
    """Run the feed with its `at`-th write broken off; return whether it came so far."""
    failing = Failing(services.db, at, after)
    worked_by = dataclasses.replace(services, db=failing)  # type: ignore[arg-type]  # it answers as one does
    await feeds.run_feed_now(services, "ours", "ann")
    await settled(services, worked_by=worked_by)
    return failing.raised


@pytest.mark.parametrize("after", [False, True], ids=["undone", "done"])
async def test_a_run_broken_off_anywhere_is_finished_by_the_next(
    backend: Backend, tmp_path: Path, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packhouse.workflows.feeding.staging.BATCH", 3)
    monkeypatch.setattr("packhouse.workflows.feeding.settling.BATCH", 3)
    path, other = tmp_path / "feed.jsonl", tmp_path / "other.jsonl"
    first = [osv(n) for n in range(1, 9)]
    second = [*(osv(n) for n in range(3, 9) if n != 5), osv(5, severity=[]), osv(20), osv(21)]
    async with services_on(backend) as services:
        await add_feed(services, path.as_uri())
        await add_feed(services, other.as_uri(), "other")
        other.write_bytes(lines([osv(5, id="GHSA-x", severity=[{"type": "CVSS_V3", "score": LOW}])]))
        await take(services, "other")
        path.write_bytes(lines(first))
        await take(services)
        start = await everything(services)
        path.write_bytes(lines(second))
        await take(services)
        end = await everything(services)
        await waiting(services)
        at = 0
        while True:
            at += 1
            path.write_bytes(lines(first))
            assert (await take(services)).progress.reason == ""
            assert await everything(services) == start
            await waiting(services)
            path.write_bytes(lines(second))
            if not await broken_off(services, at, after):
                break
            seen = (await said(services))["ours"]
            assert seen in (start[0]["ours"], end[0]["ours"]), "all at once or not at all"
            names = await waiting(services)
            if at % 2:  # the source is back at what it said first
                path.write_bytes(lines(first))
                assert (await take(services)).progress.reason == ""
                assert await everything(services) == start
            else:
                assert (await take(services)).progress.reason == ""
                assert await everything(services) == end
                assert names | await waiting(services) == {("@PyPI", f"pkg{n}") for n in (1, 2, 5, 20, 21)}
        assert at > 8


async def test_an_installation_begins_with_the_public_feeds_and_those_of_the_settings(
    backend: Backend, tmp_path: Path
) -> None:
    sources = f"{tmp_path},https://user:secret@feeds.example.org/a.zip"
    async with services_on(backend, feeds=sources, default_feeds=True) as services:
        await feeds.ensure_feeds(services)
        await feeds.ensure_feeds(services)
        found = {feed.name: feed for feed in await feeds.list_feeds(services.db)}
        assert {"cisa-kev", "osv-cran", "osv-pypi"} < set(found)
        assert len(found) == 5
        assert "secret" not in "".join(feed.source for feed in found.values())
        assert "secret" not in json.dumps([data for _, _, data in await events(services, "feed_")])
        now = await services.db.now()
        assert all((found[name].next_run_at or 0) > now + 60_000_000 for name in ("cisa-kev", "osv-pypi"))
        assert all(feed.last_success_at is None and feed.state == "stopped" for feed in found.values())
        await feeds.delete_feed(services, "osv-cran", "ann")
        await until_gone(services, "osv-cran")
        await feeds.ensure_feeds(services)
        assert "osv-cran" not in {feed.name for feed in await feeds.list_feeds(services.db)}, "deleted for good"


async def test_settings_can_do_without_public_feeds(backend: Backend) -> None:
    async with services_on(backend) as services:
        await feeds.ensure_feeds(services)
        assert await feeds.list_feeds(services.db) == []
    with pytest.raises(PackhouseError, match="feeds"):
        load({**backend.env, "PACKHOUSE_FEEDS": "ftp://example.org/a"})


async def test_a_schedule_runs_what_is_due_and_a_switched_off_feed_keeps_what_it_said(
    backend: Backend, tmp_path: Path
) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(lines([osv(1)]))
    async with services_on(backend) as services:
        await feeds.create_feed(services, "ann", Spec("ours", path.as_uri(), every_seconds=3600))
        await schedule_feeds(services)
        feed = await settled(services)
        assert feed.state == "completed"
        assert (feed.next_run_at or 0) > await services.db.now() + 3_000_000_000
        await feeds.update_feed(services, "ours", "ann", Spec("ours", path.as_uri(), enabled=False))
        await schedule_feeds(services)
        feed = await feeds.get_feed(services.db, "ours")
        assert (feed.state, feed.next_run_at) == ("completed", None)
        assert len((await said(services))["ours"]) == 1
        await services.db.write(lambda unit: unit.execute("UPDATE feed SET state = 'running'"))
        assert (await settled(services)).state == "completed", "a run whose job was lost goes on"


async def test_an_edited_feed_reads_its_new_source_whatever_the_old_one_was(backend: Backend, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(lines([osv(1)]))
    async with services_on(backend) as services:
        await add_feed(services, (tmp_path / "a").as_uri())
        await take(services)
        spec = Spec("ours", (tmp_path / "b").as_uri(), enabled=False)
        await feeds.update_feed(services, "ours", "ann", spec, run_now=True)
        assert (await settled(services)).progress.counts.read == 1, "read, although its bytes are the same"
        with pytest.raises(PackhouseError, match="keeps its name"):
            await feeds.update_feed(services, "ours", "ann", Spec("other", spec.source))
        with pytest.raises(PackhouseError, match="already"):
            await add_feed(services, spec.source)


async def test_a_feed_that_waits_or_runs_can_be_stopped(backend: Backend, tmp_path: Path) -> None:
    async with services_on(backend) as services:
        await add_feed(services, (tmp_path / "nothing").as_uri())
        with pytest.raises(PackhouseError, match="not running"):
            await feeds.stop_feed(services, "ours", "ann")
        await feeds.run_feed_now(services, "ours", "ann")
        assert (await feeds.stop_feed(services, "ours", "ann")).state == "stopped"
        assert (await settled(services)).state == "stopped"
        feed = await take(services)
        assert "No such file" in feed.progress.reason


@pytest.mark.parametrize(
    "spec",
    [
        Spec("", "https://example.org/a"),
        Spec("a b", "https://example.org/a"),
        Spec("a", "ftp://example.org/a"),
        Spec("a", "https://"),
        Spec("a", "file://elsewhere/a"),
        Spec("a", "https://example.org/a", kind="rss"),
        Spec("a", "https://example.org/a", every_seconds=1),
    ],
)
async def test_what_is_no_feed_is_refused(backend: Backend, spec: Spec) -> None:
    async with services_on(backend) as services:
        with pytest.raises(PackhouseError) as refused:
            await feeds.create_feed(services, "ann", spec)
        assert refused.value.code == "bad_request"
        assert await feeds.list_feeds(services.db) == []


async def test_a_redirect_to_a_private_address_is_not_followed(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream({"a": lines([osv(1)])}) as up, Upstream({}) as front:
        front.misbehave("a", Redirect(f"{up.url}/a"))
        await add_feed(services, f"{front.url}/a")
        feed = await take(services)
        assert (feed.state, up.requests) == ("failed", [])
        assert "private" in feed.progress.reason
