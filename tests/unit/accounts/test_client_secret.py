"""Secrets of OAuth clients as text."""

from hashlib import sha256
from urllib.parse import quote_plus

import pytest

from gateway.accounts import issue_client_secret
from gateway.accounts.client_secret import client_secret_hash


def test_a_secret_is_shown_and_its_hash_kept() -> None:
    issued = issue_client_secret()
    assert issued.hash == sha256(issued.text.encode()).digest() == client_secret_hash(issued.text)
    assert issued.text not in repr(issued)
    assert issue_client_secret().text != issued.text


def test_no_client_can_escape_it_in_a_way_of_its_own() -> None:
    text = issue_client_secret().text
    assert quote_plus(text) == text
    assert text.startswith("gws_")


def test_what_was_mistyped_is_no_secret() -> None:
    text = issue_client_secret().text
    other = "A" if text[10] != "A" else "B"
    assert client_secret_hash(text[:10] + other + text[11:]) is None


@pytest.mark.parametrize("text", ["", "gws_", "gws_x_00000000", "secret", "gwk_" + "a" * 43, "ä" * 56])
def test_what_has_another_form_is_no_secret(text: str) -> None:
    assert client_secret_hash(text) is None


def test_a_secret_ends_where_it_ends() -> None:
    text = issue_client_secret().text
    assert client_secret_hash(text + "\n") is None
    assert client_secret_hash(" " + text) is None
