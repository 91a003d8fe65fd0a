"""What people say takes effect: at the gate and in the index, at once, and taken back as if it had never been."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.vulnerabilities import quarantine
from packhouse.core.db import Database
from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.condapkg import make_conda
from tests.kit.feeding import osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, index_of, judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

ONE, TWO, THREE = "lib-1.0-0.conda", "lib-1.5-0.conda", "lib-2.0-0.conda"
#: of TWO, as `put` makes it
BYTES = make_conda("lib", "1.5", depends=["python >=3.8"])


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with two public channels."""
    async with open_house(backend) as opened:
        for name in ("pub", "other"):
            await opened.channel(name)
        yield opened


async def put(house: House, *versions: str, name: str = "lib", channel: str = "pub", **more: Any) -> None:
    """Upload versions of a Python package."""
    for version in versions:
        await house.upload(channel, name, version, depends=["python >=3.8"], **more)


async def send(house: House, method: str, target: str, body: Any = None) -> Any:
    """Do what an administrator does, and let the worker do its part."""
    answer = await call(house.admin, method, target, body)
    assert answer.status < 300, answer.body
    await judged(house)
    return answer.json() if answer.body else None


async def say(house: House, status: str, **more: Any) -> None:
    body = {"cve": "CVE-2024-0001", "name": "lib", "status": status, **more}
    await send(house, "POST", "/api/statements", body)


async def test_quarantine_hides_a_file_everywhere_until_it_is_released(house: House) -> None:
    await put(house, "1.0", "1.5")
    data = (await house.web.get(f"/api/repo/pub/noarch/{ONE}")).body
    assert (await house.admin.put(f"/api/repo/other/noarch/{ONE}", data)).status == 201
    before = [await index_of(house, channel) for channel in ("pub", "other")]
    case = await send(house, "POST", "/api/quarantine", {"channel": "other", "ckey": f"noarch/{ONE}", "reason": "Bad."})
    for channel in ("pub", "other"):
        refused = await house.web.get(f"/api/repo/{channel}/noarch/{ONE}")
        assert refused.status == 403 and "quarantine" in json.dumps(refused.json())
    assert (await listed(house, "pub"), await listed(house, "other")) == ({TWO}, set())
    assert await status_of(house, "pub", TWO) == 200
    await house.channel("third")
    assert (await house.admin.put(f"/api/repo/third/noarch/{ONE}", data)).status in (200, 201)
    await house.caught_up()
    assert await status_of(house, "third", ONE) == 403, "also where it comes later"
    await send(house, "DELETE", f"/api/quarantine/{case['sha256']}")
    for channel in ("pub", "other", "third"):
        assert await status_of(house, channel, ONE) == 200
    assert [await index_of(house, channel) for channel in ("pub", "other")] == before
    assert await listed(house, "third") == {ONE}


async def test_bytes_that_nobody_has_yet_are_hidden_as_they_come(house: House) -> None:
    data = make_conda("lib", "1.0")
    digest = hashlib.sha256(data).hexdigest()
    await send(house, "POST", "/api/quarantine", {"sha256": digest, "reason": "Known to be bad."})
    assert (await house.admin.put(f"/api/repo/pub/noarch/{ONE}", data)).status == 201
    await put(house, "1.5")
    await house.caught_up()
    assert await status_of(house, "pub", ONE) == 403
    assert await listed(house, "pub") == {TWO}
    await send(house, "DELETE", f"/api/quarantine/{digest}")
    assert await listed(house, "pub") == {ONE, TWO}


async def test_a_file_of_a_mirror_is_held_back_before_it_is_fetched(house: House) -> None:
    source = CondaSource()
    ckey = source.add("lib")
    source.add("fine")
    async with Upstream(source.files()) as up:
        mirror = await add_mirror(house.services, await house.find("pub"), up.url, mode="passive")
        await run_and_wait(house.services, mirror)
        await judged(house)
        before = await index_of(house, "pub")
        case = await send(house, "POST", "/api/quarantine", {"channel": "pub", "ckey": ckey, "reason": "Bad."})
        up.requests.clear()
        assert await status_of(house, "pub", ONE) == 403
        assert up.requests == [], "nobody asked the upstream"
        assert await listed(house, "pub") == {"fine-1.0-0.conda"}
        await send(house, "DELETE", f"/api/quarantine/{case['sha256']}")
        assert await index_of(house, "pub") == before
        assert await status_of(house, "pub", ONE) == 200


async def test_bytes_in_quarantine_are_held_back_under_whatever_name_they_come(house: House, tmp_path: Path) -> None:
    await put(house, "1.5")
    case = await send(house, "POST", "/api/quarantine", {"channel": "pub", "ckey": f"noarch/{TWO}", "reason": "Bad."})
    source = CondaSource()
    source.add("another", sha256=case["sha256"], md5=None, size=None)
    source.add("fine")
    async with Upstream(source.files()) as up:
        mirror = await add_mirror(house.services, await house.find("other"), up.url, mode="passive")
        await run_and_wait(house.services, mirror)
        await judged(house)
        assert await listed(house, "other") == {"fine-1.0-0.conda"}
        up.requests.clear()
        assert await status_of(house, "other", "another-1.0-0.conda") == 403
        assert up.requests == [], "nobody asked the upstream"
        await advise(house.services, tmp_path, osv(1, "lib"))
        await govern(house, "other", cve_score=7)
        assert await listed(house, "other") == {"fine-1.0-0.conda"}, "under a later policy, too"
        await send(house, "DELETE", f"/api/quarantine/{case['sha256']}")
        assert await listed(house, "other") == {"fine-1.0-0.conda", "another-1.0-0.conda"}


async def test_what_comes_while_bytes_are_put_into_quarantine_is_not_missed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_conda("lib", "1.0")
    digest = hashlib.sha256(data).hexdigest()
    look, asked = quarantine.held, 0

    async def late(db: Database, sha256: bytes) -> Any:
        """Answer as before the upload, the first time: its unit was not over."""
        nonlocal asked
        asked += 1
        return [] if asked == 1 else await look(db, sha256)

    await house.admin.put(f"/api/repo/pub/noarch/{ONE}", data)
    monkeypatch.setattr(quarantine, "held", late)
    await send(house, "POST", "/api/quarantine", {"sha256": digest, "reason": "Bad."})
    assert await status_of(house, "pub", ONE) == 403


async def test_what_is_cleared_is_shown_again_and_stays_so(house: House, tmp_path: Path) -> None:
    await put(house, "1.0", "1.5", "2.0")
    await govern(house, "pub", exclude_cve_status=["active", "reported"])
    before = await index_of(house, "pub")
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    hidden = await index_of(house, "pub")
    assert await listed(house, "pub") == {THREE}
    await say(house, "cleared", spec="<1.6")
    assert await index_of(house, "pub") == before, "as if nothing had been found"
    await say(house, "cleared", spec="<1.2")
    await say(house, "reported", spec="<1.6")
    assert await listed(house, "pub") == {ONE, THREE}
    assert (await status_of(house, "pub", ONE), await status_of(house, "pub", TWO)) == (200, 403)
    for details in ("Worse.", "Worse still."):
        await advise(house.services, tmp_path, osv(1, "lib", details=details), osv(2, "other"))
        await judged(house)
        assert await listed(house, "pub") == {ONE, THREE}, "whatever the feed says later"
    await say(house, "reported", spec="<1.2")
    assert await index_of(house, "pub") == hidden
    await say(house, "mitigated", sha256=hashlib.sha256(BYTES).hexdigest())
    assert await listed(house, "pub") == {TWO, THREE}, "one file"


async def test_a_decision_holds_for_the_next_version_in_its_range(house: House, tmp_path: Path) -> None:
    await advise(house.services, tmp_path, osv(1, "lib"))
    await govern(house, "pub", exclude_cve_status=["active", "reported"])
    await say(house, "cleared", spec="<1.2")
    await put(house, "1.1", "1.2")
    await house.caught_up()
    assert await listed(house, "pub") == {"lib-1.1-0.conda"}
    await house.services.db.write(lambda unit: unit.execute("UPDATE statement SET at = 1"))  # decided long ago
    await advise(house.services, tmp_path, osv(1, "lib", modified="2026-01-01T00:00:00Z"))
    await judged(house)
    assert await listed(house, "pub") == {"lib-1.1-0.conda"}


async def test_what_a_user_finds_active_counts_more_than_the_builder_who_cleared_it(
    house: House, tmp_path: Path
) -> None:
    said = json.dumps({"vulns_cleared": [{"id": "CVE-2024-0001"}]}).encode()
    await advise(house.services, tmp_path, osv(1, "lib"))
    await govern(house, "pub", exclude_cve_status=["active", "reported"])
    await put(house, "1.0", info={"info/security.json": said})
    await put(house, "1.5")
    await house.caught_up()
    assert await listed(house, "pub") == {ONE}
    await say(house, "active")
    assert await listed(house, "pub") == set()
    await say(house, "reported")
    assert await listed(house, "pub") == {ONE}


async def test_decisions_of_another_installation_take_effect(house: House, tmp_path: Path) -> None:
    await put(house, "1.0")
    await govern(house, "pub", exclude_cve_status=["active", "reported"])
    await advise(house.services, tmp_path, osv(1, "lib"))
    await say(house, "mitigated")
    document = (await house.admin.get("/api/vex?format=cyclonedx")).body
    await say(house, "reported")
    assert await listed(house, "pub") == set()
    headers = {"content-type": "application/json"}
    answer = await house.admin.request("POST", "/api/vex", headers, [document])
    assert answer.status == 200 and answer.json()["added"] == 1, answer.body
    await judged(house)
    assert await listed(house, "pub") == {ONE}


async def test_a_correction_of_a_name_decides_what_advisories_are_about(house: House, tmp_path: Path) -> None:
    await put(house, "1.0")
    await put(house, "1.0", name="mine")
    await govern(house, "pub", cve_score=7)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    before = await index_of(house, "pub")
    assert await listed(house, "pub") == {"mine-1.0-0.conda"}
    mine = {"name": "mine", "ecosystem": "PyPI", "upstream": "lib"}
    await send(house, "POST", "/api/aliases", mine)
    assert await listed(house, "pub") == set()
    await send(house, "POST", "/api/aliases", {**mine, "name": "lib", "negative": True})
    assert await listed(house, "pub") == {ONE}
    for name in ("mine", "lib"):
        await send(house, "DELETE", f"/api/aliases?name={name}&ecosystem=PyPI&upstream=lib")
    assert await index_of(house, "pub") == before
