import pytest
from hypothesis import given
from hypothesis.strategies import binary

from gateway.crypto import decode_base64url, encode_base64url


@given(binary(max_size=80))
def test_what_was_encoded_is_decoded_again(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data).encode()) == data


@given(binary(max_size=12))
def test_nothing_but_the_one_spelling_is_decoded(text: bytes) -> None:
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data).encode() == text


@pytest.mark.parametrize(
    "text", [b"QQ==", b"QQ=", b"QR", b"Q", b"+/8", b"QQ\n", b" QQ", b"Q Q", b"Q.Q", b"\xff\xfe", b"="]
)
def test_other_spellings_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of the standard library's is right
        decode_base64url(text)
