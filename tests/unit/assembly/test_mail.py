"""From the setting to mails."""

from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from gateway.accounts import Errand, ErrandKind
from gateway.assembly.mail import open_mail
from gateway.assembly.stores import StartRefused, open_stores
from gateway.settings import load_settings
from gateway.stores.memory import MemoryCounters

NOTICE = Errand(kind=ErrandKind.PASSWORD_CHANGED, email="ada@example.com", username="ada")


async def test_without_a_setting_mails_are_files_beside_the_data(tmp_path: Path) -> None:
    settings = load_settings(
        {"GATEWAY_DATA_DIR": str(tmp_path / "data"), "GATEWAY_PUBLIC_URL": "https://id.example.com/x/"}
    )
    async with open_stores(settings) as stores:
        mail = open_mail(stores, MemoryCounters(stores.clock))
        await stores.mailing.ask(NOTICE)
        assert await mail.round.step()
    (file,) = (tmp_path / "data" / "outbox").iterdir()
    message = message_from_bytes(file.read_bytes(), policy=default)
    assert message["From"] == "gateway@id.example.com"
    assert mail.links.base == "https://id.example.com/x"


@pytest.mark.parametrize(
    "url", ["smtp:", "mail.example.com", "smtp://n:hunter2@h?starttls=never", "smtps://h?ca=/none"]
)
async def test_a_setting_that_names_no_way_stops_the_start(tmp_path: Path, url: str) -> None:
    settings = load_settings({"GATEWAY_DATA_DIR": str(tmp_path), "GATEWAY_SMTP_URL": url})
    async with open_stores(settings) as stores:
        with pytest.raises(StartRefused) as refused:
            open_mail(stores, MemoryCounters(stores.clock))
    assert str(refused.value).startswith("GATEWAY_SMTP_URL: ")
    assert "hunter2" not in str(refused.value)
