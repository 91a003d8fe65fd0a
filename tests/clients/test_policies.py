"""Nobody installs what a policy forbids: a real conda client, real names and versions, real advisories.

The client finds packages in shards, in `repodata.json`, and by the addresses of a lock file written while all was
allowed. What it installs is the newest version that may be seen; what it may not have, it is refused.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from packhouse.workflows.feeding import managing as feeds
from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.mirroring import services_on
from tests.kit.rattler_client import Result, install_locked, solve_and_install
from tests.kit.server import Site, site_on

ADVISORIES = Path(__file__).with_name("advisories")
#: package → the version an advisory is about, an older and a newer one that none is about (for a score above 7)
VERSIONS = {
    "django": ("3.2.4", "3.1.14", "3.2.25"),
    "urllib3": ("1.26.4", None, "1.26.18"),
    "flask": ("0.12.2", None, "3.1.3"),
}
CVES = {"django": "CVE-2022-34265", "urllib3": "CVE-2021-33503", "flask": "CVE-2018-1000656"}
NEIGHBOURS = {"click": "8.1.7", "werkzeug": "3.0.3", "zlib": "1.3.1"}
#: how long a test waits for an advisory to be in force, in seconds
SECONDS = 90
ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)


class Channel:
    """A channel with the packages, a folder of feeds, and clients of it."""

    def __init__(self, site: Site, backend: Backend, folder: Path) -> None:
        self.site, self._backend, self._folder = site, backend, folder
        self.feeds = folder / "feeds"
        self.url = f"{site.url}/api/repo/team"
        self._clients = 0
        site.call("POST", "/api/channels", {"name": "team", "privacy": "public"})
        for name, versions in VERSIONS.items():
            for version in filter(None, versions):
                self.put(name, version)
        for name, version in NEIGHBOURS.items():
            self.put(name, version)

    def put(self, name: str, version: str) -> None:
        """Upload a package."""
        data = make_conda(name, version, files={f"share/{name}": version.encode()})
        assert self.site.request("PUT", f"/api/repo/team/noarch/{name}-{version}-0.conda", data).status == 201

    def govern(self, **fields: Any) -> str:
        """Let the channel have a policy with these fields; return its id once the index follows it."""
        policy = self.site.call("POST", "/api/policies", {"name": "careful", "channel_name": "team", **fields})
        self.until(lambda: self.site.call("GET", "/api/channels/team/policy")["state"] == "in_effect")
        return str(policy["id"])

    def advise(self, *sources: str) -> None:
        """Let the feed say what these files hold, and ask it to run now."""
        for old in self.feeds.iterdir():
            old.unlink()
        for source in sources:
            shutil.copy(ADVISORIES / source, self.feeds)
        self.until(lambda: self.site.call("GET", "/api/feeds")["total_count"])  # made by the worker, once it is up
        asyncio.run(self._ask())

    async def _ask(self) -> None:
        async with services_on(self._backend) as services:
            [feed] = await feeds.list_feeds(services.db)
            await feeds.run_feed_now(services, feed.name, "admin", accept_shrink=True)

    def install(self, *specs: str, shards: bool = True, cache: str = "", **more: Any) -> Result:
        """Install with a client of its own, or with the one that has this cache."""
        self._clients += 1
        cache_dir = self._folder / (cache or f"cache-{self._clients}")
        prefix = more.pop("prefix", self._folder / f"prefix-{self._clients}")
        return solve_and_install(self.url, specs, prefix, shards=shards, cache_dir=cache_dir, **more)

    def status(self, name: str, version: str) -> int:
        """Return how a request for a file is answered."""
        return self.site.request("GET", f"/api/repo/team/noarch/{name}-{version}-0.conda").status

    def refusal(self, name: str, version: str) -> dict[str, Any]:
        """Return what is said of a file that is refused, in the body; the header says it, too."""
        answer = self.site.request("GET", f"/api/repo/team/noarch/{name}-{version}-0.conda")
        assert answer.status == 403, answer.data
        assert CVES[name] in answer.headers["X-Packhouse-Reason"], answer.headers
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def index(self) -> dict[str, bytes]:
        """Return every document of the index as it is sent, but for the dates of revisions, by address."""
        found = {}
        for name in ("repodata.json", "repodata.json.zst", "repodata.json.bz2", "current_repodata.json"):
            found[name] = self.site.request("GET", f"/api/repo/team/noarch/{name}").data
        return found

    def until(self, true: Any) -> None:
        """Wait until it is true."""
        start = time.monotonic()
        while not true():
            assert time.monotonic() - start < SECONDS
            time.sleep(0.05)


@pytest.fixture
def channel(backend: Backend, tmp_path: Path) -> Iterator[Channel]:
    """A running server and worker, with a feed that says nothing of our packages yet."""
    with _channel(backend, tmp_path) as made:
        yield made


@contextmanager
def _channel(backend: Backend, folder: Path) -> Iterator[Channel]:
    (folder / "feeds").mkdir()
    (folder / "feeds" / "nothing.jsonl").write_text(
        json.dumps({"id": "PYSEC-2020-1", "modified": "2020-01-01T00:00:00Z", "affected": []}) + "\n"
    )
    with site_on(backend, feeds=str(folder / "feeds")) as site:
        yield Channel(site, backend, folder)


def all_hidden(channel: Channel) -> bool:
    """Say whether every file with a high score is refused."""
    return all(channel.status(name, VERSIONS[name][0] or "") == 403 for name in CVES)


def test_the_newest_version_that_may_be_seen_is_installed_and_never_the_vulnerable_one(
    channel: Channel, tmp_path: Path
) -> None:
    wanted = ["django <3.2.5", "urllib3 <1.26.5", "flask <1"]
    lock = tmp_path / "yesterday.lock"
    before = channel.install(*wanted, "click", lock=lock, cache="yesterday", prefix=None)
    assert {name: before.installed[name] for name in CVES} == {name: VERSIONS[name][0] for name in CVES}
    channel.govern(cve_score=7, cve_score_comparator="<=")
    channel.advise("osv.jsonl", "nvd.json")
    channel.until(lambda: all_hidden(channel))
    # the gate obeys first, the index within moments
    channel.until(lambda: b"django-3.2.4" not in channel.index()["repodata.json"])
    for shards in (True, False):
        newest = channel.install(*CVES, *NEIGHBOURS, shards=shards)
        assert newest.installed == {name: found[2] for name, found in VERSIONS.items()} | NEIGHBOURS, newest.error
        older = channel.install("django <3.2.5", shards=shards)
        assert older.installed == {"django": "3.1.14"}, older.error
        none = channel.install("django ==3.2.4", shards=shards)
        assert "No candidates were found for django ==3.2.4" in none.error, none
    for name, cve in CVES.items():
        refused = channel.refusal(name, VERSIONS[name][0] or "")
        details = refused["details"]
        told = [one["cve"] for one in details["evidence"]["cves"]]
        assert details["rule"] == "cve" and cve in told and cve in refused["message"], refused
        assert details["newest_passing"] == VERSIONS[name][2], refused
    locked = install_locked(lock, tmp_path / "locked", cache_dir=tmp_path / "fresh")
    assert locked.stage == "install" and "403" in locked.error, locked
    assert not list((tmp_path / "locked").glob("share/*")), "nothing of it was installed"


@ONE_BACKEND
@pytest.mark.parametrize("shards", [True, False])
def test_a_client_that_holds_yesterdays_index_gets_nothing_that_is_hidden_today(channel: Channel, shards: bool) -> None:
    channel.govern(cve_score=7, cve_score_comparator="<=")
    before = channel.install("urllib3 <1.26.5", shards=shards, cache="old", prefix=None)
    assert before.installed == {"urllib3": "1.26.4"}, before.error
    channel.advise("osv.jsonl", "nvd.json")
    channel.until(lambda: all_hidden(channel))
    now = channel.install("urllib3 <1.26.5", shards=shards, cache="old")
    assert now.error and not now.installed
    assert "403" in now.error or now.stage == "solve", "refused, unless it had asked for the new index"
    newest = channel.install("urllib3", shards=shards, cache="old")
    assert newest.installed == {"urllib3": "1.26.18"}, newest.error


def test_an_advisory_takes_effect_while_clients_install_and_its_end_brings_the_former_bytes_back(
    channel: Channel,
) -> None:
    channel.govern(cve_score=7, cve_score_comparator="<=")
    before = channel.index()
    taken: list[int] = []
    installed: list[Result] = []
    over = threading.Event()

    def download() -> None:
        while not over.is_set():
            taken.append(channel.status("django", "3.2.4"))

    def install() -> None:
        while not over.is_set():
            installed.append(channel.install("django <3.2.5"))

    clients = [threading.Thread(target=download), threading.Thread(target=install)]
    for client in clients:
        client.start()
    try:
        channel.advise("osv.jsonl", "nvd.json")
        channel.until(lambda: all_hidden(channel))
        channel.until(lambda: b"django-3.2.4" not in channel.index()["repodata.json"])
        hidden = channel.index()
        done = len(installed)
        channel.until(lambda: len(installed) > done + 1)
    finally:
        over.set()
        for client in clients:
            client.join()
    assert taken == sorted(taken) and set(taken) == {200, 403}, "from one moment on it is refused"
    assert installed[-1].installed == {"django": "3.1.14"}, installed[-1].error
    assert all("403" in one.error for one in installed if not one.ok)
    assert all(hidden[name] != before[name] for name in ("repodata.json", "repodata.json.zst"))
    channel.advise("nvd.json")
    channel.until(lambda: channel.status("django", "3.2.4") == 200)
    channel.until(lambda: channel.index() == before)
    again = channel.install("django ==3.2.4")
    assert again.installed == {"django": "3.2.4"}, again.error


@ONE_BACKEND
def test_a_policy_and_its_end_bring_the_former_bytes_back(channel: Channel) -> None:
    before = channel.index()
    channel.advise("osv.jsonl", "nvd.json")
    policy = channel.govern(cve_score=7, cve_score_comparator="<=")
    channel.until(lambda: all_hidden(channel))
    # the gate obeys first, the index within moments
    channel.until(lambda: channel.index()["repodata.json"] != before["repodata.json"])
    channel.site.call("PUT", f"/api/policies/{policy}", {"cve_score": 10})
    channel.until(lambda: channel.index() == before)
    assert channel.install("flask <1").installed == {"flask": "0.12.2"}
