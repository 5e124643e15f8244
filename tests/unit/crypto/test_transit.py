"""The text form of encrypted values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.crypto.messages import flipped, flipped_inside, key_of, sealed_with

from gateway.crypto import CannotOpen, VersionUnknown, decode_base64url, encode_base64url

KEY = key_of(1, 2)
CONTEXTS = st.text(st.characters(codec=None, categories=None), max_size=20)


def refused(text: bytes, context: str = "") -> str:
    with pytest.raises(CannotOpen) as caught:
        KEY.open(text, context=context)
    assert str(caught.value) == "the ciphertext cannot be opened"
    return caught.value.diagnosis


@given(st.binary(max_size=200), CONTEXTS)
def test_what_was_encrypted_is_opened_again_in_its_context(plaintext: bytes, context: str) -> None:
    opened = KEY.open(KEY.seal_text(plaintext, context=context).encode(), context=context)
    assert (opened.plaintext, opened.version) == (plaintext, 2)
    assert (opened.content_type, opened.is_jwe) == (None, False)


@given(CONTEXTS, CONTEXTS)
def test_it_opens_in_no_other_context(context: str, other: str) -> None:
    text = KEY.seal_text(b"value", context=context).encode()
    if context != other:
        refused(text, other)
    refused(text, context + "\0")


def test_the_form_names_its_version_and_hides_the_value() -> None:
    text = KEY.seal_text(b"plain value")
    assert text.startswith("gw:v2:")
    assert len(decode_base64url(text.removeprefix("gw:v2:").encode())) == 12 + len(b"plain value") + 16
    assert text != KEY.seal_text(b"plain value")


def test_every_change_of_a_bit_is_refused() -> None:
    text = KEY.seal_text(b"plain value", context="card:17").encode()
    for changed in flipped(text):
        refused(changed, "card:17")
    for inside in flipped_inside(text.removeprefix(b"gw:v2:")):
        refused(b"gw:v2:" + inside, "card:17")


def test_every_cut_is_refused_at_either_end() -> None:
    text = KEY.seal_text(b"plain value").encode()
    for length in range(len(text)):
        refused(text[:length])
        refused(text[len(text) - length :])


@pytest.mark.parametrize("more", [b"=", b"==", b".", b"\n", b" ", b"A", b"\x00", b"\xff", b":"])
def test_nothing_may_stand_before_or_after_it(more: bytes) -> None:
    text = KEY.seal_text(b"plain value").encode()
    refused(text + more)
    refused(more + text)
    refused(text.replace(b"v2:", b"v2:" + more))


@pytest.mark.parametrize(
    "version",
    ["v0", "v01", "v-2", "v+2", "v", "", "2", "V2", "v2.0", "v2e0", "v 2", "v٢", "v" + "9" * 10_000],
)
def test_another_spelling_of_a_version_is_refused(version: str) -> None:
    _, _, body = KEY.seal_text(b"value").split(":")
    refused(f"gw:{version}:{body}".encode())


@pytest.mark.parametrize("version", ["v3", "v999999999"])
def test_a_version_that_is_newer_than_the_newest_is_one_that_is_not_known(version: str) -> None:
    _, _, body = KEY.seal_text(b"value").split(":")
    with pytest.raises(VersionUnknown, match="the ciphertext cannot be opened"):
        KEY.open(f"gw:{version}:{body}".encode())


def test_a_value_of_another_version_or_another_key_does_not_open() -> None:
    _, _, body = KEY.seal_text(b"value").split(":")
    refused(f"gw:v1:{body}".encode())
    # The bytes of both keys are the same: the name alone tells them apart.
    refused(key_of(1, 2, name="other").seal_text(b"value").encode())


def test_a_context_is_not_mixed_up_with_the_name_of_the_key() -> None:
    refused(key_of(2, name="report").seal_text(b"value", context="s").encode(), "")
    refused(KEY.seal_text(b"value", context="\0").encode(), "")


def test_a_jwe_is_not_taken_for_a_text_with_the_same_bytes() -> None:
    *_, iv, ciphertext, tag = sealed_with({"alg": "dir", "enc": "A256GCM", "kid": "reports:v1"}).split(b".")
    body = encode_base64url(b"".join(decode_base64url(part) for part in (iv, ciphertext, tag)))
    refused(b"gw:v1:" + body.encode())


def test_a_jwe_has_no_context() -> None:
    message = KEY.seal_jwe(b"value")
    assert KEY.open(message).plaintext == b"value"
    assert refused(message, "card:17") == "a JWE has no context"


@given(st.binary(max_size=100))
def test_noise_is_refused(noise: bytes) -> None:
    refused(b"gw:" + noise)
    refused(b"gw:v1:" + noise)
    refused(b"gw:v1:" + encode_base64url(noise).encode())
