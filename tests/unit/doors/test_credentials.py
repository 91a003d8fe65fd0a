"""Every way a client carries a credential, and what is sent instead of one."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.doors.credentials import from_headers, from_path, from_request, mask
from packhouse.workflows.admitting.credential import MALFORMED, Credential

T = "0123456789abcdef" * 3
U = "fedcba9876543210" * 3
J = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-bmF0_dXJl"
TOKEN = Credential("token", T)
SESSION = Credential("session", J)
ANN = Credential("password", "correct horse", "ann")


def basic(text: str | bytes) -> bytes:
    return b"Basic " + b64encode(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"x-auth", T.encode(), TOKEN),
        (b"X-Auth", T.encode(), TOKEN),
        (b"x-auth", J.encode(), SESSION),
        (b"x-auth", b"  " + T.encode() + b"\t", TOKEN),
        (b"x-api-key", T.encode(), TOKEN),
        (b"authorization", b"Bearer " + T.encode(), TOKEN),
        (b"authorization", b"Bearer " + J.encode(), SESSION),
        (b"Authorization", b"bearer  " + J.encode(), SESSION),
        (b"authorization", b"token " + T.encode(), TOKEN),
        (b"authorization", b"Token " + T.encode(), TOKEN),
        (b"authorization", basic(f"{T}:x-auth-token"), TOKEN),
        (b"authorization", basic(f"{J}:x-auth-token"), SESSION),
        (b"authorization", basic(f"__token__:{T}"), TOKEN),
        (b"authorization", basic(f"__token__:{J}"), SESSION),
        (b"authorization", basic("ann:correct horse"), ANN),
        (b"authorization", b"basic " + basic("ann:correct horse")[6:], ANN),
        (b"authorization", basic("ann:a:b:c"), Credential("password", "a:b:c", "ann")),
        (b"authorization", basic("ann@example.org:päss wörd"), Credential("password", "päss wörd", "ann@example.org")),
    ],
)
def test_carriers(name: bytes, value: bytes, expected: Credential) -> None:
    assert from_request([(b"host", b"h"), (name, value)], "/api/repo/ch/noarch/repodata.json") == (
        expected,
        "/api/repo/ch/noarch/repodata.json",
    )


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        (f"/t/{T}/api/repo/ch/noarch/repodata.json", "/api/repo/ch/noarch/repodata.json"),
        (f"/api/repo/t/{T}/ch/noarch/repodata.json", "/api/repo/ch/noarch/repodata.json"),
        (f"/t/{T}/api/repo/t/{T}/ch", "/api/repo/ch"),
        (f"/t/{T}/get/ch", "/get/ch"),
        (f"/t/{T}/", "/"),
        (f"/t/{T}", "/"),
        (f"/api/repo/t/{T}", "/api/repo"),
        (f"/t/{T}/api/repo/ch/t/file", "/api/repo/ch/t/file"),
    ],
)
def test_tokens_in_the_path(path: str, rest: str) -> None:
    assert from_request([], path) == (TOKEN, rest)


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/t", "/"),
        ("/t/", "/"),
        ("/t//api/repo/ch", "/api/repo/ch"),
        ("/t/a_b/api/repo/ch", "/api/repo/ch"),
        ("/t/%61/api/repo/ch", "/api/repo/ch"),
        ("/t/../api/repo/ch", "/api/repo/ch"),
        ("/t/a b/x", "/x"),
        ("/t/ä/x", "/x"),
        ("/t/\x00/x", "/x"),
        (f"/t/{J}/x", "/x"),
        ("/t/" + "a" * 513 + "/x", "/x"),
        ("/api/repo/t/", "/api/repo"),
        ("/api/repo/t", "/api/repo"),
        (f"/t/{T}/api/repo/t/{U}/ch", "/api/repo/ch"),
        (f"/t/{T}/api/repo/t/?/ch", "/api/repo/ch"),
    ],
)
def test_bad_tokens_in_the_path_are_taken_out_and_refused(path: str, rest: str) -> None:
    credential, left = from_request([(b"x-auth", T.encode())], path)
    assert credential == MALFORMED
    assert left.rstrip("/") == rest.rstrip("/")


@pytest.mark.parametrize(
    "path", ["/", "", "/tt/x", "/T/x", "/api/repo/team/t/x", "/api/t/x", "/api/repository/t/x", "t/x"]
)
def test_other_paths_are_left_alone(path: str) -> None:
    assert from_request([], path) == (None, path)


def test_the_path_wins_then_x_auth_then_x_api_key_then_authorization() -> None:
    headers = [
        (b"authorization", basic("ann:correct horse")),
        (b"x-api-key", b"key"),
        (b"x-auth", b"auth"),
    ]
    assert from_request(headers, f"/t/{T}/x")[0] == TOKEN
    assert from_headers(headers) == Credential("token", "auth")
    assert from_headers(headers[:2]) == Credential("token", "key")
    assert from_headers(headers[:1]) == ANN


def test_a_bad_credential_never_falls_back_to_another() -> None:
    good = (b"authorization", b"Bearer " + T.encode())
    assert from_request([good], "/t/b%d/x")[0] == MALFORMED
    assert from_headers([(b"x-auth", b"b%d"), good]) == MALFORMED
    assert from_headers([(b"x-auth", b""), good]) == MALFORMED


def test_one_header_twice() -> None:
    assert from_headers([(b"x-auth", T.encode()), (b"X-Auth", T.encode())]) == TOKEN
    assert from_headers([(b"x-auth", T.encode()), (b"x-auth", U.encode())]) == MALFORMED


def test_nothing_that_looks_like_a_credential() -> None:
    assert (
        from_headers([(b"cookie", b"x-auth=1"), (b"x-authority", b"1"), (b"proxy-authorization", b"Basic x")]) is None
    )


SCHEMES = [b"", b"Bearer", b"Bearer ", b"token", b"Basic", b"Basic ", b"Digest username=x", b"Negotiate YII=", b"NTLM",
           b"AWS4-HMAC-SHA256 Credential=a/b", b"Bearer: abc", b"Bearerabc", b"Bearer a b", b"Bearer a,b", b"token a;b",
           b"Bearer a_b", b"Bearer .", b"Bearer ..", b"Bearer a.b", b"Bearer a.b.c.d", b"Bearer a..c", b"Bearer =",
           b"Bearer \xff", b"Bearer \x00", b"\x00", b"\xff\xfe", b"Bearer \r\nX-Auth: a", b"Bearer a\nb",
           b"Bearer \xc3\xa4",
           b"Bearer " + b"a" * 513, b"Bearer " + b"a" * 20_000, b"a" * 100_000, b"Basic " + b"A" * 100_000,
           b"Bearer %61", b"Bearer {}", b"Bearer null\x7f", b"Bearer <script>", b"Bearer ' OR 1=1 --", b"Bearer ../..",
           b"Bearer eyJ.eyJ.", b"Bearer .eyJ.x", b"Bearer a.b.c=", b"Bearer a+b.c.d", b"Basic\tQTpC", b"Bearer\tabc",
           b"token\xc2\xa0abc", b" ", b"\t", b":", b"=", b"basic:", b"Token=abc", b"Token token=abc"]  # fmt: skip
BASICS = [b"", b"A", b"AA", b"AAA", b"====", b"QTpC=", b"QTpC====", b"Q TpC", b"QTp\nC", b"QTpC QTpC", b"!!!!",
          b"\xff\xff", b"QTpC\x00", b"-_-_", b"QTpC,Basic QTpC", b"=QTpC", b"Q=TpC"]  # fmt: skip
DECODED = [b"", b":", b"ann", b"ann:", b":secret", b"::", b"\x00:\x00", b"ann\x00:x", b"ann:x\x00",
           b"ann:\r\nX-Auth: a", b"\xff:\xfe", b"ann:\xff", b"__token__:", b"__token__:a_b", b"__token__:a b",
           b"__token__:\xc3\xa4",
           b"__token__:" + b"a" * 600, b":x-auth-token", b"a_b:x-auth-token", b"a b:x-auth-token", b"ann:\x1b[2J",
           b"\xc0\x80:x", b"\xed\xa0\x80:x", b"ann:\xe2\x80\x8b", b"ann:\xe2\x80\xae", b"a:" + b"b" * 20_000,
           b"\xef\xbb\xbf\x00:x", b"ann\n:x", b"ann:x\n", b"\x7f:\x7f"]  # fmt: skip
HOSTILE = [
    *((b"authorization", value) for value in SCHEMES),
    *((b"authorization", b"Basic " + value) for value in BASICS),
    *((b"authorization", basic(value)) for value in DECODED),
    *((name, value) for name in (b"x-auth", b"x-api-key")
      for value in (b"", b" ", b"a b", b"{}",
                     b"a_b", b"\x00", b"\xff", b"a\nb", b"Bearer abc", b"a" * 513, b"a" * 99_999, b"a,b")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), HOSTILE)
def test_hostile_headers_are_refused_not_ignored(name: bytes, value: bytes) -> None:
    assert from_headers([(name, value)]) == MALFORMED


def test_the_corpus_is_large_enough() -> None:
    assert len(set(HOSTILE)) >= 100


@given(
    st.lists(st.tuples(st.sampled_from([b"x-auth", b"X-API-Key", b"authorization", b"host"]), st.binary(max_size=40))),
    st.text(max_size=60),
)
def test_nothing_raises(headers: list[tuple[bytes, bytes]], text: str) -> None:
    from_request(headers, text)
    credential, rest = from_request(headers, "/t/" + text)
    assert credential is not None
    assert rest.startswith("/")


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=":"), min_size=1),
    st.text("ab :", min_size=1),
)
def test_basic_gives_back_what_was_put_in(username: str, password: str) -> None:
    expected = MALFORMED if username == "__token__" else Credential("password", password, username)
    assert from_headers([(b"authorization", basic(f"{username}:{password}"))]) in (
        expected,
        Credential("token", password),
    )


@given(st.from_regex(r"[A-Za-z0-9-]{1,60}", fullmatch=True), st.sampled_from(["", "/api/repo"]))
def test_conda_tokens_come_out_of_any_location(token: str, location: str) -> None:
    assert from_path(f"{location}/t/{token}/ch/noarch/x") == (Credential("token", token), f"{location}/ch/noarch/x")


@pytest.mark.parametrize(
    "text",
    [
        f"GET /t/{T}/api/repo/ch/x HTTP/1.1",
        "GET /t/short/api/repo/ch",
        f"GET /api/repo/t/{T}/ch/x?y=1",
        f"http://{T}:x-auth-token@host/api/repo/ch/simple",
        f"http://ann:hunter22@host/x {T}",
        f"Authorization: Bearer {J}",
        f"authorization: token {T}",
        "Authorization: Basic YW5uOmh1bnRlcjIy",
        "Authorization: Digest hunter22",
        f"{{'authorization': 'Bearer {T}'}}",
        f"(b'x-auth', b'{T}')",
        f'{{"X-Auth": "{T}"}}',
        "x-api-key=hunter22",
        f"curl -H 'X-Auth: {T}'",
        f"?token={T}&x=1",
        "/login?password=hunter22",
        f"session {J} was refused",
        f"a bare {T} in a trace",
        f"one with its mark ph-{T}",
        "Cookie: packhouse=hunter22; other=1",
        "(b'set-cookie', b'__Host-packhouse=hunter22; HttpOnly')",
        "GET /login/corp/callback?state=x&code=hunter22 HTTP/1.1",
        "grant_type=x&client_secret=hunter22&device_code=short",
        '{"username": "ann", "password": "hunter22"}',
        "bind_password='hunter22'",
        "refresh_token=hunter22",
        "POST /login next=/&ticket=hunter22",
    ],
)
def test_logs_show_no_secret(text: str) -> None:
    masked = mask(text)
    for secret in (T, J, "hunter22", "YW5uOmh1bnRlcjIy", "short"):
        assert secret not in masked


def test_masking_keeps_what_is_not_secret() -> None:
    harmless = f"GET /api/repo/ch/shards/{'ab' * 32}.msgpack.zst 304 etag={'c' * 40} https://host:8443/x"
    assert mask(harmless) == harmless
    for plain in ("code='not_found'", '{"code": "forbidden"}', "token_id=7", "a token of ann", "passwords are checked"):
        assert mask(plain) == plain
    assert mask(f"GET /t/{T}/api/repo/ch/x") == "GET /t/<TOKEN>/api/repo/ch/x"


def test_credentials_do_not_show_in_traces() -> None:
    assert T not in repr(TOKEN)
    assert T not in f"{TOKEN}"
    assert "horse" not in repr([ANN])
