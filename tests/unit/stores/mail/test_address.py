"""`GATEWAY_SMTP_URL`."""

from pathlib import Path

import pytest

from gateway.stores.mail import MailAddress, MailUnusable


def test_a_server_with_a_name_and_a_password() -> None:
    address = MailAddress.parse(
        "smtp://gw%40x:p%40ss%3A@mail.example.com?from=no-reply@example.com&ca=/etc/ca.pem"
    )
    assert address == MailAddress(
        scheme="smtp",
        host="mail.example.com",
        port=587,
        username="gw@x",
        password="p@ss:",
        sender="no-reply@example.com",
        ca=Path("/etc/ca.pem"),
        starttls=True,
    )
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize(
    ("url", "port", "starttls"),
    [
        ("smtp://mail.example.com", 587, True),
        ("smtp://mail.example.com:25/", 25, True),
        ("smtp://mail.example.com?starttls=never", 587, False),
        ("smtp://localhost:1025", 1025, None),
        ("smtp://127.0.0.1:1025", 1025, None),
        ("smtp://[::1]:1025", 1025, None),
        ("smtps://mail.example.com", 465, True),
    ],
)
def test_tls_is_begun_unless_the_server_is_on_this_machine(
    url: str, port: int, starttls: bool | None
) -> None:
    address = MailAddress.parse(url)
    assert (address.port, address.starttls) == (port, starttls)


def test_an_outbox_has_at_most_a_sender() -> None:
    assert MailAddress.parse("outbox:") == MailAddress(scheme="outbox")
    assert MailAddress.parse("outbox:?from=x@example.com").sender == "x@example.com"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "names no way"),
        ("mail.example.com", "names no way"),
        ("http://mail.example.com", "names no way"),
        ("smtp:", "names no server"),
        ("smtp://", "names no server"),
        ("smtp://mail.example.com/box", "names no server"),
        ("smtp://mail..example.com", "names no server"),
        (f"smtp://{'m' * 64}.example.com", "names no server"),
        ("smtp://mail.example.com:x", "cannot be read"),
        ("smtp://mäil.example.com", "names no way"),
        ("smtp://name@mail.example.com", "come together"),
        ("smtp://:secret@mail.example.com", "come together"),
        ("smtp://n:secret@mail.example.com?starttls=never", "in the clear"),
        ("smtp://mail.example.com?starttls=required", "without asking"),
        ("smtp://mail.example.com?form=x", "did you mean 'from'?"),
        ("smtp://mail.example.com?xyz=x", "there are: ca, from, starttls"),
        ("smtps://mail.example.com?starttls=never", "does not have"),
        ("smtp://mail.example.com?from=", "no value, or two"),
        ("smtp://mail.example.com?from=a@b&from=a@b", "no value, or two"),
        ("outbox:/var/mail", "a directory of its own"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str, said: str) -> None:
    with pytest.raises(MailUnusable) as unusable:
        MailAddress.parse(url)
    assert said in str(unusable.value)
    assert "secret" not in str(unusable.value)
