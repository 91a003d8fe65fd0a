"""The certificate a server shows: an administrator's, checked before anything starts, or one that signs itself."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from packhouse.core.clock import SECOND, wall_micros
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.settings import Settings

_log = get_logger(__name__)
FOLDER = "tls"  #: in the data folder, for the certificate that signs itself
_LIFE, _RENEWED_BEFORE = timedelta(days=397), timedelta(days=30)  # browsers take no certificate that lives longer
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared with, not listened on


class Pair(NamedTuple):
    """Two PEM files: the certificate, followed by those that lead to its authority, and its private key."""

    certificate: Path
    key: Path


def wanted(settings: Settings) -> bool:
    """Whether the server speaks TLS."""
    return bool(settings.tls_cert or settings.tls_key or settings.tls_self_signed)


def given(settings: Settings) -> Pair | None:
    """Return the administrator's certificate and key, checked; None when none are set.

    Raises PackhouseError("bad_request") when one of the two is missing, cannot be read or does not fit the other.
    """
    if not (settings.tls_cert or settings.tls_key):
        return None
    if settings.tls_self_signed:
        why = f"{settings.origin('tls_self_signed')}, asks for another certificate than {settings.origin('tls_cert')}"
        raise PackhouseError("bad_request", f"The setting {why}.", "Leave one of them away.")
    if not (settings.tls_cert and settings.tls_key):
        there, missing = ("tls_cert", "tls_key") if settings.tls_cert else ("tls_key", "tls_cert")
        raise PackhouseError("bad_request", f"{settings.origin(there)}, is set without `{missing}`.", "Set both.")
    pair = Pair(Path(settings.tls_cert).absolute(), Path(settings.tls_key).absolute())
    certificate = _certificate(settings, pair.certificate)
    if _public(_key(settings, pair.key)) != _public(certificate):
        raise PackhouseError(
            "bad_request",
            f"The key {pair.key} ({settings.origin('tls_key')}) is not that of the certificate {pair.certificate}.",
            "Name the two files that belong together; the server's own certificate comes first in its file.",
        )
    if certificate.not_valid_after_utc <= _now():
        _log.warning(f"The certificate {pair.certificate} expired on {certificate.not_valid_after_utc:%Y-%m-%d}.")
    return pair


class Made(NamedTuple):
    """The certificate that signs itself."""

    pair: Pair
    instead: str  #: why it took the place of another one, which clients may have been given; else ""


def self_signed(settings: Settings) -> Made:
    """Return a certificate for the names of this machine that signs itself, made anew before it expires.

    Clients are told to trust the file itself; it can vouch for no other certificate. The data folder exists.
    """
    folder = settings.data_dir / FOLDER
    pair = Pair(folder / "self-signed.pem", folder / "self-signed.key")
    names = _names(settings.host, urlsplit(settings.public_url).hostname or "")
    there = pair.certificate.exists()
    fault = _fault(pair, names)
    if fault:
        folder.mkdir(mode=0o700, exist_ok=True)
        key = generate_private_key(SECP256R1())
        _write(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _write(pair.certificate, _sign(key, names).public_bytes(Encoding.PEM))
    return Made(pair, fault if there else "")


def _fault(pair: Pair, names: list[x509.GeneralName]) -> str:
    """Return why a certificate cannot be shown any more; "" if it can."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        if _public(load_pem_private_key(pair.key.read_bytes(), None)) != _public(certificate):
            return "its key is that of another one"
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return "it, or its key, cannot be read"
    if certificate.not_valid_after_utc - _RENEWED_BEFORE <= _now():
        return f"it expires on {certificate.not_valid_after_utc:%Y-%m-%d}"
    missing = ", ".join(str(name.value) for name in names if name not in set(known))
    return f"it is not good for {missing}" if missing else ""


def _sign(key: EllipticCurvePrivateKey, names: list[x509.GeneralName]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Packhouse on {socket.gethostname()}"[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - timedelta(hours=1))  # clocks of clients are late, too
        .not_valid_after(_now() + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )


def _names(host: str, public: str) -> list[x509.GeneralName]:
    """Return what people of this machine and of others call it: `public` is the host of `public_url`."""
    own = socket.gethostname()
    found: dict[str, None] = dict.fromkeys(("localhost", "127.0.0.1", "::1", own))
    if host not in _EVERYWHERE:
        found[host.strip("[]")] = None
    found[public] = None
    return [name for text in found if (name := _name(text)) is not None]


def _name(text: str) -> x509.GeneralName | None:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text) if text.isascii() and text else None


def _certificate(settings: Settings, file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(settings, "tls_cert", file))
    except ValueError:
        raise _unusable(settings, "tls_cert", file, "it holds no certificate", "PEM") from None


def _key(settings: Settings, file: Path) -> object:
    data = _read(settings, "tls_key", file)
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise _unusable(settings, "tls_key", file, "it needs a pass phrase", "a PEM file without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(settings, "tls_key", file, "it holds no private key", "PEM") from None


def _read(settings: Settings, name: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unusable(settings, name, file, f"{error.strerror}", "a file that this user may read") from None


def _unusable(settings: Settings, name: str, file: Path, why: str, use: str) -> PackhouseError:
    return PackhouseError(
        "bad_request", f"The file {file} ({settings.origin(name)}) cannot be used: {why}.", f"Use {use}."
    )


def _public(holder: object) -> bytes:
    """Return the public key of a certificate or a private key, to compare."""
    public = holder.public_key()  # type: ignore[attr-defined]  # both kinds have it, without a common class
    data: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def _write(file: Path, data: bytes) -> None:
    """Replace a file by one that only this user can read."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
    draft.replace(file)


def _now() -> datetime:
    return datetime.fromtimestamp(wall_micros() // SECOND, UTC)
