"""What is said of a person opens with the person's key, under its commitment, and in no other way."""

import pytest
from support.shipped import NAMES_KEY, SEALER

from gateway.crypto import PersonalPart, SealBroken
from gateway.stores.sql.audit_personal import name_hash, new_key, opened_key, opened_part, sealed_part

PART = PersonalPart.of("usr_1", {"name": "ada", "source_ip": "192.0.2.1"})
OTHER = PersonalPart.of("usr_1", {"name": "eve"})


def _key(subject: str = "usr_1") -> bytes:
    return opened_key(SEALER, subject, new_key(SEALER, subject))


def test_what_was_sealed_comes_back() -> None:
    key = _key()
    sealed = sealed_part(key, PART.commitment, PART.plain)
    assert opened_part(key, "usr_1", PART.commitment, sealed) == PART
    assert sealed_part(key, PART.commitment, PART.plain) != sealed
    assert b"ada" not in sealed


def test_each_key_is_new_and_belongs_to_its_subject() -> None:
    sealed = new_key(SEALER, "usr_1")
    assert len(opened_key(SEALER, "usr_1", sealed)) == 32
    assert _key() != _key()
    with pytest.raises(SealBroken, match="usr_2"):
        opened_key(SEALER, "usr_2", sealed)


def test_nothing_opens_with_another_key_or_under_another_commitment() -> None:
    key = _key()
    sealed = sealed_part(key, PART.commitment, PART.plain)
    with pytest.raises(SealBroken):
        opened_part(_key(), "usr_1", PART.commitment, sealed)
    with pytest.raises(SealBroken):
        opened_part(key, "usr_1", OTHER.commitment, sealed)


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 28])
def test_what_was_cut_is_broken(length: int) -> None:
    key = _key()
    with pytest.raises(SealBroken):
        opened_part(key, "usr_1", PART.commitment, sealed_part(key, PART.commitment, PART.plain)[:length])


def test_who_has_the_key_cannot_have_a_record_say_something_else() -> None:
    key = _key()
    sealed = sealed_part(key, PART.commitment, OTHER.plain)
    with pytest.raises(SealBroken):
        opened_part(key, "usr_1", PART.commitment, sealed)


def test_a_name_is_found_by_its_hash_alone() -> None:
    assert name_hash(NAMES_KEY, "ada") == name_hash(NAMES_KEY, "ada")
    assert len({name_hash(NAMES_KEY, name) for name in ("ada", "Ada", "ad", "", "\udc80")}) == 5
    assert name_hash(b"another key", "ada") != name_hash(NAMES_KEY, "ada")
