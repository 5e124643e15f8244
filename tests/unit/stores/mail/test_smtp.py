"""Mails to a real server."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from support.certificates import Authority
from unit.accounts.house import StandingClock

from gateway.ports import Mail, MailRefused
from gateway.stores.mail import MailAddress, open_postman
from gateway.stores.mail import smtp as smtp_of_ours

MAIL = Mail(to="ada@example.com", subject="Hello", text="Hello,\n.\nAda\n")


@dataclass
class Server:
    """What a server got, and what it says."""

    port: int = 0
    answer: str = "250 OK"
    """To the content of a mail."""
    recipient: str = "250 OK"
    got: list[Envelope] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """What clients call themselves."""

    async def handle_EHLO(  # noqa: N802 - the server looks for this name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.names.append(hostname)
        return responses

    async def handle_RCPT(  # noqa: N802 - the server looks for this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.got.append(envelope)
        return self.answer


@dataclass
class Servers:
    """Starts servers."""

    authority: Authority
    stack: AsyncExitStack

    async def start(self, *, starttls: bool = False, tls: bool = False, login: bool = False) -> Server:
        server, context = Server(), None
        if starttls or tls:
            pair = self.authority.issue("server", "localhost")
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(pair.certificate, pair.key)

        def protocol() -> SMTP:
            with warnings.catch_warnings():
                # It does not count TLS from the start as TLS.
                warnings.simplefilter("ignore")
                return SMTP(
                    server,
                    hostname="localhost",
                    enable_SMTPUTF8=False,
                    tls_context=context if starttls else None,
                    auth_required=login,
                    authenticator=_authenticate if login else None,
                    auth_require_tls=not tls,
                    loop=asyncio.get_running_loop(),
                )

        listening = await asyncio.get_running_loop().create_server(
            protocol, "localhost", 0, ssl=context if tls else None
        )
        self.stack.callback(listening.close)
        server.port = listening.sockets[0].getsockname()[1]
        return server


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"gw", b"p@ss")
    return AuthResult(success=good, handled=False)


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(Authority(tmp_path), stack)


async def send(url: str, mail: Mail = MAIL) -> None:
    postman = open_postman(
        MailAddress.parse(url), outbox=Path("/nowhere"), host="gateway.example", clock=StandingClock()
    )
    await postman.send(mail)


async def refusal(url: str, mail: Mail = MAIL) -> MailRefused:
    with pytest.raises(MailRefused) as refused:
        await send(url, mail)
    assert "ada" not in str(refused.value)
    assert "p%40ss" not in str(refused.value)
    return refused.value


async def test_a_server_on_this_machine_takes_mails_without_tls(servers: Servers) -> None:
    server = await servers.start()
    await send(f"smtp://localhost:{server.port}")
    (envelope,) = server.got
    assert (envelope.mail_from, envelope.rcpt_tos) == ("gateway@gateway.example", ["ada@example.com"])
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=default)
    assert message["Subject"] == "Hello"
    assert str(message.get_payload()).replace("\r\n", "\n") == MAIL.text
    assert server.names == ["gateway.example"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_is_verified_and_told_who_sends(servers: Servers, scheme: str) -> None:
    server = await servers.start(tls=scheme == "smtps", starttls=scheme == "smtp", login=True)
    url = f"{scheme}://gw:p%40ss@localhost:{server.port}?from=no-reply@example.com"
    await send(f"{url}&ca={servers.authority.file}")
    assert [envelope.mail_from for envelope in server.got] == ["no-reply@example.com"]
    # The system's authorities have never heard of it.
    refused = await refusal(url)
    assert "certificate cannot be verified" in str(refused)
    assert not refused.final
    assert len(server.got) == 1


async def test_a_wrong_password_is_said_to_be_one(servers: Servers) -> None:
    server = await servers.start(starttls=True, login=True)
    url = f"smtp://gw:wrong@localhost:{server.port}?ca={servers.authority.file}"
    refused = await refusal(url)
    assert "name or the password is not accepted" in str(refused)
    assert not refused.final
    assert server.got == []


async def test_without_starttls_no_password_and_no_mail_is_sent(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await servers.start()
    monkeypatch.setattr("gateway.stores.mail.address._is_this_machine", lambda _: False)
    refused = await refusal(f"smtp://localhost:{server.port}")
    assert "offers no STARTTLS" in str(refused)
    assert server.got == []
    await send(f"smtp://localhost:{server.port}?starttls=never")
    assert len(server.got) == 1


@pytest.mark.parametrize(
    ("answer", "recipient", "final"),
    [
        ("250 OK", "550 no such user ada@example.com", True),
        ("250 OK", "450 greylisted, ada@example.com", False),
        ("554 ada is spam", "250 OK", True),
        ("451 try later, ada", "250 OK", False),
    ],
)
async def test_a_refused_mail_is_tried_again_unless_the_server_says_never(
    servers: Servers, answer: str, recipient: str, final: bool
) -> None:
    server = await servers.start()
    server.answer, server.recipient = answer, recipient
    assert (await refusal(f"smtp://localhost:{server.port}")).final is final


async def test_an_address_that_the_server_cannot_write_is_never_sent_to(servers: Servers) -> None:
    server = await servers.start()
    refused = await refusal(
        f"smtp://localhost:{server.port}", Mail(to="zoë@example.com", subject="x", text="x\n")
    )
    assert refused.final
    assert server.got == []


async def test_a_sender_in_any_script_is_written_as_the_network_wants_it(servers: Servers) -> None:
    server = await servers.start()
    await send(f"smtp://localhost:{server.port}?from=no-reply@b%C3%BCcher.example")
    assert [envelope.mail_from for envelope in server.got] == ["no-reply@xn--bcher-kva.example"]
    assert server.names == ["xn--bcher-kva.example"]


async def test_a_server_that_is_away_is_tried_again(unused_tcp_port: int) -> None:
    refused = await refusal(f"smtp://localhost:{unused_tcp_port}")
    assert f"smtp://localhost:{unused_tcp_port}" in str(refused)
    assert not refused.final


async def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_of_ours, "SECONDS", 0.2)
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    silent = await asyncio.start_server(say_nothing, "localhost", 0)
    async with silent:
        refused = await refusal(f"smtp://localhost:{silent.sockets[0].getsockname()[1]}")
        await left.wait()
    assert "no answer within" in str(refused)
