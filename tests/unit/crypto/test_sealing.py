import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, text

from gateway.crypto import MasterSecret, Roots, SealBroken, Sealer

SEALER = Sealer(MasterSecret(b"s" * 32))


@given(binary(max_size=200), text(max_size=20))
def test_what_was_sealed_opens_in_its_own_context(plaintext: bytes, context: str) -> None:
    assert SEALER.open(SEALER.seal(plaintext, context=context), context=context) == plaintext


@given(binary(max_size=40), integers(min_value=0), integers(1, 255))
def test_a_change_of_any_byte_is_noticed(plaintext: bytes, place: int, change: int) -> None:
    sealed = bytearray(SEALER.seal(plaintext, context="row:1"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(SealBroken):
        SEALER.open(bytes(sealed), context="row:1")


@given(binary(max_size=80))
def test_noise_does_not_open(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        SEALER.open(noise, context="row:1")


def test_every_cut_is_noticed() -> None:
    sealed = SEALER.seal(b"value", context="row:1")
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            SEALER.open(sealed[:length], context="row:1")


def test_a_value_cannot_be_moved_to_another_row() -> None:
    sealed = SEALER.seal(b"value", context="row:1")
    with pytest.raises(SealBroken, match="row:2"):
        SEALER.open(sealed, context="row:2")


def test_another_master_secret_does_not_open_it() -> None:
    sealed = SEALER.seal(b"value", context="row:1")
    with pytest.raises(SealBroken, match="master secret"):
        Sealer(MasterSecret(b"t" * 32)).open(sealed, context="row:1")


def test_equal_values_do_not_look_equal() -> None:
    assert SEALER.seal(b"value", context="row:1") != SEALER.seal(b"value", context="row:1")


def test_the_form_names_its_generation_and_hides_the_value() -> None:
    sealed = SEALER.seal(b"plain value", context="row:1")
    assert sealed[0] == 1
    assert len(sealed) == 1 + 12 + len(b"plain value") + 16
    assert b"plain" not in sealed


def test_a_sealer_shows_nothing() -> None:
    assert "sss" not in repr(SEALER)


def two_generations() -> tuple[Sealer, Roots]:
    """Return a sealer that seals under the second generation, and the roots."""
    roots = Roots.of(MasterSecret(b"s" * 32))
    sealer = Sealer(roots)
    roots.learn(roots.with_next())
    roots.turn()
    return sealer, roots


def test_what_an_older_generation_sealed_still_opens_and_the_newest_seals() -> None:
    sealer, roots = two_generations()
    assert sealer.open(SEALER.seal(b"value", context="row:1"), context="row:1") == b"value"
    sealed = sealer.seal(b"value", context="row:1")
    assert sealed[0] == 2
    assert Sealer(roots).open(sealed, context="row:1") == b"value"
    with pytest.raises(SealBroken):
        SEALER.open(sealed, context="row:1")


def test_a_value_does_not_pass_for_one_of_another_generation() -> None:
    sealer, _ = two_generations()
    for sealed in (sealer.seal(b"value", context="row:1"), SEALER.seal(b"value", context="row:1")):
        with pytest.raises(SealBroken):
            sealer.open(bytes([3 - sealed[0]]) + sealed[1:], context="row:1")


def test_only_what_is_older_is_sealed_anew() -> None:
    sealer, _ = two_generations()
    renewed = sealer.renewed(SEALER.seal(b"value", context="row:1"), context="row:1")
    assert renewed is not None
    assert renewed[0] == 2
    assert sealer.open(renewed, context="row:1") == b"value"
    assert sealer.renewed(renewed, context="row:1") is None
    with pytest.raises(SealBroken):
        sealer.renewed(SEALER.seal(b"value", context="row:1"), context="row:2")
