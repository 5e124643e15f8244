"""Mails as files."""

import asyncio
import stat
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from unit.accounts.house import StandingClock

from gateway.ports import Mail, MailRefused
from gateway.stores.mail import MailAddress, MailUnusable, open_postman

MAIL = Mail(to="ada@example.com", subject="Hello", text="Hello,\n\nAda\n")


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*"))


async def test_each_mail_is_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "outbox"
    postman = open_postman(
        MailAddress.parse("outbox:"), outbox=folder, host="gateway.example", clock=StandingClock()
    )
    await asyncio.gather(*(postman.send(MAIL) for _ in range(5)))
    written = files(folder)
    assert len(written) == 5
    for file in written:
        assert file.name.startswith("20270115T080000.000000Z-")
        assert file.suffix == ".eml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        message = message_from_bytes(file.read_bytes(), policy=default)
        assert (message["To"], message["From"]) == ("ada@example.com", "gateway@gateway.example")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_directory_that_cannot_be_written_to_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file")
    postman = open_postman(
        MailAddress.parse("outbox:"), outbox=tmp_path / "outbox", host="x.example", clock=StandingClock()
    )
    with pytest.raises(MailRefused) as refused:
        await postman.send(MAIL)
    assert "outbox" in str(refused.value)
    assert not refused.value.final


@pytest.mark.parametrize(
    "sender", ["nobody", "a%20b@example.com", "@example.com", "a@b%0Ac", "z%C3%B6e@example.com", "a@b..c"]
)
def test_a_sender_is_an_address(tmp_path: Path, sender: str) -> None:
    with pytest.raises(MailUnusable):
        open_postman(
            MailAddress.parse(f"outbox:?from={sender}"), outbox=tmp_path, host="x", clock=StandingClock()
        )


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    address = MailAddress.parse(f"smtps://mail.example.com?ca={tmp_path / 'none.pem'}")
    with pytest.raises(MailUnusable, match=r"none\.pem"):
        open_postman(address, outbox=tmp_path, host="x", clock=StandingClock())
