"""Mail against a real server in this process: delivered whole over TLS, and every fault says what to do next."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from hypothesis import example, given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.core.mail import Mail, MailServer, compose, mail_server, send
from packhouse.core.settings import load
from tests.kit.tls import Authority

MAIL = Mail(to="bob@example.org", name="Bob", subject="New: CVE-2024-1", text="Grüße\n.\n" + "x" * 2000 + "\nend\n")
PASSWORD = "correct horse"


class Mailbox:
    """A handler that keeps what arrives, or answers something else."""

    def __init__(self, *, rcpt: str = "", data: str = "", wait: float = 0.0) -> None:
        self.got: list[tuple[Envelope, bool]] = []
        self._rcpt, self._data, self._wait = rcpt, data, wait

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if self._rcpt:
            return self._rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        await asyncio.sleep(self._wait)
        if not self._data:
            self.got.append((envelope, session.ssl is not None))
        return self._data or "250 taken"

    def message(self) -> EmailMessage:
        """The only message that came."""
        ((envelope, _),) = self.got
        assert isinstance(envelope.content, bytes)
        found = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found


def admits(server: Any, session: Any, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"packhouse", PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@asynccontextmanager
async def running(mailbox: Mailbox, tls: ssl.SSLContext | None = None, **more: Any) -> AsyncIterator[int]:
    """Run a mail server, with `tls` one that speaks it from the first byte; gives its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="mail.test", **more), "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def silent(greeting: bytes = b"", every: float = 0.0) -> AsyncIterator[int]:
    """Run something that takes connections and says nothing, or drips the same bytes; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 here\r\n" if greeting else b"")
            while every:
                writer.write(greeting)
                await asyncio.sleep(every)
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def to(port: int, **more: Any) -> MailServer:
    plain = {"host": "127.0.0.1", "port": port, "sender": "packhouse@example.org", "tls": "none"}
    return MailServer(**{**plain, "answer_timeout": 30.0, **more})


async def refused(server: MailServer, mail: Mail = MAIL) -> PackhouseError:
    with pytest.raises(PackhouseError) as caught:
        await send(server, mail)
    assert caught.value.hint and PASSWORD not in str(caught.value) and PASSWORD not in repr(server)
    assert (caught.value.code == "try_later") == bool(caught.value.retry_after)
    return caught.value


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_message_arrives_whole() -> None:
    async with running(mailbox := Mailbox()) as port:
        await send(to(port), Mail(to=MAIL.to, name="Bób, the «boss»", subject="Änderung", text=MAIL.text, html="<p>ü"))
    got = mailbox.message()
    assert mailbox.got[0][0].mail_from == "packhouse@example.org" and mailbox.got[0][0].rcpt_tos == ["bob@example.org"]
    assert got["Subject"] == "Änderung" and got["To"].addresses[0].display_name == "Bób, the «boss»"
    assert got["Auto-Submitted"] == "auto-generated" and got["Message-ID"] and got["Date"].datetime
    body, html = got.get_body(("plain",)), got.get_body(("html",))
    assert body is not None and body.get_content().replace("\r\n", "\n") == MAIL.text
    assert html is not None and html.get_content().strip() == "<p>ü"


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_it_logs_in_over_tls_only(mode: str, authority: Authority) -> None:
    context = authority.server()
    login: dict[str, Any] = {"authenticator": admits, "auth_required": True, "auth_require_tls": mode == "starttls"}
    how: dict[str, Any] = {"tls_context": context, "require_starttls": True} if mode == "starttls" else {"tls": context}
    async with running(mailbox := Mailbox(), **login, **how) as port:
        known = to(port, tls=mode, ca_bundle=str(authority.ca), username="packhouse", password=PASSWORD)
        await send(known, MAIL)
        assert mailbox.got[0][1] or mode == "tls"
        wrong = to(port, tls=mode, ca_bundle=str(authority.ca), username="packhouse", password="guess")
        error = await refused(wrong)
        assert error.code == "delivery_failed" and "535" in error.message and "`smtp_password`" in error.hint
        stranger = await refused(to(port, tls=mode, username="packhouse", password=PASSWORD))
        assert stranger.code == "delivery_failed" and "`smtp_ca_bundle`" in stranger.hint
    assert len(mailbox.got) == 1


async def test_there_is_no_fallback_to_plain_text() -> None:
    async with running(mailbox := Mailbox()) as port:
        error = await refused(to(port, tls="starttls", username="packhouse", password=PASSWORD))
        assert error.code == "delivery_failed" and "STARTTLS" in error.message
        assert (await refused(to(port, tls="tls"))).code == "delivery_failed"
    assert mailbox.got == []


@pytest.mark.parametrize(
    ("mailbox", "code", "said"),
    [
        (Mailbox(rcpt="451 4.7.1 Greylisted, come again"), "try_later", "451 4.7.1 Greylisted, come again"),
        (Mailbox(rcpt="550 5.1.1 No such user"), "delivery_failed", "550 5.1.1 No such user"),
        (Mailbox(data="452 4.3.1 Disk full"), "try_later", "452 4.3.1 Disk full"),
        (Mailbox(data="554 5.6.0 Smells of spam"), "delivery_failed", "554 5.6.0 Smells of spam"),
    ],
)
async def test_what_the_server_says_is_for_now_or_for_good(mailbox: Mailbox, code: str, said: str) -> None:
    async with running(mailbox) as port:
        error = await refused(to(port))
    assert error.code == code and said in error.message


async def test_a_server_that_is_away() -> None:
    async with silent() as port:
        pass
    error = await refused(to(port))
    assert error.code == "try_later" and "Connection refused" in error.message


async def test_a_server_that_hangs_or_drips_is_left_in_time() -> None:
    for greeting, every in ((b"", 0.0), (b"250-more\r\n", 0.05)):
        async with silent(greeting, every) as port, asyncio.timeout(60):
            error = await refused(to(port, answer_timeout=0.5, deadline=1.0))
            assert error.code == "try_later" and "in time" in error.message


async def test_a_slow_server_is_waited_for() -> None:
    async with running(mailbox := Mailbox(wait=0.5)) as port:
        await send(to(port), MAIL)
    assert len(mailbox.got) == 1


_NASTY = st.text(st.sampled_from('a\r\n:=?q_0A \x00\u2028,<>@"\\é\x85') | st.characters(), max_size=60)


@given(_NASTY, _NASTY)
@example("x\r\nBcc: eve@example.org", "y\nBcc: eve@example.org\n\nbody")
@example("=?utf-8?q?x=0D=0ABcc=3A_eve=40example.org?=", "=?utf-8?b?eApCY2M6IGV2ZUBleGFtcGxlLm9yZw==?=")
@example("=?=?utf-8?q?=0A?=", "é" * 300)
def test_no_name_or_subject_becomes_another_header(name: str, subject: str) -> None:
    made = compose(Mail(to=MAIL.to, name=name, subject=subject, text="t"), "packhouse@example.org", 0).as_bytes()
    head, _, _ = made.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert sorted(names) == sorted(
        [
            b"from",
            b"to",
            b"subject",
            b"date",
            b"message-id",
            b"auto-submitted",
            b"mime-version",
            b"content-type",
            b"content-transfer-encoding",
        ]
    )
    assert b"\n" not in head.replace(b"\r\n", b"") and b"\r" not in head.replace(b"\r\n", b"")
    back = email.message_from_bytes(made, policy=email.policy.default)
    assert [one.addr_spec for one in back["To"].addresses] == [MAIL.to]


@pytest.mark.parametrize(
    "address",
    ["", "bob", "a@b\r\nRCPT TO:<eve@example.org>", "a b@c", "<a@b>", "a@b, c@d", "ä@b.org", "a@b..c", "a@-b", "a@b\n"],
)
async def test_what_is_no_address_is_refused_before_anything_is_dialled(address: str) -> None:
    error = await refused(to(9), Mail(to=address, subject="s", text="t"))
    assert error.code == "bad_request"


def test_the_settings_name_the_server(tmp_path: Path) -> None:
    assert mail_server(load({}, data_dir=tmp_path)) is None
    environ = {"PACKHOUSE_SMTP_HOST": "mail.lan", "PACKHOUSE_SMTP_FROM": "packhouse@example.org"}
    found = mail_server(load(environ, data_dir=tmp_path))
    assert found is not None and (found.host, found.port, found.tls) == ("mail.lan", 587, "starttls")


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"PACKHOUSE_SMTP_FROM": "nobody"}, "smtp_from"),
        ({}, "smtp_from"),
        (
            {"PACKHOUSE_SMTP_FROM": "a@b.org", "PACKHOUSE_SMTP_USERNAME": "u", "PACKHOUSE_SMTP_TLS": "none"},
            "smtp_tls",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(environ: dict[str, str], name: str, tmp_path: Path) -> None:
    with pytest.raises(PackhouseError) as caught:
        mail_server(load({"PACKHOUSE_SMTP_HOST": "mail.lan", **environ}, data_dir=tmp_path))
    assert f"`{name}`" in caught.value.message and caught.value.hint


def test_the_password_is_secret(tmp_path: Path) -> None:
    from packhouse.core.settings import SECRET

    assert "smtp_password" in SECRET
