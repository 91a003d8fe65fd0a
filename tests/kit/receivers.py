"""What notifications are sent to: a real mail server and a real HTTP server in this process, on loopback."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope


class Mailbox:
    """Keeps the mail that arrives; answers each message as told, the last answer for ever."""

    def __init__(self, answers: Sequence[str] = ("250 taken",)) -> None:
        self.mails: list[EmailMessage] = []
        self.refused = 0
        self.port = 0
        self.answers = list(answers)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        """Take or refuse one message."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer.startswith("250"):
            self.refused += 1
            return answer
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        assert [mail["To"].addresses[0].addr_spec] == envelope.rcpt_tos
        self.mails.append(mail)
        return answer

    def to(self) -> list[str]:
        """Return the addresses that got something, in order."""
        return sorted(mail["To"].addresses[0].addr_spec for mail in self.mails)


class Receiver:
    """Keeps what is posted to it; answers each request with a status, the last one for ever."""

    def __init__(self, secret: str, statuses: Sequence[int] = (200,)) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.deliveries: list[str] = []
        self.port = 0
        self._secret, self._statuses = secret, list(statuses)

    @property
    def url(self) -> str:
        """The address that leads here."""
        return f"http://127.0.0.1:{self.port}/hooks/very-secret"

    async def take(self, request: web.Request) -> web.Response:
        """Verify and keep one request."""
        body = await request.read()
        said = dict(pair.split("=", 1) for pair in request.headers["X-Packhouse-Signature"].split(","))
        wanted = hmac.new(self._secret.encode(), said["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(wanted, said["v1"])
        self.bodies.append(json.loads(body))
        self.deliveries.append(request.headers["X-Packhouse-Delivery"])
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return web.Response(status=status)


@asynccontextmanager
async def mail_server(mailbox: Mailbox) -> AsyncIterator[Mailbox]:
    """Run a mail server that fills a mailbox."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="mail.test"), "127.0.0.1", mailbox.port)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


@asynccontextmanager
async def http_server(receiver: Receiver) -> AsyncIterator[Receiver]:
    """Run the receiver of a webhook."""
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
