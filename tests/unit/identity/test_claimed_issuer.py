import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.issuer import ISSUER, Issuer, segment

from gateway.identity.claimed_issuer import claimed_issuer


def test_a_token_says_where_it_claims_to_come_from() -> None:
    assert claimed_issuer(Issuer().token()) == ISSUER


@pytest.mark.parametrize(
    "payload", [b"", b"text", b"[]", b"{}", b'{"iss":1}', b'{"iss":["a"]}', b'{"iss":"a","iss":"b"}', b"\xff"]
)
def test_what_says_it_in_no_way_or_in_two_says_nothing(payload: bytes) -> None:
    assert claimed_issuer(f"AA.{segment(payload).decode()}.AA") is None


@given(st.text())
def test_it_raises_nothing_whatever_the_text_is(text: str) -> None:
    claimed_issuer(text)
    claimed_issuer(f"a.{text}.b")


def test_what_is_too_long_for_everybody_is_not_read() -> None:
    token = Issuer().token()
    assert claimed_issuer(token + "A" * (16_384 - len(token))) == ISSUER
    assert claimed_issuer(token + "A" * (16_385 - len(token))) is None
