"""Paths and headers nobody's client sends by accident: never a fault of the server, never a file it did not mean."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from urllib.parse import quote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Backend
from tests.kit.asgi import Answer, listening
from tests.kit.condapkg import make_conda
from tests.kit.house import House, open_house
from tests.kit.judging import govern
from tests.kit.pythonindex import wheel_of
from tests.kit.wire import fetch, raw

MARKER = b"nobody may ever read this"
PACKAGE = "/api/repo/pub/noarch/one-1.0-0.conda"
ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with a public and a private channel, and files beside its folders that it must not serve."""
    for folder in (backend.data_dir, backend.data_dir.parent):
        (folder / "marker.conda").write_bytes(MARKER)
    async with open_house(backend) as opened:
        await opened.channel("pub")
        await opened.channel("secret", "private")
        await opened.upload("pub", "one")
        await opened.upload("secret", "one", files={"share/marker": MARKER})
        yield opened


BASES = (
    "/api/repo/pub/noarch/",
    "/api/repo/pub/",
    "/api/repo/",
    "/api/repo/secret/noarch/",
    "/t/0123456789/api/repo/pub/noarch/",
    "/api/repo/t/0123456789/pub/noarch/",
    "/api/",
    "/",
)
CLIMBS = (
    "../", "..%2f", "..%2F", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "..%252f", "%252e%252e%252f", ".%2e/", "%2e./",
    "..;/", "....//", "..%c0%af", "%c0%ae%c0%ae/", "..%e0%80%af", "..%f0%80%80%af", "%uff0e%uff0e/", "..%00/", "./../",
    "..%09/", "..%0d%0a/", "..//", "%ef%bc%8e%ef%bc%8e/", "..%u2215",
)  # fmt: skip
ODD_NAMES = (
    "marker.conda", "%00", "a%00.conda", "one-1.0-0.conda%00.txt", "%", "%2", "%zz", "%2gone", "%ff%fe", "%c3%28",
    "%ed%a0%80.conda", "one-1.0-0.conda/", "one-1.0-0.conda//", "one-1.0-0.conda/..", "one-1.0-0.conda/.", "%0d%0aX:1",
    "%20", "+", "'\"", "<script>", ";", "~", "*", "$(id)", "`id`", "|id", "%5c", "con", "nul.conda", "-.conda",
    "--.conda", ".conda", ".tar.bz2", "x" * 300 + ".conda", "x" * 8000, "é.conda", "%e2%80%ae.conda", "\u00ff",
    "repodata.json/", "repodata.json%00", "REPODATA.JSON", "shards/", "shards/../../../marker.conda",
    "shards/" + "0" * 64 + ".msgpack.zst", "shards/" + "%30" * 64 + ".msgpack.zst", "shards/%2e%2e/marker.conda",
    "repodata.json?x=%00", "?", "??", "#", "repodata.json;a=b", "//", "///etc/passwd", "/etc/passwd", "file:///etc/passwd",
)  # fmt: skip


def targets() -> list[str]:
    """Return every path of this suite, as it stands on the wire."""
    climbing = [
        base + climb * depth + "marker.conda" for base, climb, depth in itertools.product(BASES, CLIMBS, (1, 6))
    ]
    named = [base + name for base, name in itertools.product(BASES, ODD_NAMES)]
    return [target.encode().decode("latin-1") for target in (*climbing, *named)]


def check(answer: Answer, case: object) -> None:
    """A refusal or what may be seen anyway; never the marker, never a fault of ours."""
    assert answer.status < 500, (case, answer.body)
    assert MARKER not in answer.body and b"root:" not in answer.body and b"SQLite format" not in answer.body, case
    for name, value in answer.headers.items():
        assert re.fullmatch(r"[^\r\n\0]*", name + value), (case, name)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_paths(house: House, method: str) -> None:
    cases = targets()
    assert len(cases) >= 200
    for target in cases:
        check(await house.web.request(method, target), (method, target))
        if "secret" not in target:  # there an administrator may see the marker
            check(await house.admin.request(method, target), (method, target))


async def test_paths_over_a_real_socket(house: House) -> None:
    async with listening(house.server) as url:
        for start in range(0, len(cases := targets()), 40):
            pipeline = b"".join(
                b"GET " + target.replace(" ", "%20").encode("latin-1") + b" HTTP/1.1\r\nHost: x\r\n\r\n"
                for target in cases[start : start + 40 : 8]
            )
            check_raw(await raw(url, pipeline + b"GET /api/system HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert (await house.web.get(PACKAGE)).status == 200


def check_raw(got: bytes) -> None:
    """Look at what came back on a connection."""
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", got)]
    assert all(status < 500 for status in statuses), got[:2000]
    assert MARKER not in got and b"root:" not in got and b"SQLite format" not in got


async def test_dot_segments_never_mean_another_channel(house: House) -> None:
    """What one reader takes for `secret` another takes for `pub`: such a path means nothing."""
    for path in ("pub/../secret", "pub/%2e%2e/secret", "pub/noarch/../../secret", "./secret", "pub%2f..%2fsecret"):
        answer = await house.web.get(f"/api/repo/{path}/noarch/one-1.0-0.conda")
        assert answer.status in (400, 401, 404) and MARKER not in answer.body


async def test_decoding_happens_once(house: House) -> None:
    assert (await house.web.get("/api/repo/pub/noarch/one-1.0-0%2econda")).status == 200
    assert (await house.web.get("/api/repo/p%75b/noarch/one-1.0-0.conda")).status == 200
    assert (await house.web.get("/api/repo/p%2575b/noarch/one-1.0-0.conda")).status == 401
    async with listening(house.server) as url:
        for path, status in (("p%75b", b"200"), ("p%2575b", b"401")):
            request = f"GET /api/repo/{path}/noarch/repodata.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert (await raw(url, request.encode())).startswith(b"HTTP/1.1 " + status)


HEADERS: dict[str, tuple[str, ...]] = {
    "range": (
        "bytes=0-0,1-1,2-2" * 50, "bytes=-", "bytes=--1", "bytes=9999999999999999999999-", "bytes=0 -1",
        "bytes=-9999999999999999999", "bytes=0-9999999999999999999", "bytes=1e3-", "bytes=0x1-", "bytes=\u00b2-",
        "bytes= 0-1", "BYTES=0-1",
        "bytes=18446744073709551615-18446744073709551616", "bytes=5-2", "bytes=,", "lines=1-2", "\x00", "bytes=0-1\x00",
    ),
    "if-none-match": (
        '"', '""', "W/", 'W/"', "*, *", '"a" "b"', ",,,,", "x" * 9000, '"' + "," * 5000, "\xff\xfe", "\x00",
    ),
    "if-modified-since": (
        "0", "yesterday", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 0000 00:00:00 GMT",
        "Mon, 99 Feb 2026 99:99:99 GMT", "Mon, 01 Jan 2026 00:00:00 +9999999", "Mon, 01 Jan 0001 00:00:00 +2359",
        "Mon, 01 Jan 9999 23:59:59 -2359", "1 2 3 4 5 6 7", "\u00b2\u00b2", ", , ,", "x" * 9000, "\x00",
        "Mon, 01 Jan 2026 00:00:00 GMT" * 100, "-1 Jan -1 -1:-1:-1", "01 Jan 2026 1e9:0:0 GMT",
    ),
    "if-range": ("*", '"', "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "\x00"),
    "authorization": (
        "Basic", "Basic ", "Basic =", "Basic " + "A" * 20000, "Basic \xff", "Bearer", "Bearer ..", "Bearer a.b.c",
        "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer " + "a." * 9000, "token " + "x" * 20000, "Negotiate x", ":", "\x00",
        "Basic dXNlcjpwYXNz\x00", "Basic dXNlcg==", "Basic OnBhc3M=", "Basic /////w==", "Digest username=a",
    ),
    "x-auth": ("", " ", "\x00", "\xff", "x" * 20000, "a" * 512, "' OR 1=1 --", "../../x", "\u00e9"),
    "x-api-key": ("", "\x00", "x" * 20000, "{}"),
    "content-length": ("-1", "1e9", "99999999999999999999999999", "0x10", "", "1, 1", "\u00b2"),
    "host": ("", "evil.example", "a" * 9000, "[::1", "x:99999999", "\x00"),
    "x-forwarded-for": ("1.2.3.4, \x00", "x" * 9000),
    "accept-encoding": ("gzip", "zstd;q=nan", "*;q=9" * 1000),
    "x-" + "n" * 5000: ("v" * 9000,),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
async def test_headers(house: House, name: str) -> None:
    files = (PACKAGE, *(f"/api/repo/pub/{file}" for file in ("noarch/repodata.json", "channeldata.json", "x/y")))
    for value in HEADERS[name]:
        for method, target in itertools.product(("GET", "HEAD", "PUT"), files):
            sent = {name: value.encode().decode("latin-1")}
            check(await house.web.request(method, target, sent), (method, target, name, value))
        if name in ("range", "if-none-match", "if-modified-since", "if-range"):
            check(await house.web.request("GET", PACKAGE, {"range": "bytes=1-", name: sent[name]}), (name, value))


@ONE_BACKEND
async def test_two_headers_of_one_name(house: House) -> None:
    token = house.people["admin"].token
    async with listening(house.server) as url:
        head = b"GET /api/repo/secret/noarch/one-1.0-0.conda HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        for line in (f"X-Auth: {token}\r\nX-Auth: other\r\n", f"X-Auth: bad\r\nAuthorization: Bearer {token}\r\n"):
            assert (await raw(url, head + line.encode() + b"\r\n")).startswith(b"HTTP/1.1 401")


@ONE_BACKEND
async def test_requests_that_are_hardly_any(house: House) -> None:
    data = make_conda("two", "1.0")
    put = b"PUT /api/repo/pub/noarch/two-1.0-0.conda HTTP/1.1\r\nHost: x\r\n"
    token = b"X-Auth: " + house.people["admin"].token.encode() + b"\r\n"
    smuggled = b"GET /api/repo/secret/noarch/one-1.0-0.conda HTTP/1.1\r\nHost: x\r\n" + token + b"\r\n"
    requests = [
        b"GET http://evil.example/api/repo/pub/noarch/../../marker.conda HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://evil.example/api/repo/pub/noarch/repodata.json HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //evil.example/api/repo/pub HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/repo/pub/noarch/repodata.json HTTP/1.0\r\n\r\n",
        b"GET /api/repo/pub/noarch/repodata.json HTTP/1.1\r\n\r\n",
        b"GET /api/repo/pub/noarch/repodata.json\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW /api/repo/pub/noarch/repodata.json HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/repo/pub/noarch/repodata.json HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
        b"GET /api/repo/pub/noarch/repodata.json HTTP/1.1\r\nHost: x\r\nx: " + b"y" * 900_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\r\n" * 1000,
        bytes(1000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(64),
        put + token + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
        put + token + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + smuggled,
        put + token + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + data + b"\r\n0\r\n\r\n",
        put + token + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + data,
        put + token + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        put + token + b"Expect: 200-maybe\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /api/repo/pub HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"GET /api/repo/pub HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    ]
    async with listening(house.server) as url:
        for got in await asyncio.gather(*(raw(url, request) for request in requests)):
            check_raw(got)
        alive = b"GET /api/repo/pub/noarch/one-1.0-0.conda HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await raw(url, alive)).startswith(b"HTTP/1.1 200")
    assert (await house.web.get("/api/repo/pub/noarch/two-1.0-0.conda")).status == 404


@ONE_BACKEND
async def test_what_a_package_says_of_itself_breaks_no_refusal(house: House) -> None:
    """A refusal repeats it in a header, where no line may end and nothing but printable ASCII stands."""
    marks = [chr(number) for number in (*range(1, 32), *range(127, 160), 0xE9, 0x2028, 0x202E, 0xFEFF, 0x1F600)]
    licenses = ["GPL\r\nX-Evil: yes", "".join(marks), *(f"GPL{mark}X-Evil: yes" for mark in marks)]
    for number, text in enumerate(licenses):
        await house.upload("pub", f"said{number}", license=text)
    await govern(house, "pub", license=["MIT"])
    async with listening(house.server) as url:
        for number in range(len(licenses)):
            answer = await fetch(f"{url}/api/repo/pub/noarch/said{number}-1.0-0.conda")
            assert (answer.status, answer.json()["code"]) == (403, "hidden"), licenses[number]
            assert "x-evil" not in answer.headers
            assert re.fullmatch(r"[ -~]{20,500}", answer.headers["x-packhouse-reason"]), licenses[number]


@ONE_BACKEND
async def test_no_path_of_a_simple_index_leads_out_of_it(house: House) -> None:
    filename, content = wheel_of("tea")
    assert (await house.admin.put(f"/api/repo/pub/simple/tea/{filename}", content)).status == 201
    odd = (
        "%0aX", "%01", "a%7fb", "http:1249767214", "a%20b", "caf%c3%a9", "x%23y", "%3fa", "%e2%84%aa", "Te_a", "", ".",
        filename, "tea-1.0%0a-py3-none-any.whl", "tea-%0d1.0-py3-none-any.whl", "a:b-1.0-py3-none-any.whl",
    )  # fmt: skip
    anything = st.text(max_size=12).map(lambda text: quote(text, safe=":@!$&'()*+,;=~"))
    paths = st.lists(st.one_of(anything, st.sampled_from([*odd, "simple", "tea", "label", "t"])), max_size=4)
    seen = [[one, *end] for one in odd for end in ([], [""])]

    @given(paths)
    def gather(path: list[str]) -> None:
        seen.append(path)

    gather()
    for path, start in itertools.product(seen, ("pub/simple", "pub")):
        target = f"/api/repo/{start}/{'/'.join(path)}"
        answer = await house.web.get(target)
        check(answer, target)
        assert all(re.fullmatch(r"[ -~]*", value) for value in answer.headers.values()), (target, answer.headers)
        if location := answer.headers.get("location"):
            whole = urljoin(f"http://here{target}", location)
            assert whole.startswith("http://here/api/repo/pub/") and whole.endswith(("/", ".whl")), (target, location)
