import pytest

from gateway.crypto import MasterSecret, PersonalPart, SealBroken, Sealer, open_parts, seal_parts

SEALER = Sealer(MasterSecret(b"s" * 32))
FIELDS = {"name": "alice", "source_ip": "192.0.2.7"}


def test_what_was_sealed_is_what_is_opened() -> None:
    parts = (PersonalPart.of("usr_1", FIELDS), PersonalPart.of("https://id.example|7", {"name": "bob"}))
    opened = open_parts(SEALER, seal_parts(SEALER, parts))
    assert opened == parts
    assert [part.fields for part in opened] == [FIELDS, {"name": "bob"}]


def test_the_same_words_have_another_commitment_each_time() -> None:
    one, other = PersonalPart.of("usr_1", FIELDS), PersonalPart.of("usr_1", FIELDS)
    assert one.commitment != other.commitment
    assert len(one.commitment) == len(other.commitment) == 43


def test_nothing_that_is_kept_shows_what_it_says() -> None:
    part = PersonalPart.of("usr_1", FIELDS)
    assert b"alice" not in seal_parts(SEALER, [part])
    assert "alice" not in repr(part)
    assert "alice" not in part.commitment


def test_nothing_was_said_of_anybody() -> None:
    assert open_parts(SEALER, b"") == ()


def test_what_was_changed_does_not_open() -> None:
    sealed = seal_parts(SEALER, [PersonalPart.of("usr_1", FIELDS)])
    with pytest.raises(SealBroken):
        open_parts(SEALER, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(SealBroken):
        open_parts(Sealer(MasterSecret(b"t" * 32)), sealed)


def test_a_sealed_thing_of_another_kind_is_no_part() -> None:
    with pytest.raises(SealBroken):
        open_parts(SEALER, SEALER.seal(b"[1, 2]", context="audit-personal"))


def test_a_part_that_is_no_object_says_nothing() -> None:
    with pytest.raises(ValueError, match="JSON object"):
        _ = PersonalPart("usr_1", b"0123456789abcdef[]").fields
