"""The OpenAPI document: every route, parameter and refusal is in it."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from packhouse.core.errors import CODES
from packhouse.doors.api import Api, management_words
from packhouse.doors.api import document as whole_document
from packhouse.doors.api.permissions import ROUTES
from packhouse.doors.serve import METHODS
from packhouse.doors.serve.conda import ROOT_FILES, Address, parse
from packhouse.doors.serve.description import BASES
from packhouse.doors.serve.python import Address as PythonAddress
from packhouse.doors.serve.python import parse as parse_python
from packhouse.formats.conda.documents import DOCUMENTS

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    return whole_document(Api(cast(Any, None), cast(Any, None)).litestar)


def operations(document: Document) -> dict[tuple[str, str], Document]:
    """Return (method, path) → operation."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "head", "put", "post", "delete", "patch")
    }


def in_repository(path: str) -> bool:
    return path.startswith("/api/repo/")


def test_it_has_every_route_of_the_management_but_itself(document: Document) -> None:
    management = {(method, path) for method, path in operations(document) if not in_repository(path)}
    # pages for people are none of the API, nor is what only leads to one
    other = {("GET", "/api/openapi.json"), ("GET", "/api/auth/authorize")}
    assert management == {row for row in ROUTES if row[1].startswith("/api/")} - other


SAMPLE = {
    "channel": "team",
    "subchannel": "dev",
    "subdir": "linux-64",
    "filename": "a-1-0.conda",
    "sha256": "0" * 64,
    "project": "tea",
}


def test_it_has_every_address_of_the_data_plane(document: Document) -> None:
    found = {(method, path) for method, path in operations(document) if in_repository(path)}
    assert {method for method, _ in found} == set(METHODS)
    assert {path for method, path in found if method == "POST"} == set(BASES)
    read = {path for method, path in found if method != "POST"}
    segments = [path.format(**SAMPLE).removeprefix("/api/repo/").split("/") for path in read]
    addresses: set[object] = {parse_python(one) or parse(one) for one in segments}
    for channel in ("team", "team/dev"):
        expected: set[object] = {Address(channel, "", name) for name in ROOT_FILES}
        expected |= {Address(channel, "linux-64", name) for kind in DOCUMENTS for name in kind.filenames}
        expected |= {Address(channel, "linux-64", name) for name in ("a-1-0.conda", f"shards/{'0' * 64}.msgpack.zst")}
        files = ("a-1-0.conda", "a-1-0.conda.metadata")
        expected |= {PythonAddress(channel, "tea", name, False) for name in files}
        expected |= {PythonAddress(channel, project, "", True) for project in ("", "tea")}
        assert expected <= addresses
        addresses -= expected
    assert addresses == set(), "nothing is described that no door opens"


def test_members_of_few_words_are_enumerations(document: Document) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ChannelRequest"]["properties"]["privacy"]["enum"] == ["private", "authenticated", "public"]
    assert schemas["ChannelEdit"]["properties"]["indexing_behavior"]["enum"] == ["default", "frozen", None]
    assert "stopped" in schemas["MirrorShape"]["properties"]["state"]["enum"]
    assert "deleted" not in schemas["GlobalMirror"]["properties"]["state"]["enum"]


def test_members_say_what_they_mean_where_the_code_does(document: Document) -> None:
    schemas = document["components"]["schemas"]
    assert "ends by itself" in schemas["WaiverRequest"]["properties"]["until"]["description"]
    assert schemas["WaiverRequest"]["properties"]["rules"]["description"].startswith("what these hide")  # before it
    assert "every file" in schemas["WaiverRequest"]["properties"]["spec"]["description"]
    assert "a file, or a folder" in schemas["FeedEdit"]["properties"]["source"]["description"]  # inherited
    assert schemas["TokenRequest"]["description"].startswith("A token to be made.")


def test_a_held_back_file_is_among_the_refusals_of_downloads(document: Document) -> None:
    for tail in ("{subdir}/{filename}", "simple/{project}/{filename}", "simple/{project}/{filename}.metadata"):
        assert "`hidden`" in document["paths"]["/api/repo/{channel}/" + tail]["get"]["responses"]["403"]["description"]


def test_every_path_parameter_is_described(document: Document) -> None:
    for (method, path), operation in operations(document).items():
        named = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), (method, path)


def test_what_the_application_hands_in_is_no_parameter(document: Document) -> None:
    for operation in operations(document).values():
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert not names & {"caller", "here", "services", "authenticator", "reserved", "data", "request"}


def test_every_operation_says_how_it_can_be_refused(document: Document) -> None:
    for route, operation in operations(document).items():
        responses = operation["responses"]
        assert {"400", "401", "403", "404", "500", "503"} <= set(responses), route
        for status, response in responses.items():
            if int(status) >= 400:
                if status == "416":  # RFC 9110: the answer is about the file, not a refusal
                    continue
                assert "application/problem+json" in response["content"], (route, status)
                assert any(f"`{code}`" in response["description"] for code in CODES), (route, status)


def test_every_write_describes_its_body(document: Document) -> None:
    for (method, path), operation in operations(document).items():
        bare = any(word in path for word in ("stop_mirror", "restart", "dry_run", "/stop", "/run"))
        bare |= path.endswith("/service-accounts")  # there is nothing to say of one
        if method in ("PUT", "POST") and not bare:
            assert operation["requestBody"]["content"], (method, path)


def test_operation_ids_are_unique(document: Document) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))


def test_management_words_are_the_first_segments() -> None:
    words = management_words(Api(cast(Any, None), cast(Any, None)))
    assert {"account", "artifacts", "auth", "channels", "system", "users"} <= words
    assert not any("{" in word for word in words)
