import base64
import random

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


@pytest.mark.parametrize("length", [196_607, 196_608, 196_609, 400_000, 589_824])
def test_long_data_are_encoded_in_pieces_that_make_one_text(length: int) -> None:
    data = random.Random(length).randbytes(length)
    text = encode_base64url(data)
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert decode_base64url(text.encode()) == data
    for place in (0, 196_607, 196_608, len(text) - 1):
        with pytest.raises(ValueError, match=r"."):
            decode_base64url(f"{text[:place]}={text[place + 1 :]}".encode())


@pytest.mark.parametrize(
    "text", [b"QQ==", b"QQ=", b"QR", b"Q", b"+/8", b"QQ\n", b" QQ", b"Q Q", b"Q.Q", b"\xff\xfe", b"="]
)
def test_other_spellings_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of the standard library's is right
        decode_base64url(text)
