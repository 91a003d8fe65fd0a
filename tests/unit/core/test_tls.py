"""The certificate of a server: a pair that cannot be used is refused by name, and the self-signed one is enough."""

from __future__ import annotations

import asyncio
import ssl
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from packhouse.core import tls
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import Settings, load
from tests.kit.tls import Authority


def settings(folder: Path, **given: Any) -> Settings:
    return load({}, data_dir=folder, **given)


def test_without_a_word_about_it_there_is_none(tmp_path: Path) -> None:
    plain = settings(tmp_path)
    assert tls.given(plain) is None and not tls.wanted(plain)
    assert tls.wanted(settings(tmp_path, tls_self_signed=True))


def test_a_pair_that_belongs_together_is_taken(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("server")
    assert tls.given(settings(tmp_path, tls_cert=str(certificate), tls_key=str(key))) == tls.Pair(certificate, key)


def test_pairs_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    _, another = authority.issue("another")
    (empty := tmp_path / "empty").touch()
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    missing = tmp_path / "missing"
    cases = {
        (certificate, ""): "`tls_cert`, from the option --tls-cert, is set without `tls_key`",
        ("", key): "`tls_key`, from the option --tls-key, is set without `tls_cert`",
        (certificate, another): "is not that of the certificate",
        (missing, key): "missing (`tls_cert`, from the option --tls-cert) cannot be used: No such file",
        (certificate, missing): "missing (`tls_key`, from the option --tls-key) cannot be used: No such file",
        (empty, key): "it holds no certificate",
        (key, key): "it holds no certificate",
        (certificate, empty): "it holds no private key",
        (certificate, certificate): "it holds no private key",
        (certificate, locked): "it needs a pass phrase",
    }
    for (cert, private), said in cases.items():
        with pytest.raises(PackhouseError) as caught:
            tls.given(settings(tmp_path, tls_cert=str(cert), tls_key=str(private)))
        assert caught.value.code == "bad_request" and said in str(caught.value), (cert, private, str(caught.value))
        assert "BEGIN" not in str(caught.value)
    with pytest.raises(PackhouseError, match="asks for another certificate"):
        tls.given(settings(tmp_path, tls_cert=str(certificate), tls_key=str(key), tls_self_signed=True))


def test_the_self_signed_one_is_kept_and_made_anew_when_it_must(tmp_path: Path) -> None:
    first, instead = tls.self_signed(settings(tmp_path))
    assert not instead, "there was none that somebody could have been given"
    was = first.certificate.read_bytes()
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert tls.self_signed(settings(tmp_path)) == (first, "") and first.certificate.read_bytes() == was
    _, instead = tls.self_signed(settings(tmp_path, host="packages.example.org"))
    assert instead == "it is not good for packages.example.org"
    named = first.certificate.read_bytes()
    assert named != was
    names = x509.load_pem_x509_certificate(named).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "packages.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    _, instead = tls.self_signed(settings(tmp_path, public_url="https://tea.example.org:8443/"))
    assert instead == "it is not good for tea.example.org"
    public = first.certificate.read_bytes()
    names = x509.load_pem_x509_certificate(public).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "tea.example.org" in names.get_values_for_type(x509.DNSName)
    for broken in (first.certificate, first.key):
        broken.write_bytes(b"")
        again, instead = tls.self_signed(settings(tmp_path))
        assert "cannot be read" in instead
        assert tls.given(settings(tmp_path, tls_cert=str(again.certificate), tls_key=str(again.key)))


def test_why_the_self_signed_one_is_another_is_told_when_the_old_one_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tls, "_LIFE", timedelta(days=29))
        tls.self_signed(settings(tmp_path))
    assert tls.self_signed(settings(tmp_path)).instead.startswith("it expires on ")
    assert tls.self_signed(settings(tmp_path)).instead == ""


async def test_a_client_that_was_given_the_self_signed_one_trusts_it_and_others_do_not(tmp_path: Path) -> None:
    pair, _ = tls.self_signed(settings(tmp_path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=str(pair.certificate))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    for host in ("127.0.0.1", "localhost"):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=host)
        writer.close()
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="elsewhere.example.org")
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
    server.close()
