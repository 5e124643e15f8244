"""What is sent to be encrypted and decrypted is read in one way, or what is wrong with it is told."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import AccountRefusal
from gateway.edge.crypto_bodies import LARGEST_PLAINTEXT, MOST_VALUES, TO_DECRYPT, TO_ENCRYPT, Bodies
from gateway.model import Reason
from gateway.operations import Item

SECRET = "sentinel" * 3


def told(bodies: Bodies, body: Mapping[str, object]) -> dict[str, str]:
    """Return what is wrong with a body, by member."""
    refused = bodies.read(body)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.INVALID_REQUEST
    assert SECRET not in repr(refused)
    return {each["field"]: each["message"] for each in refused.errors}


@given(data=st.binary(max_size=200), context=st.text(max_size=20))
def test_a_value_is_read_as_it_was_meant(data: bytes, context: str) -> None:
    text = base64.b64encode(data).decode()
    body = {"plaintext": text, "context": context}
    assert TO_ENCRYPT.read(body) == [Item(data=data, context=context)]
    assert TO_ENCRYPT.read({"batch": [body, {"plaintext": text}]}) == [
        Item(data=data, context=context),
        Item(data=data),
    ]


@given(text=st.text(max_size=50))
def test_any_text_may_be_a_ciphertext(text: str) -> None:
    (item,) = TO_DECRYPT.read({"ciphertext": text, "context": None})  # type: ignore[misc] # no refusal
    assert item == Item(data=text.encode())


def test_half_of_a_character_is_a_ciphertext_that_does_not_open() -> None:
    (item,) = TO_DECRYPT.read({"ciphertext": "\ud800"})  # type: ignore[misc] # no refusal
    assert item.data == b"\xed\xa0\x80"


@pytest.mark.parametrize(
    "text",
    [
        "YQ",
        "YQ=",
        "YQ===",
        "YR==",
        "YWJ=",
        "YQ==YQ==",
        "Y Q==",
        "YQ==\n",
        "=",
        "====",
        "_-8=",
        "é",
        "YQ\x00=",
    ],
)
def test_base64_has_one_spelling(text: str) -> None:
    assert told(TO_ENCRYPT, {"plaintext": text}) == {"plaintext": "must be base64, with padding"}


@pytest.mark.parametrize("context", ["\ud800", "a\udfff", "\udc00\ud800"])
def test_half_of_a_character_is_no_context(context: str) -> None:
    wrong = "must be valid Unicode"
    assert told(TO_ENCRYPT, {"plaintext": "", "context": context}) == {"context": wrong}
    assert told(TO_DECRYPT, {"batch": [{"ciphertext": "", "context": context}]}) == {"batch.0.context": wrong}


@pytest.mark.parametrize("value", [None, 1, True, [], {}, b"YQ=="])
def test_values_are_texts(value: Any) -> None:
    assert told(TO_ENCRYPT, {"plaintext": value}) == {"plaintext": "must be a string"}
    assert told(TO_DECRYPT, {"ciphertext": value}) == {"ciphertext": "must be a string"}
    if value is not None:
        assert told(TO_DECRYPT, {"ciphertext": "", "context": value}) == {"context": "must be a string"}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"plaintext": "is required"}),
        ({"plaintext": "", "key_version": "1"}, {"key_version": "is not known here; leave it out"}),
        ({"plaintext": SECRET + "!"}, {"plaintext": "must be base64, with padding"}),
        ({"batch": []}, {"batch": "must not be empty"}),
        ({"batch": {}}, {"batch": "must be a list"}),
        ({"batch": None}, {"batch": "must be a list"}),
        ({"batch": [1, []]}, {"batch.0": "must be an object", "batch.1": "must be an object"}),
        ({"batch": [{"plaintext": ""}, {}]}, {"batch.1.plaintext": "is required"}),
        ({"batch": [{"plaintext": "", "batch": []}]}, {"batch.0.batch": "is not known here; leave it out"}),
        (
            {"batch": [{"plaintext": ""}], "plaintext": ""},
            {"plaintext": "is not known here; leave it out"},
        ),
        (
            {"batch": [{"plaintext": ""}] * (MOST_VALUES + 1)},
            {"batch": f"may have at most {MOST_VALUES} entries"},
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(body: Mapping[str, object], wrong: dict[str, str]) -> None:
    assert told(TO_ENCRYPT, body) == wrong


def test_a_batch_and_a_value_may_be_as_large_as_that() -> None:
    items = TO_DECRYPT.read({"batch": [{"ciphertext": "x"}] * MOST_VALUES})
    assert len(items) == MOST_VALUES  # type: ignore[arg-type] # no refusal
    most = base64.b64encode(bytes(LARGEST_PLAINTEXT)).decode()
    (item,) = TO_ENCRYPT.read({"plaintext": most})  # type: ignore[misc] # no refusal
    assert len(item.data) == LARGEST_PLAINTEXT
    more = base64.b64encode(bytes(LARGEST_PLAINTEXT + 1)).decode()
    assert told(TO_ENCRYPT, {"plaintext": more}) == {
        "plaintext": f"may have at most {LARGEST_PLAINTEXT} bytes"
    }


def test_of_very_many_mistakes_a_hundred_are_told() -> None:
    assert len(told(TO_DECRYPT, {"batch": [1] * MOST_VALUES})) == 100


def test_bodies_show_nothing_of_what_they_hold() -> None:
    sealed = TO_DECRYPT.one.read({"ciphertext": SECRET, "context": SECRET})
    batch = TO_DECRYPT.many.read({"batch": [{"ciphertext": SECRET, "context": SECRET}]})
    assert SECRET not in f"{sealed!r} {batch!r}"
