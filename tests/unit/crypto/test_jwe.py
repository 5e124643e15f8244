"""What is read as an encrypted message, and what is not."""

import contextlib
import json
import time

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis.strategies import binary, text
from unit.crypto.messages import HEADER, flipped, flipped_inside, joined, key_of, sealed_with

from gateway.crypto import CannotOpen, decode_base64url, encode_base64url
from gateway.crypto.jwe import MOST_HEADER, CompactJwe, open_split, read_direct_header, split_compact

KEY = key_of(1)
MESSAGE = (
    b"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoicmVwb3J0czp2MSIsImN0eSI6ImFwcGxpY2F0aW9uL2pzb24ifQ"
    b"..uoHEl91j_8r8hsiy.wiRqEGcCVbaph2-QBA.vwTuX_huOWML_h9ooJiDrQ"
)
"""Written by another library (joserfc) with the first version of the key."""
SAID = "the ciphertext cannot be opened"


def refused(message: bytes) -> str:
    """Return why the key does not open a message; whoever sent it is told the same in each case."""
    with pytest.raises(CannotOpen) as caught:
        KEY.open(message)
    assert str(caught.value) == SAID
    assert caught.value.__cause__ is None
    return caught.value.diagnosis


def test_what_another_library_encrypted_opens() -> None:
    opened = KEY.open(MESSAGE)
    assert opened.plaintext == b'{"total": 17}'
    assert (opened.version, opened.content_type, opened.is_jwe) == (1, "application/json", True)
    assert "17" not in repr(opened)


def test_a_message_is_what_the_standard_says_it_is() -> None:
    # RFC 7516 appendix A.1, from where the content encryption key is known.
    key = "b1a1f480548fe1733fb403ff6b9ad4f68a076e5b702e22692f82cb2e7aea40fc"
    message = CompactJwe(
        header=b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
        iv=decode_base64url(b"48V1_ALb6US04U3b"),
        sealed=decode_base64url(
            b"5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A"
        )
        + decode_base64url(b"XFBoMYUZodetZdvTiFvSkQ"),
    )
    opened = open_split(AESGCM(bytes.fromhex(key)), message)
    assert opened == b"The true sign of intelligence is not knowledge but imagination."


def test_a_header_says_these_things_in_this_order_and_no_others() -> None:
    message = KEY.seal_jwe(b"x", content_type="application/json; charset=utf-8")
    header = decode_base64url(message.partition(b".")[0])
    assert header == (
        b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1","cty":"application/json; charset=utf-8"}'
    )
    assert decode_base64url(KEY.seal_jwe(b"x").partition(b".")[0]) == (
        b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1"}'
    )


@given(binary(max_size=200), text(max_size=20))
def test_what_was_encrypted_is_opened_again(plaintext: bytes, content_type: str) -> None:
    opened = KEY.open(KEY.seal_jwe(plaintext, content_type=content_type))
    assert opened.plaintext == plaintext
    assert opened.content_type in {content_type, None}


def test_equal_values_do_not_look_equal() -> None:
    first, second = (KEY.seal_jwe(b"value").split(b".") for _ in range(2))
    assert first[0] == second[0]
    assert all(one != other for one, other in zip(first[2:], second[2:], strict=True))


def test_every_change_of_a_bit_is_refused() -> None:
    for changed in flipped(MESSAGE):
        refused(changed)


@pytest.mark.parametrize("part", [0, 2, 3, 4], ids=["header", "iv", "ciphertext", "tag"])
def test_every_change_of_a_bit_of_what_a_part_stands_for_is_refused(part: int) -> None:
    parts = MESSAGE.split(b".")
    for changed in flipped_inside(parts[part]):
        refused(joined(*parts[:part], changed, *parts[part + 1 :]))


def test_every_cut_is_refused_at_either_end() -> None:
    for length in range(len(MESSAGE)):
        refused(MESSAGE[:length])
        refused(MESSAGE[len(MESSAGE) - length :])


@pytest.mark.parametrize("more", [b"=", b"==", b".", b"\n", b" ", b"A", b"\x00", b"\xff", b".."])
def test_nothing_may_stand_before_between_or_after_its_parts(more: bytes) -> None:
    parts = MESSAGE.split(b".")
    refused(more + MESSAGE)
    for place in range(len(parts)):
        refused(joined(*parts[:place], parts[place] + more, *parts[place + 1 :]))


@given(binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    refused(noise)
    refused(joined(MESSAGE.split(b".")[0], b"", noise))


@given(binary(max_size=60), binary(max_size=60), binary(max_size=60), binary(max_size=60))
def test_noise_in_parts_is_refused(header: bytes, iv: bytes, ciphertext: bytes, tag: bytes) -> None:
    parts = (encode_base64url(part).encode() for part in (header, iv, ciphertext, tag))
    header_part, *rest = parts
    refused(joined(header_part, b"", *rest))


WITHOUT_KID = {"alg": "dir", "enc": "A256GCM"}
HEADERS: dict[str, object] = {
    "zip": {**HEADER, "zip": "DEF"},
    "zip of null": {**HEADER, "zip": None},
    "crit": {**HEADER, "crit": ["exp"], "exp": 1},
    "an empty crit": {**HEADER, "crit": []},
    "alg in capitals": {**HEADER, "alg": "DIR"},
    "alg none": {**HEADER, "alg": "none"},
    "alg A256KW": {**HEADER, "alg": "A256KW"},
    "alg A256GCMKW": {**HEADER, "alg": "A256GCMKW"},
    "alg ECDH-ES": {**HEADER, "alg": "ECDH-ES"},
    "alg as a list": {**HEADER, "alg": ["dir"]},
    "alg null": {**HEADER, "alg": None},
    "no alg": {"enc": "A256GCM", "kid": "reports:v1"},
    "enc A128GCM": {**HEADER, "enc": "A128GCM"},
    "enc A128CBC-HS256": {**HEADER, "enc": "A128CBC-HS256"},
    "enc in small letters": {**HEADER, "enc": "a256gcm"},
    "no enc": {"alg": "dir", "kid": "reports:v1"},
    "no kid": WITHOUT_KID,
    "kid null": {**WITHOUT_KID, "kid": None},
    "kid a number": {**WITHOUT_KID, "kid": 1},
    "cty a number": {**HEADER, "cty": 7},
    "cty empty": {**HEADER, "cty": ""},
    "cty with a line break": {**HEADER, "cty": "text/plain\r\nX-Evil: 1"},
    "cty with a tab": {**HEADER, "cty": "text/plain;\tx=y"},
    "cty beyond ASCII": {**HEADER, "cty": "text/plä"},
    "cty with a lone surrogate": {**HEADER, "cty": "text/\ud800"},
    "cty that ends with a blank": {**HEADER, "cty": "text/plain "},
    "cty too long": {**HEADER, "cty": "x" * 1001},
    "typ a list": {**HEADER, "typ": ["JOSE"]},
    "a list": [HEADER],
    "a text": "dir",
    "null": None,
}
KIDS = [
    "other:v1",
    "reports",
    "reports:",
    "reports:1",
    "reports:v",
    "reports:v0",
    "reports:v01",
    "reports:v-1",
    "reports:v+1",
    "reports:v1 ",
    " reports:v1",
    "reports:v1\n",
    "reports:v1:v1",
    "reports:V1",
    "reports:v1.0",
    "reports:v1e0",
    "reports:v١",
    "reports:v¹",
    "reports:v2",
    "reports:v999999999",
    "reports:v1000000000",
    "reports:v" + "9" * 3000,
    "Reports:v1",
    ":v1",
    "v1",
    "",
    "\ud800:v1",
]


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_asks_for_something_else_is_refused(header: object) -> None:
    refused(sealed_with(json.dumps(header).encode()))


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: ascii(kid[:20]))
def test_a_kid_that_is_not_that_of_a_version_of_the_key_is_refused(kid: str) -> None:
    refused(sealed_with({**WITHOUT_KID, "kid": kid}))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"\xff",
        b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1","kid":"reports:v1"}',
        b'{"alg":"none","alg":"dir","enc":"A256GCM","kid":"reports:v1"}',
        b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1","n":NaN}',
        b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1"} {}',
        b'\xef\xbb\xbf{"alg":"dir","enc":"A256GCM","kid":"reports:v1"}',
        b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1","n":' + b"[" * 2900,
        '{"alg":"dir","enc":"A256GCM","kid":"reports:v1"}'.encode("utf-16"),
    ],
)
def test_a_header_that_is_no_plain_json_object_is_refused(header: bytes) -> None:
    refused(sealed_with(header))


@pytest.mark.parametrize("junk", [b"[" * 1400 + b"]" * 1400, b'{"a":' * 500 + b"1" + b"}" * 500, b"9" * 2500])
def test_junk_in_a_header_is_no_error_of_the_gateway(junk: bytes) -> None:
    message = sealed_with(b'{"alg":"dir","enc":"A256GCM","kid":"reports:v1","n":' + junk + b"}")
    # Whether it can be read is for Python to say.
    with contextlib.suppress(CannotOpen):
        assert KEY.open(message).plaintext == b"plain"


def test_members_that_nothing_is_known_of_are_left_out_of_account() -> None:
    opened = KEY.open(
        sealed_with({**HEADER, "typ": "JOSE", "iat": 17, "apu": "QQ", "jku": "https://evil.example"})
    )
    assert opened.plaintext == b"plain"


def test_the_additional_data_are_the_octets_of_the_header_as_they_were_sent() -> None:
    spaced = json.dumps({"kid": "reports:v1", "enc": "A256GCM", "alg": "dir"}, indent=3).encode()
    assert KEY.open(sealed_with(spaced)).plaintext == b"plain"
    parts = sealed_with(spaced).split(b".")
    compact = encode_base64url(json.dumps(json.loads(spaced), separators=(",", ":")).encode()).encode()
    refused(joined(compact, *parts[1:]))


@pytest.mark.parametrize("length", [0, 1, 8, 11, 13, 16])
def test_an_initialization_vector_of_another_length_is_refused(length: int) -> None:
    parts = MESSAGE.split(b".")
    iv = b"" if length == 0 else encode_base64url(bytes(length)).encode()
    assert "initialization vector" in refused(joined(parts[0], b"", iv, *parts[3:]))
    if length >= 8:
        # The cipher itself would take it.
        refused(sealed_with(HEADER, iv=b"i" * length))


@pytest.mark.parametrize("length", [0, 4, 12, 15, 17])
def test_a_tag_of_another_length_is_refused(length: int) -> None:
    *parts, tag = MESSAGE.split(b".")
    cut = (decode_base64url(tag) * 2)[:length]
    assert "tag" in refused(joined(*parts, encode_base64url(cut).encode()))


def test_a_part_of_the_tag_does_not_pass_as_ciphertext() -> None:
    *parts, ciphertext, tag = MESSAGE.split(b".")
    body = decode_base64url(ciphertext) + decode_base64url(tag)
    for cut in range(len(body)):
        if len(body) - cut != 16:
            moved = (encode_base64url(part).encode() for part in (body[:cut], body[cut:]))
            refused(joined(*parts, *moved))


def test_an_encrypted_key_is_refused() -> None:
    header, _, *rest = MESSAGE.split(b".")
    assert refused(joined(header, b"AAAA", *rest)) == "it has an encrypted key"


def test_a_long_header_is_refused_without_being_read() -> None:
    long = encode_base64url(json.dumps({**HEADER, "x": "y" * (10 * 2**20)}).encode()).encode()
    _, *rest = MESSAGE.split(b".")
    begun = time.thread_time()
    assert refused(joined(long, *rest)) == "its header is too long"
    assert refused(b"." * (10 * 2**20)).startswith("it is neither")
    assert refused(b"A" * (10 * 2**20)).startswith("it is neither")
    # Decoding and reading it would take ten times as long.
    assert time.thread_time() - begun < 1


def test_the_longest_header_that_is_read_is_longer_than_any_that_is_written() -> None:
    message = key_of(1, name="n" * 64).seal_jwe(b"", content_type="x" * 1000)
    assert len(message.partition(b".")[0]) < MOST_HEADER


def test_taking_apart_and_reading_raise_nothing_else() -> None:
    with pytest.raises(CannotOpen):
        split_compact(b"....")
    with pytest.raises(CannotOpen):
        read_direct_header(b"=")


def test_a_diagnosis_holds_nothing_of_the_message() -> None:
    for header in ({**HEADER, "zip": "secret"}, {**HEADER, "kid": "secret:v1"}, {**HEADER, "alg": "secret"}):
        message = sealed_with(header, b"secret")
        assert "secret" not in refused(message)
    assert "uoHE" not in repr(split_compact(MESSAGE))
