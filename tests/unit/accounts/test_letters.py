"""What mails say."""

from collections.abc import Callable

import pytest

from gateway.accounts import Letters
from gateway.ports import Mail

LETTERS = Letters("https://api.example.com/x")
LINK = "https://api.example.com/x/gateway/v1/auth/password/reset#token=" + "A" * 43
WRITTEN: list[Callable[[str], Mail]] = [
    lambda name: LETTERS.confirm("a@example.com", name, LINK),
    lambda name: LETTERS.waiting("a@example.com", name, LINK),
    lambda name: LETTERS.reset("a@example.com", name, LINK),
    lambda name: LETTERS.known("a@example.com", name),
    lambda name: LETTERS.name_taken("a@example.com", name),
    lambda name: LETTERS.password_changed("a@example.com", name),
    lambda name: LETTERS.factor_begun("a@example.com", name),
    lambda name: LETTERS.factor_removed("a@example.com", name),
]


@pytest.mark.parametrize("write", WRITTEN)
def test_a_letter_says_who_writes_and_to_which_account(write: Callable[[str], Mail]) -> None:
    mail = write("ada-93_é")
    assert "api.example.com" in mail.subject
    assert "ada-93_é" in mail.text
    assert mail.text.endswith("api.example.com\n")
    assert all(len(line) <= 76 or line == LINK for line in mail.text.splitlines())
    assert "ada" not in mail.subject


@pytest.mark.parametrize("write", WRITTEN[:3])
def test_a_link_stands_on_a_line_of_its_own(write: Callable[[str], Mail]) -> None:
    assert LINK in write("ada").text.splitlines()


@pytest.mark.parametrize("write", WRITTEN)
@pytest.mark.parametrize("name", ["evil.example", "https://evil.example/", "evil.example/win", "a:b", "a<b>"])
def test_a_name_that_could_become_a_link_is_left_out(write: Callable[[str], Mail], name: str) -> None:
    assert name not in write(name).text
    assert "  " not in write(name).text


@pytest.mark.parametrize("write", WRITTEN)
def test_a_letter_is_not_shown_by_accident(write: Callable[[str], Mail]) -> None:
    assert "token" not in repr(write("ada"))
    assert "a@example" not in repr(write("ada"))
