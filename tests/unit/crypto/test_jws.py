import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.issuer import IssuerKey, segment

from gateway.crypto import JwsMalformed, read_json_object, read_jws

KEY = IssuerKey()


def test_a_token_is_taken_apart() -> None:
    token = KEY.sign({"alg": "ES256"}, {"sub": "alice", "n": 1.5}).encode()
    jws = read_jws(token)
    assert jws.header == {"alg": "ES256"}
    assert jws.payload == {"sub": "alice", "n": 1.5}
    assert jws.signed == token.rpartition(b".")[0]
    assert len(jws.signature) == 64
    assert "alice" not in repr(jws)


HEADER = segment(b'{"alg":"ES256"}')
PAYLOAD = segment(b'{"sub":"alice-in-wonderland"}')


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"opaque",
        b"a.b",
        b"..",
        HEADER + b"." + PAYLOAD,
        b".".join([HEADER, PAYLOAD, b"AA", b"AA"]),
        b".".join([HEADER, PAYLOAD, b"AA", b"AA", b"AA"]),
        b".".join([HEADER + b"=", PAYLOAD, b"AA"]),
        b".".join([HEADER, PAYLOAD + b"==", b"AA"]),
        b".".join([HEADER, PAYLOAD, b"AB"]),
        b".".join([HEADER, PAYLOAD, b"A A"]),
        b".".join([segment(b"[]"), PAYLOAD, b"AA"]),
        b".".join([segment(b'"text"'), PAYLOAD, b"AA"]),
        b".".join([segment(b'{"alg":"ES256","alg":"none"}'), PAYLOAD, b"AA"]),
        b".".join([HEADER, segment(b'{"sub":"a","sub":"b"}'), b"AA"]),
        b".".join([HEADER, segment(b'{"x":{"sub":"a","sub":"b"}}'), b"AA"]),
        b".".join([HEADER, segment(b'{"exp":NaN}'), b"AA"]),
        b".".join([HEADER, segment(b'{"exp":Infinity}'), b"AA"]),
        b".".join([HEADER, segment(b'{"exp":' + b"1" * 5000 + b"}"), b"AA"]),
        b".".join([HEADER, segment(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), b"AA"]),
        b".".join([HEADER, segment(b'{"sub":"\xff"}'), b"AA"]),
        b".".join([HEADER, segment(b'\xef\xbb\xbf{"sub":"a"}'), b"AA"]),
        b".".join([HEADER, segment('{"sub":"a"}'.encode("utf-16")), b"AA"]),
    ],
)
def test_what_readers_could_take_in_different_ways_is_no_token(token: bytes) -> None:
    with pytest.raises(JwsMalformed) as refused:
        read_jws(token)
    assert "alice-in-wonderland" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(st.binary(max_size=200))
def test_nothing_but_a_refusal_is_raised_whatever_the_text_is(text: bytes) -> None:
    for token in (text, b".".join([segment(text)] * 3), HEADER + b"." + segment(text) + b".AA"):
        with contextlib.suppress(JwsMalformed):
            read_jws(token)


@given(
    st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
    )
)
def test_an_object_is_what_every_other_reader_says_it_is(value: dict[str, object]) -> None:
    assert read_json_object(json.dumps(value).encode()) == value
