"""Turns what aiohttp raises into words without secrets: worth another attempt (Transient) or not (PackhouseError).

The original exceptions are never chained: they carry request URLs and headers.
"""

from __future__ import annotations

import os
import ssl

import aiohttp

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.model import refusal
from packhouse.core.fetch.retry import Transient

#: what a request or the reading of a body may raise and `translate` knows
FAULTS = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


def translate(error: Exception, where: str) -> Exception:
    """Return the exception to raise instead of `error`; `where` is the masked URL."""
    if isinstance(error, aiohttp.ClientSSLError):
        return _tls(error, where)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return (
            refusal(f"The proxy for {where}", 407) if error.status == 407 else _proxy(f"answered {error.status}", where)
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return _proxy(f"cannot be reached: {_reason(error)}", where)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Transient(f"The name of {where} cannot be resolved.")
    if isinstance(error, TimeoutError):
        return Transient(f"{where} did not answer in time.", weight=2)
    if isinstance(error, aiohttp.InvalidURL):
        return PackhouseError("upstream_failed", f"{where} is no usable address.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Transient(f"{where} cannot be reached: {_reason(error)}.")
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return Transient(f"{where} answered with something that is not HTTP.")
    if isinstance(error, aiohttp.ServerDisconnectedError) and where.startswith("https:"):
        # in TLS 1.3 a missing client certificate is refused after the handshake, and shows as nothing more than this
        return Transient(f"{where} closed the connection without an answer; it may want a client certificate.")
    return Transient(f"{where} closed the connection early.")


def _proxy(what: str, where: str) -> Transient:
    return Transient(f"The proxy for {where} {what}.")


def _reason(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    return os.strerror(number) if number and number > 0 else type(error.os_error).__name__


def _tls(error: aiohttp.ClientSSLError, where: str) -> PackhouseError:
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error.os_error
    reason = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else type(cause).__name__
    return PackhouseError(
        "upstream_failed",
        f"No trusted connection to {where}: {reason}.",
        "Give the source the CA bundle that signed its certificate, or a client certificate if it wants one.",
    )
