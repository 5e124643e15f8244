"""Recovery codes: how they are shown, typed and kept."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts.recovery_codes import hash_of_code, hashes_of, new_codes


def test_ten_codes_are_made_and_no_two_are_alike() -> None:
    codes = {code for _ in range(20) for code in new_codes()}
    assert len(codes) == 200
    for code in codes:
        assert re.fullmatch(r"([0-9a-hjkmnp-tv-z]{6}-){3}[0-9a-hjkmnp-tv-z]{6}", code)


def test_nobody_finds_one_by_trying() -> None:
    used = {character for _ in range(50) for code in new_codes() for character in code if character != "-"}
    assert len(used) == 32
    assert 24 * math.log2(len(used)) >= 112


def test_what_is_kept_is_what_is_found_again_however_it_is_typed() -> None:
    code = "01abcd-efghjk-mnpqrs-tvwxyz"
    (kept,) = hashes_of([code])
    assert len(kept) == 32
    for typed in (code, code.upper(), code.replace("-", ""), code.replace("-", " "), f" {code} "):
        assert hash_of_code(typed) == kept, typed
    for typed in (code.replace("0", "o"), code.replace("1", "l"), code.replace("1", "I")):
        assert hash_of_code(typed) == kept, typed


@pytest.mark.parametrize(
    "text", ["", "123456", "01abcd-efghjk-mnpqrs", "01abcd-efghjk-mnpqrs-tvwxyz0", "u" * 24]
)
def test_other_texts_are_no_codes(text: str) -> None:
    assert hash_of_code(text) is None


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_none(text: str) -> None:
    found = hash_of_code(text)
    assert found is None or len(found) == 32
