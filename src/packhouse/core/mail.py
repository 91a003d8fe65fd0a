"""Mail to people, through the mail server an administrator named in the settings (RFC 5321, RFC 5322).

One message has one recipient, so that nobody sees who else got it and one bad address stops nobody's mail. Repeating is
the caller's: a server that greylists wants minutes between two attempts, which only a job can wait.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import socket
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

import msgspec

from packhouse.core.clock import SECOND, wall_micros
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import random_hex
from packhouse.core.settings import Settings
from packhouse.core.text import one_line

#: seconds after which another attempt makes sense: greylisting servers want five minutes
RETRY_SECONDS = 300
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """How mail is sent. Its text form shows no secret."""

    host: str
    sender: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_bundle: str = ""  #: PEM file that replaces the system's certificate authorities
    username: str = ""
    password: str = ""
    answer_timeout: float = 20.0  #: seconds for each answer of the server
    deadline: float = 60.0  #: seconds for the whole message

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port}, {self.tls})"


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one person. Only `to` and `text` are taken as they are; header texts are made one line."""

    to: str
    subject: str
    text: str
    html: str = ""  #: the same as `text`, for readers that show it
    name: str = ""  #: of the person
    message_id: str = ""  #: a word that stays when a message is repeated, so that a mailbox can pass over what it has


def mail_server(settings: Settings) -> MailServer | None:
    """Return the mail server of the settings, None when none is named. Raises PackhouseError("bad_request")."""
    if not settings.smtp_host:
        return None
    if not _ADDRESS.fullmatch(settings.smtp_from):
        raise _unusable(settings, "smtp_from", "it is no mail address", "Write for example packhouse@example.org.")
    if settings.smtp_username and settings.smtp_tls == "none":
        hint = "Set `smtp_tls` to starttls or tls, or remove `smtp_username`."
        raise _unusable(settings, "smtp_tls", "a password does not travel unencrypted", hint)
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        ca_bundle=settings.smtp_ca_bundle,
        username=settings.smtp_username,
        password=settings.smtp_password,
        sender=settings.smtp_from,
    )


async def send(server: MailServer, mail: Mail) -> None:
    """Hand a message to the mail server; returns when the server has taken it.

    Raises PackhouseError: "bad_request" for an address that is none, "try_later" with `retry_after` when the server is
    away, slow or asks to come again, "delivery_failed" when it refuses, or the settings do not fit it.
    """
    delivery = _Delivery(server, compose(mail, server.sender, wall_micros()), mail.to)
    try:
        async with asyncio.timeout(server.deadline):
            await asyncio.to_thread(delivery.run)
    except (smtplib.SMTPException, OSError) as error:  # TimeoutError is an OSError
        raise _refusal(server, error) from None
    finally:
        delivery.abandon()


def compose(mail: Mail, sender: str, at: int) -> EmailMessage:
    """Return the message, dated `at` (microseconds). Raises PackhouseError("bad_request") for a bad address."""
    if not is_address(mail.to):
        raise PackhouseError(
            "bad_request",
            f"{mail.to[:120]!r} is no address that mail can be sent to.",
            "Write it as name@example.org; a domain with other letters as xn--….",
        )
    made = EmailMessage(policy=SMTP)
    made["From"] = Address("Packhouse", addr_spec=sender)
    made["To"] = Address(one_line(mail.name), addr_spec=mail.to)
    made["Subject"] = one_line(mail.subject)
    made["Date"] = format_datetime(datetime.fromtimestamp(at // SECOND, UTC))
    made["Message-ID"] = f"<{mail.message_id or random_hex(16)}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
    # lines of any length and letter, whatever the servers on the way can do
    made.set_content(mail.text, cte="quoted-printable")
    if mail.html:
        made.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return made


def is_address(text: str) -> bool:
    """Tell whether mail can be sent to a text (RFC 5321 section 4.1.2, without quoted names and literal domains)."""
    return _ADDRESS.fullmatch(text) is not None and ".." not in text


class _Delivery:
    """One conversation with the server, in a thread; `abandon` ends it from outside."""

    def __init__(self, server: MailServer, message: EmailMessage, to: str) -> None:
        self._server = server
        self._message = message
        self._to = to
        self._client: smtplib.SMTP | None = None

    def run(self) -> None:
        server = self._server
        tls = None if server.tls == "none" else ssl.create_default_context(cafile=server.ca_bundle or None)
        client: smtplib.SMTP
        if server.tls == "tls":
            client = smtplib.SMTP_SSL(server.host, server.port, timeout=server.answer_timeout, context=tls)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=server.answer_timeout)
        self._client = client
        with client:
            if server.tls == "starttls":
                client.starttls(context=tls)
            if server.username:
                client.login(server.username, server.password)
            client.send_message(self._message, server.sender, [self._to])

    def abandon(self) -> None:
        """Wake the thread, should it still wait for the server."""
        found = self._client and self._client.sock
        if found:
            try:
                socket.socket.shutdown(found, socket.SHUT_RDWR)
            except OSError:
                return


def _refusal(server: MailServer, error: Exception) -> PackhouseError:
    where = f"The mail server {server.host}:{server.port}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return _answered(where, code, said, "Check the recipient's address.")
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _answered(where, error.smtp_code, error.smtp_error, "Check `smtp_username` and `smtp_password`.")
    if isinstance(error, smtplib.SMTPSenderRefused):
        return _answered(where, error.smtp_code, error.smtp_error, "Check `smtp_from`, and whether it wants a login.")
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(where, error.smtp_code, error.smtp_error, "Ask whoever runs the mail server.")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        what = "STARTTLS" if server.tls == "starttls" and "TLS" in str(error) else "a login"
        return PackhouseError(
            "delivery_failed", f"{where} does not offer {what}.", "Check `smtp_port`, `smtp_tls` and `smtp_username`."
        )
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return PackhouseError("delivery_failed", f"{where} cannot be used: {one_line(str(error))}", "Check `smtp_…`.")
    return _unreached(where, error)


def _unreached(where: str, error: Exception) -> PackhouseError:
    """Return the error for a connection that did not come about, or broke."""
    if isinstance(error, ssl.SSLError):
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "no TLS handshake"
        hint = "Check `smtp_port` and `smtp_tls`, and name its authority in `smtp_ca_bundle`."
        return PackhouseError("delivery_failed", f"{where} cannot be trusted: {reason}.", hint)
    if isinstance(error, FileNotFoundError | PermissionError):
        return PackhouseError("delivery_failed", "`smtp_ca_bundle` cannot be read.", "It is a PEM file.")
    # the library says of a late answer that the connection is closed, raised while it handles the time-out
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    why = "did not answer in time" if late else f"cannot be reached: {_reason(error)}"
    hint = "Try again later. If this stays, check `smtp_host` and `smtp_port`."
    return PackhouseError("try_later", f"{where} {why}.", hint, retry_after=RETRY_SECONDS)


def _answered(where: str, code: int, said: bytes | str, hint: str) -> PackhouseError:
    """Return the error for an answer of the server: 4yz is for now, 5yz for good (RFC 5321 section 4.2.1)."""
    text = one_line(said.decode(errors="replace") if isinstance(said, bytes) else said)
    message = f"{where} answered {code} {text}".rstrip(". ") + "."
    if 400 <= code < 500:
        return PackhouseError("try_later", message, "Try again later.", retry_after=RETRY_SECONDS)
    return PackhouseError("delivery_failed", message, hint)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "it closed the connection"
    return one_line(error.strerror) if isinstance(error, OSError) and error.strerror else type(error).__name__


def _unusable(settings: Settings, name: str, why: str, hint: str) -> PackhouseError:
    return PackhouseError("bad_request", f"The setting {settings.origin(name)}, cannot be used: {why}.", hint)
