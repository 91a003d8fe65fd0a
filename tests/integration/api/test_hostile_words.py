"""Every member and parameter of what people say, each with hostile values beside good ones: never a fault of ours."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.kit.house import House

WORDS: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, "", " ", "a\u0000", "\ud800", "\u202e", "ä😀", "*", "**", "' OR 1=1 --", "%", "_",
    "a" * 320, "a" * 321, "x" * 100_000, "[", "[version=1]", "==", "<2,>3|!=1", "1.*", "*-*-*", "(", "^a.*$", "^(a+)+$",
    "pkg:conda/a", "conda/../x", "/", "a/b", "..", "ab" * 32, "AB" * 32, "CVE-", "cve-2024-1", "GHSA-", [], {}, ["a"],
]  # fmt: skip
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/statements"): {
        "cve": "CVE-2024-1", "name": "numpy", "family": "conda", "spec": "<2", "sha256": "", "note": "",
        "status": "cleared",
    },
    ("PUT", "/api/statements/1"): {"status": "active", "note": ""},
    ("POST", "/api/statements/withdraw"): {"ids": [1]},
    ("POST", "/api/quarantine"): {"reason": "x", "sha256": "ab" * 32, "channel": None, "ckey": None, "family": "conda"},
    ("POST", "/api/aliases"): {
        "name": "numpy", "family": "conda", "ecosystem": "PyPI", "upstream": "numpy", "negative": True,
    },
}  # fmt: skip
QUERIES = {
    "/api/statements": ("cve", "family", "name", "status", "origin", "sha256", "author", "channel"),
    "/api/vex": ("format", "origin", "cve", "family", "name", "channel"),
    "/api/aliases": ("family", "name", "ecosystem", "upstream"),
}


async def test_hostile_members(house: House) -> None:
    headers = {"content-type": "application/json"}
    for (method, path), body in BODIES.items():
        assert (await house.admin.request("POST", "/api/statements", headers, [_good()])).status == 200
        for member in body:
            for word in WORDS:
                said = {**body, member: word}
                if member == "channel":
                    said |= {"sha256": None, "ckey": word}
                answer = await house.admin.request(method, path, headers, [json.dumps(said).encode()])
                assert answer.status < 500, (method, path, member, word, answer.body)
                if answer.status >= 400:
                    assert answer.json()["message"]


async def test_hostile_parameters(house: House) -> None:
    for path, names in QUERIES.items():
        for name in names:
            for word in WORDS:
                if isinstance(word, str) and word != "\ud800" and len(word) < 2000:
                    answer = await house.admin.get(f"{path}?{name}={quote(word, safe='')}&ecosystem=PyPI")
                    assert answer.status < 500, (path, name, word, answer.body)
    for word in ("%00", "a", "9" * 30, "%F0%9F%98%80", "ab" * 32, "..%2F"):
        for path in ("/api/statements/", "/api/quarantine/"):
            for method in ("GET", "DELETE"):
                assert (await house.admin.request(method, path + word)).status < 500, (method, path, word)
        assert (await house.admin.get(f"/api/cves/{word}/statements")).status < 500


def _good() -> bytes:
    return json.dumps(BODIES["POST", "/api/statements"]).encode()
