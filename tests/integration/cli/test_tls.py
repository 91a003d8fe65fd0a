"""`packhouse serve` over TLS, as an administrator starts it and as clients meet it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.kit.commands import run, serving
from tests.kit.tls import Authority


def ask(url: str, ca: Path | None, **more: Any) -> int:
    with urllib3.PoolManager(retries=False, ca_certs=str(ca) if ca else None, **more) as pool:
        return pool.request("GET", f"{url}/api/system", timeout=60).status


def test_a_self_signed_server_is_trusted_by_whoever_was_given_its_file(tmp_path: Path) -> None:
    with serving(tmp_path, "serve", "--port", "0", "--no-worker", "--tls-self-signed") as (url, said):
        file = tmp_path / "packhouse-data" / "tls" / "self-signed.pem"
        assert url.startswith("https://127.0.0.1:")
        assert f"clients have to trust the file {file}" in said
        assert ask(url, file) == 200
        assert ask(url.replace("127.0.0.1", "localhost"), file) == 200
        with pytest.raises(urllib3.exceptions.SSLError):
            ask(url, None)
        with pytest.raises(urllib3.exceptions.HTTPError):  # nothing is served in the clear
            ask(url.replace("https", "http"), None)
        assert "BEGIN" not in said


def test_a_certificate_that_takes_the_place_of_another_is_told_of_and_why(tmp_path: Path) -> None:
    words = ("serve", "--port", "0", "--no-worker", "--tls-self-signed")
    file = tmp_path / "packhouse-data" / "tls" / "self-signed.pem"
    with serving(tmp_path, *words) as (_, said):
        assert "new certificate" not in said, "nobody was given another one"
    (old := tmp_path / "copy.pem").write_bytes(file.read_bytes())
    with serving(tmp_path, *words, PACKHOUSE_PUBLIC_URL="https://packages.example.org") as (url, said):
        assert "A new certificate was made in place of the one before: it is not good for packages.example.org." in said
        assert "Give clients the new file" in said
        assert ask(url, file) == 200
        with pytest.raises(urllib3.exceptions.SSLError):
            ask(url, old)
    with serving(tmp_path, *words, PACKHOUSE_PUBLIC_URL="https://packages.example.org") as (_, said):
        assert "new certificate" not in said


def test_a_certificate_of_an_authority_is_shown_by_every_process(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    words = ("serve", "--port", "0", "--no-worker", "--processes", "2", "--tls-cert", "server.pem")
    with serving(tmp_path, *words, PACKHOUSE_TLS_KEY=str(key)) as (url, _):
        assert [ask(url, authority.ca) for _ in range(8)] == [200] * 8
        assert ask(url, authority.ca, ssl_maximum_version=ssl.TLSVersion.TLSv1_2) == 200
        with pytest.raises(urllib3.exceptions.HTTPError):
            ask(url, authority.ca, ssl_maximum_version=ssl.TLSVersion.TLSv1_1)
    assert certificate.exists()


def test_a_certificate_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    Authority(tmp_path).issue("server")
    alone, missing = run(
        tmp_path,
        ("serve", "--port", "0", "--tls-cert", "server.pem"),
        ("serve", "--port", "0", "--tls-cert", "none.pem", "--tls-key", "server.key"),
    )
    for end, said in ((alone, "is set without `tls_key`"), (missing, "none.pem (`tls_cert`, from the option")):
        assert (end.code, end.out, end.err.count("\n")) == (2, "", 1), end.err
        assert said in end.err
    assert not (tmp_path / "packhouse-data").exists()
