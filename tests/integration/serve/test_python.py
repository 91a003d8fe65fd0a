"""A Python channel over HTTP: pages in three forms, conditions, redirects, metadata apart, uploads as forms."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.kit.asgi import Answer
from tests.kit.calls import BOUNDARY, form
from tests.kit.house import House
from tests.kit.pythonindex import wheel_of

JSON, HTML_V1, HTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html", "text/html"
PIP = f"{JSON}, {HTML_V1}; q=0.1, {HTML}; q=0.01"
BASE = "/api/repo/pub/simple"


async def put(house: House, name: str, version: str = "1.0", needs: tuple[str, ...] = ()) -> str:
    """Upload a wheel and return its file name."""
    filename, content = wheel_of(name, version, needs)
    answer = await house.admin.put(f"{BASE}/{name}/{filename}", content)
    assert answer.status == 201, answer.body
    return filename


async def page(house: House, project: str, channel: str = "pub") -> dict[str, Any]:
    answer = await house.web.get(f"/api/repo/{channel}/simple/{project}/", accept=PIP)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def test_a_page_is_what_the_client_accepts_and_each_form_has_its_own_tag(house: House) -> None:
    filename = await put(house, "tea")
    tags = set()
    for accept, kind in ((PIP, JSON), (HTML_V1, HTML_V1), ("", HTML), ("*/*", HTML), ("image/png", HTML)):
        for path in ("", "tea/"):
            answer = await house.web.get(f"{BASE}/{path}", **({"accept": accept} if accept else {}))
            assert answer.status == 200 and answer.headers["content-type"].startswith(kind), (accept, answer.headers)
            assert "Accept" in answer.headers["vary"] and b"tea" in answer.body
            assert not answer.headers["etag"].startswith("W/")
            tags.add(answer.headers["etag"])
            again = await house.web.get(f"{BASE}/{path}", accept=accept or "*/*", if_none_match=answer.headers["etag"])
            assert (again.status, again.body) == (304, b"")
    assert len(tags) == 6, "two pages in three forms"
    found = await page(house, "tea")
    assert [one["filename"] for one in found["files"]] == [filename] and found["versions"] == ["1.0"]
    before = await house.web.get(f"{BASE}/tea/", accept=JSON)
    await put(house, "tea", "2.0")
    after = await house.web.get(f"{BASE}/tea/", accept=JSON, if_none_match=before.headers["etag"])
    assert after.status == 200 and len(after.json()["files"]) == 2


@pytest.mark.parametrize(
    ("asked", "location"),
    [("", "./simple/"), ("/Acme_Tea", "./acme-tea/"), ("/Acme_Tea/", "../acme-tea/"), ("/acme-tea", "./acme-tea/")],
)
async def test_other_spellings_lead_to_the_page_without_losing_a_token(house: House, asked: str, location: str) -> None:
    answer = await house.web.get(f"{BASE}{asked}")
    assert (answer.status, answer.headers["location"]) == (301, location)
    secret = await house.channel("secret", "private")
    assert (await house.web.get(f"/api/repo/{secret.path}/simple{asked}")).status == 401


async def test_metadata_lies_beside_its_file_and_shares_its_rights(house: House) -> None:
    filename = await put(house, "tea", needs=("pot>=1",))
    (said,) = (await page(house, "tea"))["files"]
    answer = await house.web.get(f"{BASE}/tea/{filename}.metadata")
    assert answer.status == 200 and b"Requires-Dist: pot>=1" in answer.body
    assert hashlib.sha256(answer.body).hexdigest() == said["core-metadata"]["sha256"]
    assert (await house.web.get(f"{BASE}/tea/tea-9-py3-none-any.whl.metadata")).status == 404
    assert (await house.web.get(f"{BASE}/pot/{filename}.metadata")).status == 404, "it is a file of another project"
    part = await house.web.get(f"{BASE}/tea/{filename}", range="bytes=0-1")
    assert (part.status, part.body) == (206, b"PK")


async def test_projects_and_subdirs_do_not_get_into_each_others_way(house: House) -> None:
    await put(house, "acme-tea")
    await house.upload("pub", "acme-tea")
    assert (await house.web.get(f"{BASE}/acme-tea/", accept=JSON)).json()["name"] == "acme-tea"
    assert "acme-tea-1.0-0.conda" in (await house.web.get("/api/repo/pub/noarch/repodata.json")).body.decode()
    listed = await house.web.get("/api/channels/pub/artifacts")
    assert {(one["name"], one["family"]) for one in listed.json()["items"]} == {
        ("acme-tea", "conda"),
        ("acme-tea", "python"),
    }


async def legacy(house: House, filename: str, content: bytes, slash: str = "", **fields: str) -> Answer:
    """Send what twine sends."""
    said = {":action": "file_upload", "protocol_version": "1", "filetype": "bdist_wheel", **fields}
    parts = [(name, None, value.encode()) for name, value in said.items()]
    body = form([*parts, ("classifiers", None, b"A"), ("classifiers", None, b"B"), ("content", filename, content)])
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return await house.admin.request("POST", f"/api/repo/pub{slash}", kind, [body])


async def test_the_legacy_form_uploads_once_and_never_other_bytes(house: House) -> None:
    filename, content = wheel_of("tea")
    digest = hashlib.sha256(content).hexdigest()
    wrong = await legacy(house, filename, content, sha256_digest="00" * 32)
    assert wrong.status == 400 and "sha256_digest" in wrong.json()["message"]
    for slash in ("", "/"):
        done = await legacy(house, filename, content, slash, sha256_digest=digest)
        assert done.status == 200, done.body
    other = await legacy(house, filename, wheel_of("tea", needs=("pot",))[1])
    assert other.status == 409 and "File already exists" in other.json()["message"]
    sdist = await legacy(house, "tea-1.0.tar.gz", b"\x1f\x8b", filetype="sdist")
    assert sdist.status == 422 and "wheel" in sdist.json()["message"]
    mixed = await legacy(house, filename, content, filetype="conda1")
    assert mixed.status == 415
    assert (await legacy(house, filename, content, **{":action": "submit"})).status == 400
    assert len((await page(house, "tea"))["files"]) == 1


async def test_a_form_needs_the_right_to_upload(house: House) -> None:
    filename, content = wheel_of("tea")
    body = form([(":action", None, b"file_upload"), ("content", filename, content)])
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = await house.web.request("POST", "/api/repo/pub", kind, [body])
    assert answer.status == 401 and "www-authenticate" in answer.headers
    assert (await house.web.request("POST", "/api/repo/pub/simple/tea/x/y", kind, [body])).status == 405
    assert json.loads((await house.web.get(f"{BASE}/", accept=JSON)).body)["projects"] == []


async def test_a_wheel_is_found_by_its_ckey_too_with_the_same_gate(house: House) -> None:
    filename = await put(house, "tea")
    sent = await house.web.get(f"{BASE}/{filename}")
    assert (sent.status, sent.headers["location"]) == (301, f"tea/{filename}")
    assert (await house.web.get(f"{BASE}/{sent.headers['location']}")).status == 200
    assert (await house.web.get(f"{BASE}/no-wheel.whl")).status == 404
    secret = await house.channel("secret", "private")
    assert (await house.web.get(f"/api/repo/{secret.path}/simple/{filename}")).status == 401
