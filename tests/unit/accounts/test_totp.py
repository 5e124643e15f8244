"""The codes of RFC 6238, the drift that is forgiven, and what an app reads."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts.totp import (
    STEP_SECONDS,
    code_at,
    is_code,
    key_text,
    new_key,
    otpauth_uri,
    step_at,
    step_of,
)

KEY = b"12345678901234567890"
NOW = 1_111_111_111.0


@pytest.mark.parametrize(
    ("time", "code"),
    [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ],
)
def test_the_codes_are_those_of_the_standard(time: int, code: str) -> None:
    """RFC 6238 appendix B, whose codes have eight digits: ours are the last six."""
    assert code_at(KEY, step_at(time)) == code[-6:]


@given(st.binary(min_size=20, max_size=20), st.floats(min_value=600, max_value=4e9), st.integers(-5, 5))
def test_a_code_is_taken_one_interval_early_or_late_and_no_more(key: bytes, now: float, off: int) -> None:
    step = step_at(now) + off
    found = step_of(key, code_at(key, step), now=now, after=-1)
    if abs(off) <= 1:
        assert found is not None
        assert code_at(key, found) == code_at(key, step)
    else:
        others = {code_at(key, step_at(now) + each) for each in (-1, 0, 1)}
        assert found is None or code_at(key, step) in others


def test_a_code_that_was_taken_is_not_taken_again_nor_one_before_it() -> None:
    step = step_at(NOW)
    for off in (-1, 0):
        assert step_of(KEY, code_at(KEY, step + off), now=NOW, after=step) is None
    assert step_of(KEY, code_at(KEY, step + 1), now=NOW, after=step) == step + 1
    assert step_of(KEY, code_at(KEY, step), now=NOW, after=step - 1) == step


def test_a_code_has_six_digits() -> None:
    assert is_code("012345")
    for text in ("", "12345", "1234567", "12345a", "-12345", "١٢٣٤٥٦", "12 345", "123456\n", "1_2345"):
        assert not is_code(text), text


def test_no_two_keys_are_alike() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {20}


def test_what_an_app_reads_holds_everything_it_needs() -> None:
    uri = urlsplit(otpauth_uri(KEY, issuer="api.example.com", account="anna müller"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/api.example.com:anna müller"
    assert "+" not in uri.query
    assert parse_qs(uri.query) == {
        "secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"],
        "issuer": ["api.example.com"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": [str(STEP_SECONDS)],
    }
    assert key_text(KEY) in uri.query
