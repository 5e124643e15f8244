import re
import string
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from

from gateway.identity import issue_api_key
from gateway.identity.key_text import parse_api_key

ISSUED = issue_api_key()
TEXT = ISSUED.text.encode()


def test_a_new_key_has_the_form_and_the_hash_that_a_store_keeps() -> None:
    assert re.fullmatch(r"gwk_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}_[0-9a-f]{8}", ISSUED.text)
    assert ISSUED.id == "key_" + ISSUED.text[4:20]
    assert ISSUED.secret_hash == sha256(TEXT).digest()


def test_a_new_key_is_read_again() -> None:
    presented = parse_api_key(TEXT)
    assert presented is not None
    assert (presented.id, presented.secret_hash) == (ISSUED.id, ISSUED.secret_hash)


def test_no_two_keys_are_alike() -> None:
    keys = [issue_api_key() for _ in range(200)]
    assert len({key.id for key in keys}) == len({key.secret_hash for key in keys}) == 200


def test_a_key_shows_neither_its_text_nor_its_hash() -> None:
    shown = repr(ISSUED) + repr(parse_api_key(TEXT))
    assert ISSUED.id in shown
    assert ISSUED.text[21:64] not in shown
    assert repr(ISSUED.secret_hash) not in shown


@given(integers(0, len(TEXT) - 1), sampled_from(string.ascii_letters + string.digits + "_- "))
def test_every_typing_error_of_one_letter_is_noticed(place: int, letter: str) -> None:
    changed = TEXT[:place] + letter.encode() + TEXT[place + 1 :]
    assert (parse_api_key(changed) is None) == (changed != TEXT)


@given(integers(0, len(TEXT) - 2))
def test_swapped_letters_are_noticed(place: int) -> None:
    swapped = TEXT[:place] + TEXT[place + 1 : place + 2] + TEXT[place : place + 1] + TEXT[place + 2 :]
    assert (parse_api_key(swapped) is None) == (swapped != TEXT)


@given(binary(max_size=100))
def test_noise_is_no_key(noise: bytes) -> None:
    assert parse_api_key(noise) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" " + TEXT,
        TEXT + b"\n",
        TEXT + b"=",
        TEXT.upper(),
        TEXT[:-1],
        TEXT + b"0",
        TEXT + b", " + TEXT,
        b"\xff" * 73,
        "gwk_é".encode(),
    ],
)
def test_nothing_around_a_key_is_tolerated(value: bytes) -> None:
    assert parse_api_key(value) is None
