"""The refresh token as text."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts.ids import new_id
from gateway.accounts.refresh_token import mint_refresh_token, parse_refresh_token

KEY = b"k" * 32
SESSION = "ses_000102030405060708090a0b0c0d0e0f"
TOKEN = mint_refresh_token(SESSION, 7, KEY)


def test_a_token_says_its_session_and_generation() -> None:
    token = parse_refresh_token(TOKEN)
    assert token is not None
    assert (token.session, token.generation) == (SESSION, 7)
    assert token.is_signed_with(KEY)
    assert not token.is_signed_with(b"K" * 32)


def test_a_generation_is_always_the_same_text_and_another_is_not() -> None:
    assert mint_refresh_token(SESSION, 7, KEY) == TOKEN
    others = {mint_refresh_token(SESSION, 8, KEY), mint_refresh_token(new_id("ses_"), 7, KEY)}
    assert TOKEN not in others


def test_a_token_says_that_it_is_bound_and_nobody_can_make_it_say_otherwise() -> None:
    bound = parse_refresh_token(mint_refresh_token(SESSION, 7, KEY, bound=True))
    free = parse_refresh_token(TOKEN)
    assert bound is not None
    assert free is not None
    assert (bound.is_bound, free.is_bound) == (True, False)
    assert bound.is_signed_with(KEY)
    assert replace(bound, mac=free.mac).is_signed_with(KEY) is False


@pytest.mark.parametrize(
    "text",
    ["", "gwr_", "gwr_x", TOKEN[4:], TOKEN + "=", TOKEN + "A", TOKEN[:-1], TOKEN.upper(), " " + TOKEN, TOKEN + "\n",
     TOKEN.replace("gwr_", "gwr_\u00a0"), "gwr_" + "A" * 76, "gwr_ü", "gwr_" + "é" * 76, "\ud800"],
)  # fmt: skip
def test_what_is_no_token_is_none(text: str) -> None:
    assert parse_refresh_token(text) is None


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_a_token_with_another_character_is_worth_nothing(position: int, character: str) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    token = parse_refresh_token(changed)
    assert changed == TOKEN or token is None or not token.is_signed_with(KEY)


@given(st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))
def test_every_token_reads_back(generation: int, session: bytes) -> None:
    token = parse_refresh_token(mint_refresh_token(f"ses_{session.hex()}", generation, KEY))
    assert token is not None
    assert (token.session, token.generation) == (f"ses_{session.hex()}", generation)
    assert token.is_signed_with(KEY)


def test_no_representation_shows_what_makes_it_valid() -> None:
    assert "mac" not in repr(parse_refresh_token(TOKEN))
