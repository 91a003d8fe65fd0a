"""Uploads, lists, files, search and bulk requests over the management API, in the shapes of the wire."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.packages import downloads
from tests.conftest import Backend
from tests.kit.calls import call, form, read, send_form, upload
from tests.kit.condapkg import make_conda, make_tarbz2
from tests.kit.house import House, second_process

PACKAGE = {
    "name", "family", "channel", "subchannel", "file_count", "download_count", "cve_count", "available_versions",
    "latest_version", "license", "platforms", "metadata", "created_at", "updated_at",
}  # fmt: skip
FILE = {
    "name", "family", "ckey", "channel", "subchannel", "filename", "version", "build", "build_number", "platform",
    "size", "sha256", "md5", "license", "license_family", "signed", "indexing_status", "source", "download_count",
    "created_at", "built_at", "metadata",
}  # fmt: skip


async def test_an_upload_can_be_listed_and_installed_at_once(house: House) -> None:
    await house.channel("team")
    data = make_conda("scikit-learn", "1.5.0", "py_3", depends=["python >=3.9", "numpy"])
    answer = await upload(house.admin, "team", "scikit-learn-1.5.0-py_3.conda", data)
    assert answer.status == 201, answer.body
    body = answer.json()
    assert body == {
        "name": "scikit-learn",
        "family": "conda",
        "ckey": "noarch/scikit-learn-1.5.0-py_3.conda",
        "channel": "team",
        "subchannel": "",
        "filename": "scikit-learn-1.5.0-py_3.conda",
        "version": "1.5.0",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data).hexdigest(),
        "created": True,
    }
    again = await upload(house.admin, "team", "scikit-learn-1.5.0-py_3.conda", data)
    assert (again.status, again.json()["created"]) == (200, False)
    got = await house.web.get("/api/repo/team/noarch/scikit-learn-1.5.0-py_3.conda")
    assert got.body == data

    packages = await read(house.web, "/api/channels/team/artifacts")
    assert packages["total_count"] == 1
    (item,) = packages["items"]
    assert set(item) == PACKAGE
    assert (item["name"], item["channel"], item["subchannel"], item["file_count"]) == ("scikit-learn", "team", "", 1)
    assert item["metadata"]["version"] == "1.5.0"
    assert item["metadata"]["build_number"] == 3
    assert item["metadata"]["subdirs"] == ["noarch"]
    assert await read(house.web, "/api/channels/team/artifacts/conda/scikit-learn") == item

    files = await read(house.web, "/api/channels/team/artifacts/conda/scikit-learn/files")
    (file,) = files["items"]
    assert set(file) == FILE
    record = file["metadata"]["repodata_record.json"]
    assert (record["version"], record["fn"], record["subdir"]) == ("1.5.0", "scikit-learn-1.5.0-py_3.conda", "noarch")
    assert (file["ckey"], file["size"], file["indexing_status"]) == (body["ckey"], len(data), "active")
    needs = await read(house.web, "/api/channels/team/artifacts/conda/scikit-learn/dependencies")
    assert [(one["name"], one["specs"]) for one in needs["items"]] == [
        ("numpy", ["numpy"]),
        ("python", ["python >=3.9"]),
    ]
    about = await read(house.web, "/api/channels/team/artifacts/conda/scikit-learn/readme")
    assert about["summary"] == "The scikit-learn package"


@pytest.mark.parametrize("path", ["team/dev", "team/subchannels/dev"])
async def test_subchannels_take_uploads_at_both_addresses(house: House, path: str) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    answer = await upload(house.admin, path, "a-1-0.tar.bz2", make_tarbz2("a", "1"))
    assert answer.status == 201, answer.body
    assert (answer.json()["channel"], answer.json()["subchannel"]) == ("team", "dev")
    assert (await read(house.web, "/api/channels/team/artifacts"))["total_count"] == 0


async def test_parts_may_come_in_any_order_and_in_single_bytes(house: House) -> None:
    await house.channel("team")
    data = make_conda("a", "1")
    parts = [("size", None, str(len(data)).encode()), ("filetype", None, b"conda1"), ("content", "a-1-0.conda", data)]
    assert (await send_form(house.admin, "team", form(parts), pieces=1)).status == 201
    assert (await send_form(house.admin, "team", form(parts[2:]), pieces=7)).status == 200


CONTRADICTIONS: list[tuple[dict[str, str], str, int, str]] = [
    ({"size": "1"}, "a-1-0.conda", 400, "bad_request"),
    ({"size": "many"}, "a-1-0.conda", 400, "bad_request"),
    ({"filetype": "exe"}, "a-1-0.conda", 415, "unsupported_type"),
    ({"filetype": "conda1"}, "a.exe", 415, "unsupported_type"),
    ({}, "b-1-0.conda", 422, "malformed_package"),
    ({}, "", 400, "bad_request"),
    ({}, "..", 415, "unsupported_type"),
]


async def test_a_form_that_contradicts_itself_stores_nothing(house: House) -> None:
    await house.channel("team")
    for fields, filename, status, code in CONTRADICTIONS:
        answer = await upload(house.admin, "team", filename, make_conda("a", "1"), fields)
        assert (answer.status, answer.json()["code"]) == (status, code), (fields, filename)
        assert (await read(house.web, "/api/channels/team/artifacts"))["total_count"] == 0
        assert [one async for one in house.services.blobs.iterate()] == []


async def test_hostile_forms_are_refused(house: House) -> None:
    await house.channel("team")
    data = make_conda("a", "1")
    whole = form([("content", "a-1-0.conda", data)])
    for body in (
        b"",
        b"nothing",
        whole[:-10],
        whole[: len(whole) // 2],
        form([("content", "a-1-0.conda", data), ("content", "a-1-0.conda", data)]),
        form([("content", "a-1-0.conda", data), ("size", None, b"1"), ("size", None, b"2")]),
        form([("size", None, b"x" * (2 << 20)), ("content", "a-1-0.conda", data)]),
        form([(f"f{number}", None, b"") for number in range(2000)]),
        form([("file", None, b"\xff\xfe"), ("content", "a-1-0.conda", data)]),
        form([("size", None, b"1")]),
    ):
        answer = await send_form(house.admin, "team", body)
        assert (answer.status, answer.json()["code"]) == (400, "bad_request"), body[:100]
    plain = await house.admin.request("POST", "/api/channels/team/artifacts", {"content-type": "text/plain"}, [b"x"])
    assert plain.status == 400


async def test_lists_filter_sort_and_count(house: House) -> None:
    await house.channel("team")
    for name, subdir in (("alpha", "noarch"), ("beta", "linux-64"), ("gamma-ray", "osx-arm64")):
        await house.upload("team", name, subdir=subdir)
    await house.upload("team", "beta", "2.0", subdir="linux-64", kind="tar.bz2")

    async def names(query: str) -> list[str]:
        return [item["name"] for item in (await read(house.web, f"/api/channels/team/artifacts?{query}"))["items"]]

    assert await names("") == ["alpha", "beta", "gamma-ray"]
    assert await names("sort=-name&limit=2") == ["gamma-ray", "beta"]
    assert await names("platform=linux-64") == ["beta"]
    assert await names("platform=linux") == []
    assert await names("platform=%25") == []
    assert await names("artifact_family=conda&q=gam") == ["gamma-ray"]
    assert await names("q=ray") == ["gamma-ray"]
    assert await names("family=python") == []
    counted = await read(house.web, "/api/channels/team/artifacts?limit=0")
    assert counted == {"items": [], "total_count": 3}
    files = "/api/channels/team/artifacts/conda/beta/files"
    assert await read(house.web, f"{files}?limit=0") == {"items": [], "total_count": 2}

    async def versions(query: str) -> list[str]:
        return [item["version"] for item in (await read(house.web, f"{files}?{query}"))["items"]]

    assert await versions("") == ["2.0", "1.0"]
    assert await versions("sort=created_at") == ["1.0", "2.0"]
    assert await versions("q=.conda") == ["1.0"]
    assert await versions("q=%25") == []
    assert await versions("version=2.0&platform=linux-64&indexing_status=active&signed=false") == ["2.0"]
    assert await versions("indexing_status=passive") == []
    assert await versions("signed=true") == []
    assert await versions("size_from=1000000") == []
    assert len(await versions("size_from=1&size_to=1000000&created_from=2020-01-01&created_to=2999-01-01")) == 2
    assert await versions("created_to=2020-01-01T00:00:00Z") == []


async def test_a_remembered_list_follows_each_change_at_once_and_stays_private(
    house: House, backend: Backend, tmp_path: Path
) -> None:
    await house.channel("team", "private", "owner")
    path = "/api/channels/team/artifacts?limit=10"
    owner, tags = house.as_("owner"), set()

    async def seen() -> dict[str, Any]:
        answer = await owner.get(path)
        assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-cache")
        unchanged = await owner.get(path, if_none_match=answer.headers["etag"])
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert (await owner.get(path, if_none_match='"another"')).body == answer.body
        tags.add(answer.headers["etag"])
        for client in (house.web, house.as_("outsider")):
            refused = await client.get(path, if_none_match=answer.headers["etag"])
            assert refused.status in (401, 404), "nobody else learns of it from what is remembered"
        return {item["name"]: (item["file_count"], item["download_count"]) for item in answer.json()["items"]}

    assert await seen() == {}
    await house.upload("team", "a")
    assert await seen() == {"a": (1, 0)}
    async with second_process(backend, house, tmp_path / "other") as other:
        await other.upload("team", "b")
    assert await seen() == {"a": (1, 0), "b": (1, 0)}, "also what another process did"
    three = downloads.Tally(await house.download("team", "a"), 3, 0, 0)
    await house.services.db.write(partial(downloads.add, tallies=[three]))
    assert await seen() == {"a": (1, 3), "b": (1, 0)}
    await house.remove("team", "b")
    assert await seen() == {"a": (1, 3)}
    assert len(tags) == 5


async def test_pages_beyond_the_end_and_pages_that_are_not_full_know_the_total(house: House) -> None:
    await house.channel("team")
    for version in ("1.0", "2.0", "3.0"):
        await house.upload("team", "a", version)
    await house.upload("team", "ab")
    files, search = "/api/channels/team/artifacts/conda/a/files", "/api/artifacts"
    for query, items, total in (
        (f"{files}?limit=2", 2, 3),
        (f"{files}?limit=2&offset=2", 1, 3),
        (f"{files}?limit=2&offset=9", 0, 3),
        (f"{files}?limit=2&version=2.0&sort=size", 1, 1),
        (f"{search}?q=a&limit=1", 1, 2),
        (f"{search}?q=a&offset=2", 0, 2),
        (f"{search}?q=absent", 0, 0),
    ):
        page = await read(house.web, query)
        assert (len(page["items"]), page["total_count"]) == (items, total), query


async def test_dependencies_are_of_the_version_asked_for_and_come_in_pages(house: House) -> None:
    await house.channel("team")
    await house.upload("team", "app", "1.0", depends=["python 2.7.*", "old"])
    await house.upload("team", "app", "2.0", depends=["python >=3.9", "numpy", "abc"])
    base = "/api/channels/team/artifacts/conda/app/dependencies"
    for query, names, total in (
        ("", ["abc", "numpy", "python"], 3),
        ("?limit=0", [], 3),
        ("?limit=1", ["abc"], 3),
        ("?limit=2&offset=1", ["numpy", "python"], 3),
        ("?offset=3", [], 3),
        ("?version=1.0", ["old", "python"], 2),
        ("?version=1.0&limit=1&offset=1", ["python"], 2),
        ("?version=9", [], 0),
    ):
        page = await read(house.web, base + query)
        assert ([one["name"] for one in page["items"]], page["total_count"]) == (names, total), query
    old = (await read(house.web, f"{base}?version=1.0"))["items"][1]
    assert old == {"name": "python", "specs": ["python 2.7.*"], "platforms": ["noarch"]}


async def test_dependants_are_the_packages_of_the_channel_whose_latest_version_needs_it(house: House) -> None:
    await house.channel("team")
    await house.channel("other")
    await house.upload("team", "numpy")
    await house.upload("team", "app", "1.0", depends=["numpy", "python"])
    await house.upload("team", "lib", "1.0", depends=["NumPy >=1.2,<2", "main::six"])
    await house.upload("team", "lib", "1.0", subdir="linux-64", depends=["zlib"])
    await house.upload("team", "tool", "1.0", depends=["conda-forge::numpy[version='>=1']"])
    await house.upload("other", "stranger", depends=["numpy"])
    base = "/api/channels/team/artifacts/conda"

    async def who(query: str = "", name: str = "numpy") -> tuple[list[str], int]:
        page = await read(house.web, f"{base}/{name}/dependants{query}")
        return [item["name"] for item in page["items"]], page["total_count"]

    assert await who() == (["app", "lib", "tool"], 3)
    assert await who("?limit=0") == ([], 3)
    assert await who("?limit=1&offset=1") == (["lib"], 3)
    assert await who("?offset=3") == ([], 3)
    shown = (await read(house.web, f"{base}/numpy/dependants"))["items"][0]
    assert shown == await read(house.web, f"{base}/app")
    assert await who(name="app") == ([], 0)
    await house.upload("team", "zlib")
    assert await who(name="zlib") == (["lib"], 1), "what one platform needs counts"

    await house.upload("team", "app", "2.0", depends=["zlib"])
    await house.upload("team", "tool", "0.9", depends=[])
    assert await who() == (["lib", "tool"], 2), "the latest version counts"
    assert await who(name="zlib") == (["app", "lib"], 2)
    await house.remove("team", "lib")
    assert await who() == (["tool"], 1)
    gone = await call(house.admin, "DELETE", "/api/channels/team/artifacts/conda/numpy")
    assert gone.status == 204
    assert (await house.web.get(f"{base}/numpy/dependants")).status == 404


async def test_a_readme_is_that_of_the_latest_version(house: House) -> None:
    await house.channel("team")
    await house.upload("team", "app", "2.0", info={"info/README.md": b"# App 2"})
    await house.upload("team", "app", "1.0", info={"info/README.md": b"# App 1"})
    about = await read(house.web, "/api/channels/team/artifacts/conda/app/readme")
    assert (about["version"], about["readme"]) == ("2.0", "# App 2")


async def test_search_finds_words_and_beginnings_across_channels(house: House) -> None:
    await house.channel("one")
    await house.channel("two")
    await house.upload("one", "scikit-learn")
    await house.upload("two", "scikit-learn")
    await house.upload("two", "learnings", subdir="linux-64")

    async def found(query: str) -> list[tuple[str, str]]:
        answer = await read(house.web, f"/api/artifacts?{query}")
        assert answer["total_count"] == len(answer["items"])
        return [(item["channel"], item["name"]) for item in answer["items"]]

    both = [("one", "scikit-learn"), ("two", "scikit-learn")]
    assert await found("q=scikit-learn") == both
    assert sorted(await found("q=sci%20le")) == both
    assert await found("q=LEARNINGS") == [("two", "learnings")]
    assert sorted(await found("q=learn")) == sorted([*both, ("two", "learnings")])
    assert await found("q=learn&platform=linux-64") == [("two", "learnings")]
    assert await found("q=earn") == []
    assert await found("q=package%20scikit") == both, "words of the summary count"
    assert await found("q=%22%27%3A%2A%26%7C%21%28%29") == []
    assert len(await found("q=&sort=-download_count&limit=50&offset=0")) == 3
    item = (await read(house.web, "/api/artifacts?q=scikit"))["items"][0]
    assert {"version", "license", "build_number", "subdirs"} <= set(item["metadata"])


async def test_bulk_copies_moves_and_deletes(house: House) -> None:
    await house.channel("one")
    await house.channel("two")
    await house.channel("two/dev")
    await house.upload("one", "a")
    await house.upload("one", "a", "2.0")
    await house.upload("one", "b")

    async def bulk(channel: str, **body: object) -> tuple[int, str | None]:
        answer = await call(house.admin, "PUT", f"/api/channels/{channel}/artifacts/bulk", body)
        return answer.status, answer.json().get("code")

    async def files(channel: str, name: str) -> int:
        answer = await house.web.get(f"/api/channels/{channel}/artifacts/conda/{name}/files?limit=0")
        return int(answer.json()["total_count"]) if answer.status == 200 else 0

    a1 = {"name": "a", "family": "conda", "ckey": "noarch/a-1.0-0.conda"}
    assert await bulk("one", action="copy", items=[a1], target_channel="two") == (202, None)
    assert (await files("one", "a"), await files("two", "a")) == (2, 1)
    moved = await bulk("one", action="move", items=[{"name": "b"}], target_channel="two", target_subchannel="dev")
    assert moved == (202, None)
    assert (await files("one", "b"), await files("two/subchannels/dev", "b")) == (0, 1)
    both = [a1, {"name": "absent"}]
    assert await bulk("one", action="delete", items=both) == (404, "not_found")
    assert await files("one", "a") == 2, "all or nothing"
    assert await bulk("one", action="delete", items=[{"name": "a"}]) == (202, None)
    assert await files("one", "a") == 0
    assert await bulk("one", action="copy", items=[a1]) == (400, "bad_request")
    assert await bulk("one", action="copy", items=[], target_channel="two") == (400, "bad_request")
    assert await bulk("one", action="explode", items=[a1]) == (400, "bad_request")
    assert await bulk("one", action="copy", items=[a1], target_channel="nowhere") == (404, "not_found")

    gone = await call(house.admin, "DELETE", "/api/channels/two/artifacts/conda/a")
    assert (gone.status, await files("two", "a")) == (204, 0)
    changes = await read(house.admin, "/api/channels/two/changes")
    told = [(c["action"], c["cause"], c["name"]) for c in changes["items"]]
    assert told == [("removed", "removal", "a"), ("added", "copy", "a")]
    came = await read(house.admin, "/api/channels/two/subchannels/dev/changes?cause=copy")
    assert [(c["action"], c["name"], c["actor"]) for c in came["items"]] == [("added", "b", "admin")]
    history = await read(house.admin, "/api/channels/two/history?limit=1")
    assert set(history["items"][0]) == {"event_id", "event_type", "created", "data", "meta"}
    assert history["total_count"] == 3


@pytest.mark.parametrize("action", ["copy", "move"])
async def test_nothing_is_copied_or_moved_into_a_frozen_channel(house: House, action: str) -> None:
    await house.channel("one")
    await house.channel("two")
    await house.upload("one", "a")
    assert (await call(house.admin, "PUT", "/api/channels/two", {"indexing_behavior": "frozen"})).status == 200
    body = {"action": action, "items": [{"name": "a"}], "target_channel": "two"}
    refused = await call(house.admin, "PUT", "/api/channels/one/artifacts/bulk", body)
    assert (refused.status, refused.json()["code"]) == (400, "channel_frozen")
    assert (await read(house.web, "/api/channels/one/artifacts/conda/a/files"))["total_count"] == 1
    assert (await call(house.admin, "PUT", "/api/channels/two", {"indexing_behavior": "default"})).status == 200
    assert (await read(house.web, "/api/channels/two/artifacts"))["total_count"] == 0


async def test_absent_packages_and_addresses_are_not_found(house: House) -> None:
    await house.channel("team")
    for tail in ("", "/files", "/readme", "/dependencies", "/dependants"):
        answer = await house.web.get(f"/api/channels/team/artifacts/conda/absent{tail}")
        assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert (await house.web.get("/api/nothing/here")).json()["code"] == "not_found"
    wrong = await call(house.admin, "PATCH", "/api/channels/team", {})
    assert (wrong.status, wrong.json()["code"]) == (405, "method_not_allowed")
    head = await house.web.head("/api/channels/team")
    assert (head.status, head.body) == (200, b"")
