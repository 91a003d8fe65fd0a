"""What a conda client reads of a channel: the index in all its encodings, and when it need not read it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from packhouse.catalog.channels import store as channels
from packhouse.core.db import Unit
from tests.conftest import Backend
from tests.kit.condapkg import zstd
from tests.kit.house import House, second_process
from tests.kit.inspection import findings

NOARCH = "/api/repo/pub/noarch"
SHARD_INDEX = f"{NOARCH}/repodata_shards.msgpack.zst"
INDEX_FILES = (
    "repodata_shards.msgpack.zst",
    "repodata.json",
    "repodata.json.zst",
    "current_repodata.json",
    "current_repodata.json.zst",
    "run_exports.json",
    "run_exports.json.zst",
)


def unpack(body: bytes) -> Any:
    """Decode a zstd frame of msgpack."""
    return msgspec.msgpack.decode(zstd.decompress(body))


async def test_noarch_is_there_from_birth_and_other_subdirs_are_not(house: House) -> None:
    async def status(subdir: str) -> dict[str, int]:
        return {name: (await house.web.get(f"/api/repo/pub/{subdir}/{name}")).status for name in INDEX_FILES}

    assert await status("noarch") == dict.fromkeys(INDEX_FILES, 200)
    assert await status("linux-64") == await status("never-heard") == dict.fromkeys(INDEX_FILES, 404)
    await house.upload("pub", "here", subdir="linux-64")
    assert await status("linux-64") == dict.fromkeys(INDEX_FILES, 200)


async def test_an_empty_index_is_a_well_formed_one(house: House) -> None:
    index = unpack((await house.web.get(SHARD_INDEX)).body)
    assert index["version"] == 1 and index["shards"] == {} and index["info"]["subdir"] == "noarch"
    repodata = (await house.web.get(f"{NOARCH}/repodata.json")).json()
    assert repodata["packages"] == {} and repodata["packages.conda"] == {} and repodata["info"]["subdir"] == "noarch"


async def test_shards_lead_to_the_packages(house: House) -> None:
    uploaded = (await house.upload("pub", "one", "1.2")).json()
    answer = await house.web.get(SHARD_INDEX)
    assert answer.headers["content-type"] == "application/zstd" and "content-encoding" not in answer.headers
    index = unpack(answer.body)
    base = index["info"]["shards_base_url"]
    assert "://" not in base and not base.startswith("/"), "a token in the path must stay in front"
    shard = await house.web.get(f"{NOARCH}/{base}{index['shards']['one'].hex()}.msgpack.zst")
    assert hashlib.sha256(shard.body).digest() == index["shards"]["one"]
    assert "immutable" in shard.headers["cache-control"]
    record = unpack(shard.body)["packages.conda"]["one-1.2-0.conda"]
    assert record["sha256"].hex() == uploaded["sha256"]
    package = await house.web.get(f"{NOARCH}/one-1.2-0.conda")
    assert hashlib.sha256(package.body).hexdigest() == uploaded["sha256"]


async def test_a_shard_belongs_to_its_channel_and_subdir(house: House) -> None:
    await house.channel("other")
    await house.upload("pub", "one")
    digest = unpack((await house.web.get(SHARD_INDEX)).body)["shards"]["one"].hex()
    assert (await house.web.get(f"{NOARCH}/shards/{digest}.msgpack.zst")).status == 200
    for wrong in ("other/noarch", "pub/linux-64"):
        assert (await house.web.get(f"/api/repo/{wrong}/shards/{digest}.msgpack.zst")).status == 404
    for odd in (digest.upper(), digest[:-1], "x" * 64, ""):
        assert (await house.web.get(f"{NOARCH}/shards/{odd}.msgpack.zst")).status == 404


async def test_a_superseded_shard_stays_readable_for_a_day(house: House) -> None:
    await house.upload("pub", "one", "1.0")
    old = unpack((await house.web.get(SHARD_INDEX)).body)["shards"]["one"].hex()
    await house.upload("pub", "one", "2.0")
    assert unpack((await house.web.get(SHARD_INDEX)).body)["shards"]["one"].hex() != old
    assert (await house.web.get(f"{NOARCH}/shards/{old}.msgpack.zst")).status == 200

    async def a_day_passes(unit: Unit) -> None:
        await unit.execute("UPDATE revision SET committed_at = committed_at - 86400000001")

    await house.services.db.write(a_day_passes)
    assert (await house.web.get(f"{NOARCH}/shards/{old}.msgpack.zst")).status == 404
    now = unpack((await house.web.get(SHARD_INDEX)).body)["shards"]["one"].hex()
    assert (await house.web.get(f"{NOARCH}/shards/{now}.msgpack.zst")).status == 200


async def test_monolithic_repodata_and_its_twin(house: House) -> None:
    await house.upload("pub", "one", "1.0", kind="tar.bz2", depends=["two >=1"])
    await house.upload("pub", "two", "1.0")
    plain = await house.web.get(f"{NOARCH}/repodata.json")
    packed = await house.web.get(f"{NOARCH}/repodata.json.zst")
    assert plain.headers["content-type"] == "application/json"
    assert packed.headers["content-type"] == "application/zstd" and "content-encoding" not in packed.headers
    assert zstd.decompress(packed.body) == plain.body
    repodata = plain.json()
    assert repodata["packages"]["one-1.0-0.tar.bz2"]["depends"] == ["two >=1"]
    assert repodata["packages.conda"]["two-1.0-0.conda"]["name"] == "two"


async def test_current_repodata_holds_the_newest_and_what_they_need(house: House) -> None:
    for version in ("1.0", "2.0", "3.0"):
        await house.upload("pub", "lib", version)
    await house.upload("pub", "tool", depends=["lib <2"])
    current = (await house.web.get(f"{NOARCH}/current_repodata.json")).json()
    assert sorted(current["packages.conda"]) == ["lib-1.0-0.conda", "lib-3.0-0.conda", "tool-1.0-0.conda"]
    packed = await house.web.get(f"{NOARCH}/current_repodata.json.zst")
    assert json.loads(zstd.decompress(packed.body)) == current


async def test_run_exports_of_the_files_we_hold(house: House) -> None:
    exports = {"weak": ["lib >=1"]}
    await house.upload("pub", "lib", info={"info/run_exports.json": json.dumps(exports).encode()})
    await house.upload("pub", "tool")
    shown = (await house.web.get(f"{NOARCH}/run_exports.json")).json()
    assert shown["packages.conda"] == {
        "lib-1.0-0.conda": {"run_exports": exports},
        "tool-1.0-0.conda": {"run_exports": {}},
    }


async def test_channeldata_names_every_package_and_subdir(house: House) -> None:
    await house.upload("pub", "one", "1.0")
    await house.upload("pub", "one", "1.10", subdir="linux-64")
    data = (await house.web.get("/api/repo/pub/channeldata.json")).json()
    assert data["channeldata_version"] == 1 and set(data["subdirs"]) >= {"linux-64", "noarch"}
    assert data["packages"]["one"]["version"] == "1.10"
    assert data["packages"]["one"]["subdirs"] == ["linux-64", "noarch"]
    await house.upload("pub", "two")
    assert "two" in (await house.web.get("/api/repo/pub/channeldata.json")).json()["packages"]


async def test_channeldata_has_the_run_exports_of_every_version_held(house: House) -> None:
    for version, build in (("2.0", "0"), ("1.0", "0"), ("1.0", "1")):
        exports = {"weak": [f"lib {version}={build}"]}
        await house.upload("pub", "lib", version, build, info={"info/run_exports.json": json.dumps(exports).encode()})
    await house.upload("pub", "lib", "3.0")
    lib = (await house.web.get("/api/repo/pub/channeldata.json")).json()["packages"]["lib"]
    assert lib["version"] == "3.0"
    assert lib["run_exports"] == {"1.0": {"weak": ["lib 1.0=1"]}, "2.0": {"weak": ["lib 2.0=0"]}}
    assert await findings(house.services) == []


async def test_notices_are_shown_until_they_expire(house: House) -> None:
    assert (await house.web.get("/api/repo/pub/notices.json")).json() == {"notices": []}
    channel = await house.find("pub")

    async def work(unit: Unit) -> None:
        await channels.add_notice(unit, channel.id, "over", "info", unit.now - 1)
        await channels.add_notice(unit, channel.id, "stays", "warning", None)

    await house.services.db.write(work)
    shown = (await house.web.get("/api/repo/pub/notices.json")).json()["notices"]
    assert [(one["message"], one["level"]) for one in shown] == [("stays", "warning")]
    assert shown[0]["created_at"].endswith("Z")


async def test_who_asks_by_date_is_told_when_the_notices_changed(house: House) -> None:
    path, channel, db = "/api/repo/pub/notices.json", await house.find("pub"), house.services.db
    await db.write(lambda unit: unit.execute("UPDATE channel SET created_at = created_at - 9000000"))
    await is_told_so(house, path)
    empty = (await house.web.get(path)).headers["last-modified"]
    number = await db.write(lambda unit: channels.add_notice(unit, channel.id, "hello", "info", None))
    await db.write(lambda unit: unit.execute("UPDATE channel SET notices_at = notices_at - 3000000"))
    assert (await house.web.get(path, if_modified_since=empty)).status == 200
    await is_told_so(house, path)
    one = (await house.web.get(path)).headers["last-modified"]
    await db.write(lambda unit: channels.drop_notice(unit, channel.id, number))
    assert (await house.web.get(path, if_modified_since=one)).json() == {"notices": []}


async def test_addresses_that_mean_nothing_tell_no_more_than_others(house: House) -> None:
    await house.channel("hush", "private")
    await house.channel("hush/open")
    await house.channel("pub/closed", "private")
    for address, status in (
        ("pub/nothing.txt", 404), ("pub/noarch/channeldata.json", 404), ("pub/linux-64/notices.json", 404),
        ("pub/closed/nothing.txt", 404), ("pub/absent/nothing.txt", 404),
        ("hush/open/nothing.txt", 404), ("hush/label/open/nothing.txt", 404), ("hush/open", 404),
        ("hush/nothing.txt", 401), ("hush/closed/nothing.txt", 401), ("absent/open/nothing.txt", 401),
        ("hush/noarch/channeldata.json", 401), ("absent/noarch/channeldata.json", 401),
    ):  # fmt: skip
        assert (await house.web.get(f"/api/repo/{address}")).status == status, address
    closed, absent = [(await house.web.get(f"/api/repo/pub/{name}/x.txt")).json() for name in ("closed", "absent")]
    assert closed["message"] == absent["message"].replace("absent", "closed")


async def test_root_files_of_a_subchannel_whose_name_looks_like_a_subdir(house: House) -> None:
    await house.channel("pub/team-a")
    await house.upload("pub/team-a", "one")
    assert (await house.web.get("/api/repo/pub/team-a/notices.json")).status == 200
    assert "one" in (await house.web.get("/api/repo/pub/team-a/channeldata.json")).json()["packages"]
    assert "one-1.0-0.conda" in (await house.web.get("/api/repo/pub/team-a/noarch/repodata.json")).body.decode()
    label = "/api/repo/pub/label/team-a"
    assert (await house.web.get(f"{label}/noarch/one-1.0-0.conda")).status == 200
    assert (await house.web.get(f"{label}/notices.json")).json() == {"notices": []}
    assert "one" in (await house.web.get(f"{label}/channeldata.json")).json()["packages"]


async def test_a_client_that_has_it_is_told_so(house: House) -> None:
    await house.upload("pub", "one")
    for name in (*(f"noarch/{name}" for name in INDEX_FILES), "channeldata.json", "noarch/one-1.0-0.conda"):
        await is_told_so(house, f"/api/repo/pub/{name}")


async def is_told_so(house: House, target: str) -> None:
    """Ask again, in every way, for what was answered before."""
    first = await house.web.get(target)
    tag, date = first.headers["etag"], first.headers["last-modified"]
    assert tag.startswith('"') and tag.endswith('"'), "strong"
    for value in (tag, f"W/{tag}", "*", f'"other", {tag}', f'"other",W/{tag} , "x"'):
        again = await house.web.get(target, if_none_match=value)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag), value
    assert (await house.web.get(target, if_modified_since=date)).status == 304
    assert (await house.web.get(target, if_none_match='"other"', if_modified_since=date)).status == 200
    assert (await house.web.get(target, if_modified_since="Sat, 01 Jan 2000 00:00:00 GMT")).status == 200


async def test_a_client_that_has_an_older_one_gets_the_new(house: House) -> None:
    await house.upload("pub", "one")
    tags = {name: (await house.web.get(f"{NOARCH}/{name}")).headers["etag"] for name in INDEX_FILES}
    await house.upload("pub", "two")
    for name, tag in tags.items():
        answer = await house.web.get(f"{NOARCH}/{name}", if_none_match=tag)
        assert answer.status == 200 and answer.headers["etag"] != tag, name


async def test_head_is_get_without_the_body(house: House) -> None:
    await house.upload("pub", "one")
    root = ("notices.json", "channeldata.json", "noarch/one-1.0-0.conda")
    for name in (*(f"noarch/{name}" for name in INDEX_FILES), *root):
        get = await house.web.get(f"/api/repo/pub/{name}")
        head = await house.web.head(f"/api/repo/pub/{name}")
        ours = {key: value for key, value in get.headers.items() if key != "last-modified"}
        assert head.body == b"" and head.status == 200, name
        assert {key: value for key, value in head.headers.items() if key != "last-modified"} == ours, name
        assert int(head.headers["content-length"]) == len(get.body), name
        missing = await house.web.head(f"/api/repo/pub/{name}x")
        assert (missing.status, missing.body) == (404, b""), name


async def test_two_processes_answer_alike(house: House, backend: Backend, tmp_path: Path) -> None:
    for number in range(5):
        await house.upload("pub", f"p{number}", kind=("conda", "tar.bz2")[number % 2])
    async with second_process(backend, house, tmp_path / "second") as other:
        for name in (*(f"noarch/{name}" for name in INDEX_FILES), "channeldata.json"):
            here = await house.web.get(f"/api/repo/pub/{name}")
            there = await other.web.get(f"/api/repo/pub/{name}")
            assert (here.headers, here.body) == (there.headers, there.body), name


async def test_compressed_bz2_and_other_absent_files_are_plain_404(house: House) -> None:
    await house.upload("pub", "one")
    for name in ("repodata.json.bz2", "current_repodata.json.bz2", "patch_instructions.json", "x-1-0.conda", "a/b"):
        assert (await house.web.get(f"{NOARCH}/{name}")).status == 404
    # conda with a stored token swaps the segments
    assert (await house.web.get("/api/repo/pub/repodata_shards.msgpack.zst/noarch")).status == 404
