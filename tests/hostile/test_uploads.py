"""Damaged and broken-off uploads: refused with a reason, in time, and nothing of them stays."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Backend
from tests.kit.calls import upload
from tests.kit.condapkg import make_conda, make_tarbz2
from tests.kit.house import House, open_house
from tests.kit.mutations import MUTATIONS, members_reordered
from tests.kit.realchannel import build_real_channel

SECONDS = 60.0
MEGABYTES = 64
#: real packages, small enough to damage many times
REAL = ("idna-", "mdurl-", "markupsafe-", "certifi-")


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A running server."""
    async with open_house(backend) as opened:
        yield opened


@functools.cache
def sources(folder: Path) -> list[tuple[str, str, bytes]]:
    """Return (subdir, file name, bytes) of sound packages, real ones and small made ones of both formats."""
    real = [path for path in build_real_channel(folder).rglob("*.conda") if path.name.startswith(REAL)]
    assert len(real) == len(REAL)
    made = [
        ("noarch", "one-1.0-0.conda", make_conda("one", "1.0")),
        ("linux-64", "two-2.0-1.tar.bz2", make_tarbz2("two", "2.0", "1", "linux-64")),
        ("noarch", "old-1.0-0.tar.bz2", make_tarbz2("old", "1.0", files={f"share/{n}": b"x" * n for n in range(40)})),
    ]
    return [*((path.parent.name, path.name, path.read_bytes()) for path in sorted(real)), *made]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the real channel is made."""
    return tmp_path_factory.mktemp("channel")


def resident_megabytes() -> float:
    """Return how much memory this process has now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


async def damage(house: House, folder: Path, seed: int, count: int) -> dict[int, int]:
    """Upload `count` damaged packages, each into a channel of its own; return how often each status came."""
    chance = random.Random(seed)
    statuses: dict[int, int] = {}
    for number in range(count):
        subdir, filename, sound = chance.choice(sources(folder))
        data = sound
        chosen = chance.sample(MUTATIONS, chance.choice((1, 1, 2)))
        for mutation in sorted(chosen, key=lambda one: one is not members_reordered):  # that one needs a sound file
            data = mutation(data or sound, chance)
        case = (seed, number, filename)
        await house.channel(f"c{number}")
        before = await house.leftovers()
        async with asyncio.timeout(SECONDS):
            answer = await house.admin.put(f"/api/repo/c{number}/{subdir}/{filename}", data)
        assert answer.status in (200, 201, 415, 422), (case, answer.body)
        if answer.status in (415, 422):
            assert answer.json()["message"].startswith(filename), case
            assert await house.leftovers() == before, case
        else:  # the damage did no harm: then these very bytes are the file
            assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()
            assert (await house.web.get(f"/api/repo/c{number}/{subdir}/{filename}")).body == data, case
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
    return statuses


async def check(house: House, folder: Path, seed: int, count: int) -> None:
    """Damage, then look at memory, and that sound packages still go in."""
    sources(folder)
    before = resident_megabytes()
    statuses = await damage(house, folder, seed, count)
    assert statuses.get(422, 0) > count // 2, statuses
    assert resident_megabytes() - before < MEGABYTES
    await house.channel("sound")
    for subdir, filename, data in sources(folder):
        assert (await house.admin.put(f"/api/repo/sound/{subdir}/{filename}", data)).status == 201


async def test_a_sample_of_damaged_packages(house: House, folder: Path) -> None:
    await check(house, folder, seed=1, count=120)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(10, 20))
async def test_five_thousand_damaged_packages(house: House, folder: Path, seed: int) -> None:
    await check(house, folder, seed, count=500)


MALFORMED: dict[str, dict[str, Any]] = {
    "legacy_bz2_md5": {"legacy_bz2_md5": "zz"},
    "legacy_bz2_md5 ": {"legacy_bz2_md5": 5},
    "hexadecimal digits": {"legacy_bz2_md5": "ab" * 15},
    "info/index.json has a text with the character U+0000": {"license": "a\0b"},
    "info/about.json has a text with the character U+0000": {"info": {"info/about.json": b'{"summary": "\\u0000"}'}},
    "<= 253402207200000": {"timestamp": 253_402_300_800_001},
    "track_features": {"track_features": {}},
    "'>>> x' is no match spec": {"depends": [">>> x"]},
    "'a >>> x' is no match spec": {"constrains": ["a >>> x"]},
    "'x' is no package URL": {"purls": ["x"]},
}


async def test_what_no_index_can_carry_is_refused_and_leaves_nothing(house: House) -> None:
    await house.channel("pub")
    for fault, wrong in MALFORMED.items():
        data = make_conda("one", "1.0", **wrong)
        for answer in (
            await house.admin.put("/api/repo/pub/noarch/one-1.0-0.conda", data),
            await upload(house.admin, "pub", "one-1.0-0.conda", data),
        ):
            assert answer.status == 422 and fault.strip() in answer.json()["message"], answer.body
    assert await house.leftovers() == []


async def test_uploads_that_break_off_between_others_leave_nothing(house: House) -> None:
    await house.channel("pub")
    chance = random.Random(2)
    good = {f"good{number}-1.0-0.conda": make_conda(f"good{number}", "1.0") for number in range(10)}
    bad = {f"bad{number}-1.0-0.conda": make_conda(f"bad{number}", "1.0") for number in range(30)}

    def pieces(data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), 64):
            yield data[start : start + 64]

    async def send(filename: str, data: bytes, *, whole: bool) -> int:
        target = f"/api/repo/pub/noarch/{filename}"
        cut = data if whole else data[: chance.randrange(len(data))]
        answer = await house.admin.request("PUT", target, {}, pieces(cut), breaks_off=not whole)
        return answer.status

    jobs = [send(name, data, whole=True) for name, data in good.items()]
    jobs += [send(name, data, whole=False) for name, data in bad.items()]
    chance.shuffle(jobs)
    statuses = await asyncio.gather(*jobs)
    assert statuses.count(201) == 10 and all(status < 500 for status in statuses)
    left = await house.leftovers()
    assert len([line for line in left if line.startswith("blob")]) == 10
    assert "10 rows of content" in left and "10 rows of entry" in left and "10 rows of binding" in left
    assert not any("incoming" in line for line in left)


async def test_a_cancelled_upload_leaves_nothing(house: House) -> None:
    """A server that is stopped, or gives up on a client, cancels the request wherever it stands."""
    await house.channel("pub")
    data = make_conda("one", "1.0")
    for delay in (0.0, 0.001, 0.01):
        task = asyncio.create_task(house.admin.put("/api/repo/pub/noarch/one-1.0-0.conda", [data[:50], data[50:]]))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    left = await house.leftovers()
    assert not any("incoming" in line for line in left)
    # whichever way each of the three ended, the same upload now succeeds
    assert (await house.admin.put("/api/repo/pub/noarch/one-1.0-0.conda", data)).status in (200, 201)
    assert (await house.web.get("/api/repo/pub/noarch/one-1.0-0.conda")).body == data
