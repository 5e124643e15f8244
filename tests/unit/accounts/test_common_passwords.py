"""Which passwords are too common, and which are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts.common_passwords import is_common
from gateway.accounts.password_rules import fault_in_password


@pytest.mark.parametrize(
    "password",
    [
        "password", "PassWord", "ｐａｓｓｗｏｒｄ", "Password1234", "!!password2024", "iloveyou", "qwertyqwerty",
        "123456789012", "987654321098", "abcdefghijklm", "aaaaaaaaaaaa", "abcabcabcabc", "123412341234",
        "ada", "Ada.Lovelace", "ada@example.com", "adalovelace1815", "example.com123", "Example12345",
    ],
)  # fmt: skip
def test_these_are_tried_first(password: str) -> None:
    assert is_common(password, "AdaLovelace", "ada.lovelace@example.com") or is_common(
        password, "ada", "ada@example.com"
    )


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery", "Tr0ub4dor&3 is not short", "dragon rides a pale zebra", "xkcd-936-staple",
        "x7#kQ9!vLm2$", "пароль из четырёх слов", "日本語の長い合言葉です", "line\nbreak\npassword\n",
    ],
)  # fmt: skip
def test_these_are_not(password: str) -> None:
    assert not is_common(password, "ada", "ada@example.com")


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_every_text_has_an_answer_and_case_makes_no_difference(password: str, name: str, email: str) -> None:
    assert is_common(password, name, email) == is_common(password.casefold(), name.upper(), email)


def test_the_rules_are_told_in_words() -> None:
    assert fault_in_password("Password1234", min_length=12, rejects_common=False) is None
    common = fault_in_password("Password1234", min_length=12, rejects_common=True)
    assert common is not None
    assert "too common" in common
    assert (
        fault_in_password("short", min_length=12, rejects_common=True) == "must have at least 12 characters"
    )
    assert fault_in_password("x" * 1025, min_length=1, rejects_common=False) is not None
    assert fault_in_password("", min_length=0, rejects_common=False) is not None
