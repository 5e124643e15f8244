"""Mails as messages."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.accounts import fault_in_email
from gateway.ports import Mail, MailRefused
from gateway.stores.mail.message import message_of

AT = 1_800_000_000.0
LINK = "https://gateway.example/gateway/v1/auth/email/verify#token=" + "A" * 43


def sent(*, to: str = "ada@example.com", subject: str = "Hello", text: str = f"Hello,\n\n{LINK}\n") -> bytes:
    return message_of(Mail(to=to, subject=subject, text=text), sender="gw@example.com", at=AT).as_bytes()


def text_in(message: EmailMessage) -> str:
    """Return what is written in a message, whose lines end as on the wire (RFC 5322 section 2.1)."""
    return str(message.get_content()).replace("\r\n", "\n")


def read(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_message_has_what_a_mail_needs() -> None:
    message = read(sent())
    assert (message["From"], message["To"], message["Subject"]) == (
        "gw@example.com",
        "ada@example.com",
        "Hello",
    )
    assert message["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    assert text_in(message) == f"Hello,\n\n{LINK}\n"


def test_a_link_stays_in_one_piece_for_whoever_looks_at_the_file() -> None:
    assert LINK.encode() in sent()


@pytest.mark.parametrize("text", ["Grüße, Zoë\n", f"für Ada: {LINK}\n", "." * 2000 + "\n", ".\n..\nx\n"])
def test_every_text_arrives_as_it_was_written(text: str) -> None:
    assert text_in(read(sent(text=text))) == text


@pytest.mark.parametrize(
    ("to", "written"),
    [("ada@exämple.com", "ada@xn--exmple-cua.com"), ("o'hara+x@example.com", "o'hara+x@example.com"),
     ("a b@example.com", '"a b"@example.com')],
)  # fmt: skip
def test_addresses_are_written_as_the_network_wants_them(to: str, written: str) -> None:
    assert read(sent(to=to))["To"] == written


PIECES = [*"aZ0.!#$%&'*+-/=?^_`{}~éß中İ🙂", "=?utf-8?q?", "?="]


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=40).map("".join),
    st.sampled_from(["example.com", "exämple.com", "x.y"]),
)
@example("=?utf-8?q?=40x?=y", "example.com")
@example("=?utf-8?q?ada?=", "example.com")
def test_a_mail_goes_to_the_address_that_somebody_has_registered_with_or_nowhere(
    local: str, domain: str
) -> None:
    """Strangers choose addresses: none is written as another, and none ends in anything but a refusal."""
    if fault_in_email(f"{local}@{domain}") is not None:
        return
    try:
        message = read(sent(to=f"{local}@{domain}"))
    except MailRefused:
        return
    (address,) = message["To"].addresses
    written = address.username.encode("ascii", "surrogateescape").decode()
    assert (written, address.domain) == (local, domain.encode("idna").decode("ascii"))


def test_an_address_that_ascii_cannot_write_stays_as_it_is() -> None:
    assert "zoë@example.com".encode() in sent(to="zoë@example.com")


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("ada@example.com\r\nBcc: eve@example.com", "Hello"),
        ("ada@example.com\nBcc: eve@example.com", "Hello"),
        ("ada\r\nBcc: eve@evil.example\r\nX: @example.com", "Hello"),
        ("ada@example.com", "Hello\r\nBcc: eve@example.com"),
        ("ada@exämple.com\r\nBcc: eve", "Hello"),
        ("ada@" + "ä" * 300 + ".com", "Hello"),
        ("=?utf-8?q?ada?=@example.com", "Hello"),
        ("=?utf-8?q?=40x?=y@example.com", "Hello"),
    ],
)
def test_nothing_gets_into_the_header_but_an_address_and_a_subject(to: str, subject: str) -> None:
    with pytest.raises(MailRefused) as refused:
        sent(to=to, subject=subject)
    assert refused.value.final
    assert "ada" not in str(refused.value)


def test_several_addresses_are_not_one() -> None:
    assert read(sent(to="ada@example.com,eve@evil.example"))["To"].addresses[0].domain == "evil.example"
