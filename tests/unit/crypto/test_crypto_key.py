"""Versions of encryption keys: which one encrypts, which ones decrypt, and how they are kept."""

import orjson
import pytest
from unit.crypto.messages import key_of
from unit.crypto.rows import START

from gateway.crypto import CannotOpen, MasterSecret, SealBroken, Sealer, VersionUnknown, new_version
from gateway.crypto import decode_base64url as decoded
from gateway.crypto.crypto_key import open_version
from gateway.crypto.message_counts import MessageCounts

SEALER = Sealer(MasterSecret(b"s" * 32))


def test_the_newest_version_encrypts_and_all_decrypt() -> None:
    old, new = key_of(1), key_of(1, 2)
    for sealed in (old.seal_jwe(b"value"), old.seal_text(b"value").encode()):
        assert new.open(sealed).version == 1
    for sealed in (new.seal_jwe(b"value"), new.seal_text(b"value").encode()):
        assert new.open(sealed).version == 2
        with pytest.raises(VersionUnknown):
            old.open(sealed)


def test_versions_below_the_least_are_refused() -> None:
    sealed = [key_of(number).seal_jwe(b"value") for number in (1, 2, 3)]
    key = key_of(1, 2, 3, least=2)
    with pytest.raises(CannotOpen) as caught:
        key.open(sealed[0])
    assert caught.value.diagnosis == "version 1 of this key is retired"
    assert not isinstance(caught.value, VersionUnknown)
    assert [key.open(each).version for each in sealed[1:]] == [2, 3]


def test_a_version_that_is_missing_is_not_one_that_is_to_come() -> None:
    sealed = key_of(2).seal_jwe(b"value")
    with pytest.raises(CannotOpen, match="the ciphertext cannot be opened") as caught:
        key_of(1, 3).open(sealed)
    assert not isinstance(caught.value, VersionUnknown)


def test_what_is_encrypted_is_counted_by_version_in_both_forms() -> None:
    counts = MessageCounts()
    old, new = key_of(1, counts=counts), key_of(1, 2, counts=counts)
    sealed = old.seal_jwe(b"value")
    new.seal_jwe(b"value", content_type="text/plain")
    new.seal_text(b"value")
    new.open(sealed)
    assert counts.take() == {("reports", 1): 1, ("reports", 2): 2}


def test_a_content_type_that_a_header_could_not_carry_is_left_out() -> None:
    key = key_of(1)
    for bad in ("", " ", "text/plain\n", "\ttext/plain", "text/pläin", "a\udcff", "x" * 1001):
        header = orjson.loads(decoded(key.seal_jwe(b"", content_type=bad).partition(b".")[0]))
        assert set(header) == {"alg", "enc", "kid"}
    for good in ("text/plain", "application/json; charset=utf-8", 'a/b; c="d e\\""', "x" * 1000):
        assert key.open(key.seal_jwe(b"", content_type=good)).content_type == good


def test_no_more_headers_are_kept_than_upstreams_have_content_types() -> None:
    key = key_of(1)
    for number in range(200):
        assert key.open(key.seal_jwe(b"", content_type=f"a/{number}")).content_type == f"a/{number}"
    assert len(key._versions[1].headers) == 64


def test_a_stored_version_opens_as_what_it_was_made_from() -> None:
    stored = new_version(SEALER, name="reports", version=3, created_at=START, material=b"m" * 32)
    assert (stored.version, stored.created_at, stored.messages) == (3, START, 0)
    assert b"mmm" not in stored.sealed
    assert SEALER.open(stored.sealed, context="crypto-key:reports:3") == b"m" * 32
    assert open_version(SEALER, "reports", stored).number == 3


def test_a_new_version_is_random() -> None:
    one, other = (new_version(SEALER, name="reports", version=1, created_at=START) for _ in range(2))
    context = "crypto-key:reports:1"
    assert SEALER.open(one.sealed, context=context) != SEALER.open(other.sealed, context=context)
    assert len(SEALER.open(one.sealed, context=context)) == 32


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_material_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"has 32 bytes, not {length}"):
        new_version(SEALER, name="reports", version=1, created_at=START, material=bytes(length))


def test_a_stored_version_is_not_moved_to_another_key_or_number() -> None:
    stored = new_version(SEALER, name="reports", version=1, created_at=START)
    with pytest.raises(SealBroken):
        open_version(SEALER, "other", stored)
    short = new_version(SEALER, name="reports", version=2, created_at=START)
    with pytest.raises(SealBroken):
        open_version(
            SEALER, "reports", type(stored)(version=2, sealed=stored.sealed, created_at=short.created_at)
        )
    # Sealed as it should be, and not as long as a key is.
    cut = SEALER.seal(b"m" * 16, context="crypto-key:reports:1")
    with pytest.raises(SealBroken):
        open_version(SEALER, "reports", type(stored)(version=1, sealed=cut, created_at=START))


def test_nothing_shows_a_key() -> None:
    key = key_of(1, 2)
    assert repr(key) == "CryptoKey('reports', newest=2)"
    assert repr(key._versions[1]) == "KeyVersion(number=1)"
    stored = new_version(SEALER, name="reports", version=1, created_at=START, material=b"m" * 32)
    assert "sealed" not in repr(stored)
