"""Decisions travel between installations as VEX: whole, exact, and never over what was decided later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Backend
from tests.kit.asgi import Answer
from tests.kit.calls import call, read
from tests.kit.feeding import add_feed, lines, osv, take, waiting
from tests.kit.house import House

URL = "/api/vex"
FORMS = ("openvex", "cyclonedx")


async def decide(house: House, number: int = 1, **more: Any) -> None:
    body = {"cve": f"CVE-2024-000{number}", "name": "numpy", "status": "cleared", "note": "No.", **more}
    answer = await call(house.admin, "POST", "/api/statements", body)
    assert answer.status == 200, answer.body


async def statements(house: House) -> list[dict[str, Any]]:
    """Return all that users say, without the numbers."""
    found = await read(house.admin, "/api/statements?origin=user")
    return [{key: value for key, value in one.items() if key != "id"} for one in found["items"]]


async def send(house: House, document: bytes, query: str = "") -> Answer:
    headers = {"content-type": "application/json", "content-length": str(len(document))}
    return await house.admin.request("POST", f"{URL}{query}", headers, [document])


async def taken(house: House, document: bytes, query: str = "") -> dict[str, Any]:
    answer = await send(house, document, query)
    assert answer.status == 200, answer.body
    return dict(answer.json())


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    return tuple(report[word] for word in ("added", "changed", "unchanged", "skipped"))


async def forget(house: House) -> None:
    found = await read(house.admin, "/api/statements?origin=user")
    ids = [one["id"] for one in found["items"]]
    assert (await call(house.admin, "POST", "/api/statements/withdraw", {"ids": ids})).status == 200
    await waiting(house.services)


@pytest.mark.parametrize("form", FORMS)
async def test_what_was_exported_comes_back_as_it_was(house: House, form: str) -> None:
    await house.channel("team")
    await house.upload("team", "numpy", "1.0")
    await decide(house, 1, spec="<2")
    await decide(house, 2, status="mitigated", note="Line 1\nLine 2")
    await decide(house, 3, status="disputed", sha256="ab" * 32)
    await decide(house, 4, status="active", name="scipy", spec=">=1,<3 py39_*")
    before = await statements(house)
    answer = await house.admin.get(f"{URL}?format={form}")
    assert answer.status == 200 and "attachment" in answer.headers["content-disposition"]
    assert counts(await taken(house, answer.body)) == (0, 0, 4, 0)
    await forget(house)
    dry = await taken(house, answer.body, "?dry_run=true")
    assert (dry["form"], dry["dry_run"], counts(dry)) == (form, True, (4, 0, 0, 0))
    assert await statements(house) == [] and await waiting(house.services) == set()
    assert counts(await taken(house, answer.body)) == (4, 0, 0, 0)

    def by_name(one: dict[str, Any]) -> str:
        return str(one["cve"])

    assert sorted(await statements(house), key=by_name) == sorted(before, key=by_name)
    assert await waiting(house.services) == {("conda", "numpy"), ("conda", "scipy")}
    found = await read(house.admin, "/api/events?type=vex_imported")
    [event] = found["items"]
    assert (event["data"]["added"], event["data"]["form"], event["meta"]["actor"]) == (4, form, "admin")


@pytest.mark.parametrize("form", FORMS)
async def test_a_later_decision_here_is_not_overruled(house: House, form: str) -> None:
    await decide(house)
    document = (await house.admin.get(f"{URL}?format={form}")).body
    await decide(house, status="active", note="It does.")
    report = await taken(house, document)
    assert counts(report) == (0, 0, 0, 1)
    assert "said later" in report["passed_over"][0]["reason"] and "CVE-2024-0001" in report["passed_over"][0]["where"]
    assert [one["status"] for one in await statements(house)] == ["active"]


async def test_an_export_is_of_what_was_asked_for(house: House, tmp_path: Path) -> None:
    for channel, name in (("team", "numpy"), ("other", "scipy")):
        await house.channel(channel, "private", "owner")
        await house.upload(channel, name, "1.0")
    await house.upload("other", "numpy", "9.9")
    await decide(house, 1)
    await decide(house, 2, name="scipy")
    source = tmp_path / "curated.json"
    source.write_text(json.dumps([{"id": "CVE-2024-0003", "package": "numpy", "status": "active"}]))
    await add_feed(house.services, source.as_uri(), kind="curated")
    await take(house.services)

    async def asked(query: str) -> set[str]:
        document = await read(house.admin, f"{URL}?format=cyclonedx&{query}")
        return {one["id"] for one in document["vulnerabilities"]}

    assert await asked("") == {"CVE-2024-0001", "CVE-2024-0002"}
    assert await asked("name=numpy") == await asked("cve=cve-2024-0001") == {"CVE-2024-0001"}
    assert await asked("origin=feed") == await asked("origin=feed:ours") == {"CVE-2024-0003"}
    assert await asked("channel=team") == {"CVE-2024-0001"}
    document = (await house.admin.get(f"{URL}?channel=team")).body
    assert b"1.0" in document and b"@9.9" not in document, "no word of files elsewhere"
    assert b"@9.9" in (await house.admin.get(URL)).body
    assert (await house.admin.get(f"{URL}?name=pandas")).status == 404, "OpenVEX has no document of nothing"
    assert (await house.admin.get(f"{URL}?name=pandas&format=cyclonedx")).status == 200
    for query in ("format=spdx", "origin=builder", "channel=nowhere"):
        assert (await house.admin.get(f"{URL}?{query}")).status in (400, 404)


async def test_a_strangers_document_is_taken_as_far_as_it_can_be_used(house: House, tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_bytes(lines([osv(1, "numpy"), osv(2, "scipy", aliases=["CVE-2024-0002", "CVE-2024-0003"])]))
    await add_feed(house.services, feed.as_uri())
    await take(house.services)

    def said(vulnerability: str, status: str, product: str, **more: str) -> dict[str, Any]:
        return {"vulnerability": {"name": vulnerability}, "status": status, "products": [{"@id": product}], **more}

    document = {
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:x", "author": "Vendor", "version": 1,
        "timestamp": "2024-05-05T00:00:00Z",
        "statements": [
            said("PYSEC-1", "not_affected", "pkg:conda/numpy@1.0", justification="component_not_present"),
            said("PYSEC-2", "fixed", "pkg:conda/scipy"),
            said("CVE-2024-0009", "under_investigation", "pkg:conda/numpy"),
            said("CVE-2024-0009", "fixed", "pkg:npm/numpy"),
            said("CVE-2024-0004", "affected", "pkg:conda/numpy"),
            said("CVE-2024-0004", "fixed", "pkg:conda/numpy", timestamp="2024-06-06T00:00:00Z"),
        ],
    }  # fmt: skip
    report = await taken(house, json.dumps(document).encode())
    assert counts(report) == (2, 0, 0, 4)
    reasons = " ".join(one["reason"] for one in report["passed_over"])
    assert all(word in reasons for word in ("several vulnerabilities", "investigation", "npm", "later")), reasons
    found = {(one["cve"], one["spec"], one["status"], one["author"]) for one in await statements(house)}
    assert found == {
        ("CVE-2024-0001", "==1.0", "cleared", "Vendor"), ("CVE-2024-0004", "", "mitigated", "Vendor"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"[]", b"{}", b"\xff", b'{"@context": "x"}', b'{"bomFormat": "CycloneDX"}', b"[" * 100_000,
        b'{"@context": "https://openvex.dev/ns/v0.2.0", "@context": "https://openvex.dev/ns/v0.2.0"}',
    ],
)  # fmt: skip
async def test_what_is_no_vex_is_refused_whole(house: House, document: bytes) -> None:
    answer = await send(house, document)
    assert answer.status == 400 and answer.json()["hint" if "hint" in answer.json() else "message"], answer.body
    assert await statements(house) == []


async def test_what_is_too_large_is_refused_whole(backend: Backend, house: House) -> None:
    if backend.name != "sqlite+folder":
        pytest.skip("no database is asked")
    assert (await send(house, b" " * ((32 << 20) + 1))).status == 413
    head = b'{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:x", "author": "a", "version": 1, "statements": ['
    one = b'{"vulnerability": {"name": "CVE-2024-1"}, "status": "fixed", "products": [{"@id": "pkg:conda/a"}]},'
    answer = await send(house, head + one * 50_001 + one[:-1] + b"]}")
    assert answer.status == 413 and "50000" in answer.json()["message"], answer.body
    each = [one.replace(b"-1", b"-%d" % number) for number in range(10_001)]
    answer = await send(house, head + b"".join(each)[:-1] + b"]}")
    assert answer.status == 413 and "10000" in answer.json()["message"], answer.body
    assert await statements(house) == []


async def test_only_those_with_the_right_may(house: House) -> None:
    for who in (house.as_("owner"), house.web):
        assert (await who.get(URL)).status in (401, 403)
        assert (await who.request("POST", URL, {"content-type": "application/json"}, [b"{}"])).status in (401, 403)
