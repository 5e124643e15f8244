"""Mails from outside: a server that comes late, a gateway that is killed, and the pages that links open."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flows_identity import AUTH, POLICIES, UPSTREAMS, register
from support.gateway import Gateway, eventually, running_gateway


class Box:
    """Keeps what a server is sent."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail over."""
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as lent:
        found: int = lent.getsockname()[1]
        return found


@pytest.fixture
def gateway(service: str, tmp_path: Path, port: int) -> Iterator[Gateway]:
    """A gateway whose mail server does not run yet."""
    with running_gateway(
        tmp_path / "gateway",
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={
            "TEST_SERVICE": service,
            "GATEWAY_PUBLIC_URL": "https://id.example.com/base",
            "GATEWAY_SMTP_URL": f"smtp://127.0.0.1:{port}?from=no-reply@example.com",
        },
    ) as running:
        yield running


@pytest.mark.slow
def test_a_mail_outlives_a_server_that_is_away_and_a_gateway_that_is_killed(
    gateway: Gateway, port: int
) -> None:
    assert register(gateway, "ada").status == 202
    eventually(lambda: "mail" in gateway.readyz().body.decode(), what="readiness tells of it")
    assert gateway.readyz().status == 200
    (told, *_) = gateway.events("mail.not_sent")
    assert "ada" not in str(told)
    gateway.kill()
    box = Box()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        gateway.start()
        eventually(lambda: box.envelopes, within=30.0, what="the mail arrives")
    finally:
        server.stop()
    (envelope,) = box.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@example.com", ["ada@example.com"])
    assert isinstance(envelope.content, bytes)
    assert b"https://id.example.com/base/gateway/v1/auth/email/verify#token=" in envelope.content


@pytest.mark.parametrize("page", ["email/verify", "password/reset"])
def test_the_page_that_a_link_opens_changes_nothing(gateway: Gateway, page: str) -> None:
    reply = gateway.request("GET", AUTH + page)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert reply.headers["Cache-Control"] == "no-store"
    assert b"<form hidden" in reply.body
    head = gateway.request("HEAD", AUTH + page)
    assert (head.status, head.body) == (200, b"")


def test_a_setting_that_names_no_way_to_send_mail_stops_the_start(gateway: Gateway) -> None:
    assert gateway.stop() == 0
    gateway.environ["GATEWAY_SMTP_URL"] = "smtp://gw:hunter2@mail.example.com?starttls=never"
    done = gateway.run("serve")
    assert done.returncode == 2
    assert "GATEWAY_SMTP_URL: the password would be sent in the clear" in done.stderr
    assert "hunter2" not in done.stderr
