"""Licences nobody would write, in packages and in policies: a decision or a refusal, soon, and no fault of ours."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.condapkg import make_conda
from tests.kit.house import House, open_house
from tests.kit.judging import govern, judged, listed
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait

MEGABYTE = 1_000_000
LICENSES = {
    "letters": "A" * MEGABYTE,
    "ors": "MIT OR " * (MEGABYTE // 7),
    "ands": "GPL-3.0-only AND " * (MEGABYTE // 17),
    "open": "(" * MEGABYTE,
    "nested": "(" * (MEGABYTE // 2) + "MIT" + ")" * (MEGABYTE // 2),
    "slashes": "MIT/" * (MEGABYTE // 4),
    "later": "GPL or " + "any later " * (MEGABYTE // 10),
    "blank": " " * MEGABYTE,
    "surrogates": "\U0001f600" * (MEGABYTE // 4),
}
#: what takes time by the square of a megabyte takes hours
SECONDS = 300


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with one public channel under a policy about licences."""
    async with open_house(backend) as opened:
        await opened.channel("pub")
        await govern(opened, "pub", license_not=["GPL", "GPL2", "GPL3"])
        yield opened


@pytest.mark.parametrize("case", LICENSES)
async def test_an_upload_with_a_licence_of_a_megabyte(house: House, case: str) -> None:
    begun = time.monotonic()
    data = make_conda("lib", "1.0", license=LICENSES[case])
    answer = await house.admin.put("/api/repo/pub/noarch/lib-1.0-0.conda", data)
    assert answer.status in (201, 413, 422), answer.body[:200]
    await house.upload("pub", "lib", "2.0", license="MIT")
    await judged(house)
    assert "lib-2.0-0.conda" in await listed(house, "pub")
    if answer.status == 201:
        status = (await house.web.get("/api/repo/pub/noarch/lib-1.0-0.conda")).status
        assert status in (200, 403)
        assert ("lib-1.0-0.conda" in await listed(house, "pub")) == (status == 200)
    assert time.monotonic() - begun < SECONDS


@pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)
async def test_a_mirror_whose_records_have_licences_of_a_megabyte(house: House, tmp_path: Path) -> None:
    source = CondaSource()
    for case, text in LICENSES.items():
        source.add(case, license=text, real=False)
    source.add("fine", real=False)
    for place, data in source.files().items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(data)
    begun = time.monotonic()
    mirror = await add_mirror(house.services, await house.find("pub"), tmp_path.as_uri(), mode="passive")
    found = await run_and_wait(house.services, mirror)
    assert found.state == "completed", found.progress
    await judged(house)
    assert "fine-1.0-0.conda" in await listed(house, "pub")
    for case in LICENSES:  # how each is decided is the same at the gate and in the index
        shown = f"{case}-1.0-0.conda" in await listed(house, "pub")
        assert not shown or case not in ("ands",), case
    assert time.monotonic() - begun < SECONDS


@pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)
@pytest.mark.parametrize(
    "fields",
    [
        {"license": ["A" * MEGABYTE]},
        {"license_not": ["(" * MEGABYTE]},
        {"license_exception": ["lib " + "<1," * (MEGABYTE // 3)]},
        {"package_name": ["*" * MEGABYTE]},
        {"cve_allowlist": ["CVE-2024-" + "1" * MEGABYTE]},
        {"license": ["MIT"] * 100_000},
        {"license": ["mit"], "license_not": ["MIT"]},
        {"cve_score": 7, "cve_score_comparator": "!="},
        {"cve_score": 1e308},
        {"minimum_age_days": -1},
        {"unheard_of": True},
        {"package_created_from": "2025-01-01", "package_created_to": "2024-01-01"},
    ],
    ids=lambda fields: "-".join(fields),
)
async def test_a_policy_nobody_would_write_is_refused_by_field(house: House, fields: dict[str, Any]) -> None:
    begun = time.monotonic()
    answer = await call(house.admin, "POST", "/api/policies", {"name": "odd", **fields})
    assert answer.status in (400, 413, 422), answer.body[:200]
    if answer.status != 413:
        assert any(name in answer.body.decode() for name in fields), answer.body[:300]
    assert len(answer.body) < 5000, "the refusal does not repeat it all"
    assert (await house.admin.get("/api/policies")).json()["total_count"] == 0
    assert time.monotonic() - begun < SECONDS
