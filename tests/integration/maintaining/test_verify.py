"""Verify finds each invariant broken by hand, says where, and finds nothing while the house is open."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from tests.kit.calls import call
from tests.kit.condapkg import make_conda
from tests.kit.house import House
from tests.kit.inspection import findings, information, seal_all
from tests.kit.services import S3


async def change(house: House, statement: str, **values: object) -> None:
    """Do to the database what nobody may."""
    assert await house.services.db.write(lambda unit: unit.execute(statement, **values)) > 0


def blob_file(house: House, request: pytest.FixtureRequest, sha256: str) -> Path:
    """Return the file behind a blob."""
    url = urlsplit(house.services.settings.blob_url)
    name = f"{sha256[:2]}/{sha256}"
    if url.scheme == "file":
        return Path(url.path) / name
    server: S3 = request.getfixturevalue("s3")
    return next(path for path in server.objects(url.netloc) if path.name == sha256)


async def sha256_of(house: House, filename: str) -> str:
    row = await house.services.db.fetch_value(
        "SELECT c.sha256 FROM entry e JOIN content c ON c.id = e.content_id WHERE e.filename = :filename",
        filename=filename,
    )
    return bytes(row).hex()


# one damage each: the statement, the invariant that is broken, and what the finding names
DAMAGES = {
    "a record that claims another size": (
        "UPDATE record SET size = size + 1 WHERE name = 'scipy'", "I1", "lab/sub/noarch/scipy-2.0-0.conda"),
    "a record that claims another hash": (
        "UPDATE record SET claimed_md5 = claimed_sha256 WHERE name = 'scipy'", "I1", "scipy-2.0-0.conda"),
    "a content of another size": (
        "UPDATE content SET size = size + 1 WHERE id = 1", "I1", ""),
    "a file that nobody has": (
        "UPDATE entry SET content_id = NULL WHERE filename = 'zlib-3.0-0.conda' AND partition = 'noarch'", "I1",
        "lab/noarch/zlib-3.0-0.conda"),
    "an entry that is gone though the index shows it": (
        "DELETE FROM entry WHERE filename = 'numpy-1.1-0.conda'", "I2", "lab/noarch numpy"),
    "an entry shown under another name": (
        "UPDATE entry SET name = 'zzz' WHERE filename = 'numpy-1.1-0.conda'", "I2", "lab/noarch zzz"),
    "the last name of the index without an entry": (
        "DELETE FROM entry WHERE name = 'zlib'", "I2", "lab/linux-64 zlib"),
    "an index that shows nothing of a name": (
        "UPDATE shelf SET part_id = NULL WHERE name = 'numpy' AND to_rev IS NULL", "I2", "lab/noarch numpy"),
    "an index that shows another name's part": (
        "UPDATE shelf SET part_id = (SELECT part_id FROM shelf WHERE name = 'scipy' AND part_id IS NOT NULL LIMIT 1)"
        " WHERE name = 'numpy' AND to_rev IS NULL", "I2", "lab/noarch numpy"),
    "a shard of other bytes": ("UPDATE part SET shard = fragment", "I2", "part "),
    "a fragment of other bytes": ("UPDATE part SET fragment = shard", "I2", "part "),
    "a shard under another hash": ("UPDATE part SET shard_sha256 = sha256", "I2", "part "),
    "a part that is not zstd": (
        "UPDATE part SET fragment = sha256", "I2", "part "),
    "two parts at once": (
        "UPDATE shelf SET to_rev = NULL WHERE name = 'numpy' AND from_rev = 1", "I2", "lab/noarch numpy"),
    "a hole in what was shown": (
        "UPDATE shelf SET to_rev = from_rev WHERE name = 'numpy' AND from_rev = 1", "I2", "lab/noarch numpy"),
    "a name that ends for ever": (
        "UPDATE shelf SET to_rev = 99 WHERE name = 'zlib'", "I2", "lab/noarch zlib"),
    "a revision that is missing": ("DELETE FROM revision WHERE number = 2", "I2", "lab"),
    "a head behind": ("UPDATE head SET revision = revision - 1 WHERE revision > 2", "I2", "lab"),
    "a head ahead": ("UPDATE head SET revision = revision + 1 WHERE revision > 2", "I2", "lab"),
    "a shelf ahead of the head": (
        "UPDATE shelf SET from_rev = 50 WHERE name = 'zlib' AND partition = 'noarch'", "I2", "lab"),
    "a package with another count": (
        "UPDATE package SET file_count = file_count + 1 WHERE name = 'numpy'", "I2", "lab numpy"),
    "a package with another newest version": (
        "UPDATE package SET latest_version = '0' WHERE name = 'zlib'", "I2", "lab zlib"),
    "a package row of nothing": (
        "INSERT INTO package (channel_id, family, name, file_count, download_count, latest_version, license,"
        " license_family, summary, platforms, overview, created_at, updated_at) SELECT channel_id, family, 'zzz', 1,"
        " 0, '1', '', '', '', '', overview, 0, 0 FROM package WHERE name = 'zlib'", "I2", "lab zzz"),
    "a package row that is missing": ("DELETE FROM package WHERE name = 'zlib'", "I2", "lab zlib"),
    "a package with other needs": (
        """UPDATE package SET needs = '["a"]' WHERE name = 'numpy'""", "I2", "lab numpy"),
    "a dependant that is none": (
        "INSERT INTO need (channel_id, family, needed, name) SELECT channel_id, family, 'a', name FROM package"
        " WHERE name = 'numpy'", "I2", "dependants"),
    "a dependant that is missing": ("DELETE FROM need WHERE needed = 'zlib'", "I2", "dependants"),
    "other sums over a channel": ("UPDATE package_total SET files = files + 1 WHERE files > 2", "I2", "lab"),
    "the sums over a channel gone": ("DELETE FROM package_total WHERE files > 2", "I2", "lab"),
    "a coordinate bound to nothing": (
        "DELETE FROM binding WHERE filename = 'zlib-3.0-0.conda'", "I3", "lab/noarch/zlib-3.0-0.conda"),
    "a coordinate bound to other bytes": (
        "UPDATE binding SET sha256 = (SELECT sha256 FROM content WHERE id = 1) WHERE filename = 'zlib-3.0-0.conda'"
        " AND partition = 'linux-64'", "I3", "lab/linux-64/zlib-3.0-0.conda"),
    "an entry without its event": (
        "UPDATE entry SET event_id = 9999 WHERE partition = 'linux-64'", "I5", "linux-64/zlib-3.0-0.conda"),
    "a removal without its event": ("UPDATE removal SET event_id = 9999", "I5", "scipy-2.0-0.conda"),
    "an event that says something else": ("UPDATE event SET actor = 'somebody' WHERE seq = 3", "I5", "audit"),
    "an event in the history of another channel": ("UPDATE event SET source_id = 99 WHERE seq = 3", "I5", "audit"),
    "an event that is gone": ("DELETE FROM event WHERE seq = 3", "I5", "audit"),
    "the last event gone": ("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)", "I5", "audit"),
    "a signature of something else": (
        "UPDATE event SET signature = hash WHERE signature IS NOT NULL", "I5", "audit"),
    "the key of the chain gone": ("DELETE FROM secret WHERE name = 'audit-signing'", "I5", "audit"),
}  # fmt: skip


#: what is derived and nothing else; that verify finds these is looked at where repair heals them
DERIVED = [name for name, one in DAMAGES.items() if one[1] == "I2" and " entry " not in one[0]]


async def is_found(house: House, damage: str) -> None:
    """Do the damage and look for it."""
    statement, invariant, place = DAMAGES[damage]
    await change(house, statement)
    found = await findings(house.services)
    assert [one for one in found if one.invariant == invariant and place in one.object], found


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name not in DERIVED])
async def test_finds(stocked: House, damage: str) -> None:
    await is_found(stocked, damage)


async def test_finds_a_file_that_is_gone(stocked: House, request: pytest.FixtureRequest) -> None:
    sha256 = await sha256_of(stocked, "numpy-1.1-0.conda")
    blob_file(stocked, request, sha256).unlink()
    [found] = await findings(stocked.services)
    assert (found.invariant, found.object) == ("I1", sha256) and "not in the blob store" in found.sentence


async def test_finds_a_file_cut_short(stocked: House, request: pytest.FixtureRequest) -> None:
    sha256 = await sha256_of(stocked, "numpy-1.1-0.conda")
    file = blob_file(stocked, request, sha256)
    file.write_bytes(file.read_bytes()[:-1])
    [found] = await findings(stocked.services)
    assert (found.invariant, found.object) == ("I1", sha256)


async def test_deep_finds_a_flipped_bit_and_can_be_resumed(stocked: House, request: pytest.FixtureRequest) -> None:
    sha256 = await sha256_of(stocked, "numpy-1.1-0.conda")
    file = blob_file(stocked, request, sha256)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    if cached := stocked.services.blobs.local_path(sha256):
        cached.write_bytes(data)
    assert await findings(stocked.services) == []
    [found] = await findings(stocked.services, deep=True)
    assert (found.invariant, found.object) == ("I1", sha256)
    assert await findings(stocked.services, deep=True, after=sha256) == []


async def test_a_coordinate_taken_at_this_path_before_is_found(stocked: House) -> None:
    db = stocked.services.db
    await stocked.channel("old")
    old = await stocked.find("old")
    other = make_conda("numpy", "1.1", files={"other": b"bytes"})
    answer = await stocked.admin.put("/api/repo/old/noarch/numpy-1.1-0.conda", other)
    assert answer.status == 201
    await db.write(
        lambda unit: unit.execute(
            "INSERT INTO channel_path (path, channel_id, until_binding) SELECT 'lab', :old, max(id) FROM binding",
            old=old.id,
        )
    )
    found = await findings(stocked.services)
    assert [(one.invariant, one.object) for one in found] == [("I3", "lab/noarch/numpy-1.1-0.conda")]


async def test_what_may_be_so_for_a_while_is_no_finding(stocked: House) -> None:
    lab = await stocked.find("lab")
    async with stocked.services.blobs.writer() as writer:
        await writer.write(b"bytes of an upload that was killed before its row")
        await writer.commit()
    await remove(stocked.services, lab, "test", [Item("zlib")])
    await change(
        stocked, "INSERT INTO dirty (channel_id, partition, name) VALUES (:lab, 'noarch', 'numpy')", lab=lab.id
    )
    await change(stocked, "UPDATE shelf SET part_id = NULL WHERE name = 'numpy' AND to_rev IS NULL")
    assert await findings(stocked.services) == []
    said = "\n".join(await information(stocked.services))
    for what in ("1 files", "2 (", "1 changes wait for publishing", "1 events wait to be sealed"):
        assert what in said


async def test_finds_nothing_while_the_house_is_open(house: House) -> None:
    await house.channel("lab")
    await house.channel("shelf")
    lab, shelf = await house.find("lab"), await house.find("shelf")
    dice = random.Random(5)
    over = asyncio.Event()

    async def customer(number: int) -> None:
        while not over.is_set():
            name = f"p{dice.randrange(4)}"
            try:
                match dice.randrange(3):
                    case 0:
                        await house.upload("lab", name, f"{number}.{dice.randrange(50)}")
                    case 1:
                        await copy(house.services, lab, shelf, "test", [Item(name)])
                    case _:
                        await remove(house.services, dice.choice((lab, shelf)), "test", [Item(name)])
            except PackhouseError as refusal:
                assert refusal.code == "not_found", refusal
            await asyncio.sleep(0)

    customers = [asyncio.create_task(customer(number)) for number in range(4)]
    try:
        for _ in range(6):
            assert await findings(house.services) == []
            await seal_all(house.services)
            await asyncio.sleep(0.2)
    finally:
        over.set()
        await asyncio.gather(*customers)
    assert await findings(house.services, deep=True) == []


async def test_a_frozen_channel_without_a_file_it_promises_is_found(stocked: House) -> None:
    lab = "/api/channels/lab"
    frozen = await call(stocked.admin, "PUT", lab, {"indexing_behavior": "frozen"})
    assert frozen.status < 300, frozen.body
    await seal_all(stocked.services)
    assert await findings(stocked.services) == []
    await change(stocked, "DELETE FROM entry WHERE filename = 'numpy-1.0-0.conda'")
    found = await findings(stocked.services)
    assert [one.object for one in found if one.invariant == "I1"] == ["lab/noarch/numpy-1.0-0.conda"]
