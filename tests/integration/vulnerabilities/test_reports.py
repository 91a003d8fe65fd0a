"""The report of a channel and the reach of a vulnerability, by who asks."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from aiohttp import ClientSession

from packhouse.catalog.packages import downloads
from packhouse.catalog.packages.downloads import NOBODY, Tally
from packhouse.core.clock import from_iso
from packhouse.workflows.vulnerabilities import report
from tests.kit.asgi import listening
from tests.kit.calls import read
from tests.kit.findings import found, know, say
from tests.kit.house import House
from tests.kit.keys import SEALER


async def download(house: House, channel: str, name: str, who: str | None, at: str, count: int = 1) -> None:
    """Count downloads of a package's only file."""
    account = house.people[who].principal.account_id if who else NOBODY
    what = await house.download(channel, name, account or NOBODY)
    tally = Tally(what, count, from_iso(at), from_iso(at))
    await house.services.db.write(lambda unit: downloads.add(unit, [tally]))


async def streamed(house: House, target: str) -> tuple[dict[str, str], bytes]:
    """GET something long from the real server, as the administrator."""
    async with (
        listening(house.server) as base,
        ClientSession(headers=house.people["admin"].auth) as session,
        session.get(base + target) as answer,
    ):
        assert answer.status == 200
        return {name.lower(): value for name, value in answer.headers.items()}, await answer.read()


async def test_the_report_is_the_same_in_both_forms_and_no_cell_is_a_formula(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.channel("team/dev")
    await house.upload("team/dev", "a", "1.0")
    await house.upload("team/dev", "b", "1.0")
    await house.upload("team", "c", "1.0")
    one = await know(db, "CVE-2024-0001", 98, summary='=HYPERLINK("http://evil")')
    two = await know(db, "CVE-2024-0002", 41)
    for name in ("a", "b", "c"):
        await found(db, one, name, "1.0", fixed_in="2.0")
    await found(db, two, "a", "1.0")
    await say(db, "CVE-2024-0001", "b", "mitigated", note="+patched\nhere")
    target = "/api/channels/team/subchannels/dev/cves/report"
    headers, body = await streamed(house, f"{target}?download_as=csv")
    assert headers["content-disposition"] == "attachment; filename=team-dev-cves.csv"
    table = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert [(row["name"], row["cve"], row["score"], row["status"]) for row in table] == [
        ("a", "CVE-2024-0001", "9.8", "reported"),
        ("a", "CVE-2024-0002", "4.1", "reported"),
        ("b", "CVE-2024-0001", "9.8", "mitigated"),
    ]
    assert table[0]["summary"] == '\'=HYPERLINK("http://evil")'
    assert table[2]["note"] == "'+patched here"
    whole = json.loads((await streamed(house, target))[1])
    assert [(row["name"], row["cve"], str(row["score"]), row["status"]) for row in whole["items"]] == [
        (row["name"], row["cve"], row["score"], row["status"]) for row in table
    ]
    assert whole["items"][0]["fixed_in"] == "2.0"
    assert whole["knowledge"]["as_of"] is None
    await house.channel("empty")
    assert json.loads((await streamed(house, "/api/channels/empty/cves/report"))[1])["items"] == []
    assert (await house.as_("outsider").get(target)).status == 403
    assert (await house.admin.get(f"{target}?download_as=xlsx")).status == 400


async def test_a_report_goes_out_in_pieces(house: House) -> None:
    db = house.services.db
    here = await house.channel("team")
    await house.upload("team", "a", "1.0")
    for number in range(6000):
        await db.write(_finding(number)) if number % 1000 == 0 else None
    sizes = [len(lines) async for lines in report.report(db, _all(here.id))]
    assert sum(sizes) == 6000
    assert len(sizes) > 1, "not all at once"


def _all(channel_id: int) -> Any:
    from packhouse.catalog.vulnerabilities import affected

    return affected.of_channel(channel_id, hidden=False)


def _finding(start: int) -> Any:
    async def work(unit: Any) -> None:
        rows = [{"number": number, "key": f"CVE-2024-{number:05}"} for number in range(start, start + 1000)]
        await unit.execute_many(
            "INSERT INTO vulnerability (id, key, kind, exploited, summary, body)"
            " VALUES (:number + 1, :key, 'vulnerability', FALSE, '', :body)",
            [{**row, "body": b"\x95\xa0\x90\x90\x90\x90"} for row in rows],
        )
        await unit.execute_many(
            "INSERT INTO finding (family, name, version, vulnerability_id, advisory_id, fixed_in, evidence)"
            " VALUES ('conda', 'a', '1.0', :number + 1, 1, '', '')",
            [{"number": row["number"]} for row in rows],
        )

    return work


async def test_who_has_it_is_told_to_those_who_may_know(house: House) -> None:
    db = house.services.db
    await house.channel("team", "private", "owner")
    await house.channel("open")
    for channel, name in (("team", "a"), ("open", "a"), ("open", "patched"), ("open", "gone")):
        await house.upload(channel, name, "1.0")
    number = await know(db, "CVE-2024-0001", aliases=["GHSA-1"])
    for name in ("a", "patched", "gone"):
        await found(db, number, name, "1.0")
    await say(db, "CVE-2024-0001", "patched", "mitigated")
    await download(house, "team", "a", "owner", "2026-03-01T10:00:00Z", 2)
    await download(house, "open", "a", None, "2026-03-02T10:00:00Z")
    await download(house, "open", "patched", "outsider", "2026-03-03T10:00:00Z")
    await download(house, "open", "gone", "owner", "2026-03-04T10:00:00Z")
    await house.remove("open", "gone")
    shown = await read(house.admin, "/api/cves/CVE-2024-0001/blast_radius")
    assert [(one["channel"], one["files_count"], one["hidden_count"]) for one in shown["channels"]] == [
        ("open", 2, 0),
        ("team", 1, 0),
    ]
    assert [(one["username"], one["files_count"], one["download_count"]) for one in shown["users"]] == [
        ("owner", 2, 3),
        (None, 1, 1),
    ]
    since = "/api/cves/CVE-2024-0001/blast_radius?since=2026-03-02"
    assert {one["username"]: one["download_count"] for one in (await read(house.admin, since))["users"]} == {
        None: 1,
        "owner": 1,
    }
    page = await read(house.admin, "/api/cves/CVE-2024-0001/downloads?limit=3")
    assert page["total_count"] == 4
    assert [(one["username"], one["name"], one["cve_status"]) for one in page["items"]] == [
        ("owner", "gone", "reported"),
        ("outsider", "patched", "mitigated"),
        (None, "a", "reported"),
    ]
    for target in ("blast_radius", "downloads"):
        assert (await house.as_("owner").get(f"/api/cves/CVE-2024-0001/{target}")).status == 403
        assert (await house.admin.get(f"/api/cves/CVE-1999-0001/{target}")).status == 404


async def test_a_token_without_the_audit_scope_hears_of_channels_and_not_of_users(house: House) -> None:
    from packhouse.catalog.installation.keys import load_keys
    from packhouse.workflows.people import tokens

    db = house.services.db
    await know(db, "CVE-2024-0001")
    admin = house.people["admin"].principal
    _, value = await tokens.create(db, await load_keys(db, SEALER), admin, "cves", ["cve:view", "channel:view"], None)
    shown = await read(house.web.with_headers({"x-auth": value}), "/api/cves/CVE-2024-0001/blast_radius")
    assert (shown["users"], shown["channels"]) == (None, [])
