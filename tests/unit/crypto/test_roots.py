"""The roots of all keys at rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.crypto.root_rows import NEW, OLD

from gateway.crypto import MasterSecret, Roots, SecretUnusable
from gateway.crypto.roots import MOST, newest_in

generations = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=9)


def roots_of(values: list[bytes]) -> Roots:
    return Roots(dict(enumerate(values, 1)))


@given(generations)
def test_what_a_master_secret_sealed_it_opens(values: list[bytes]) -> None:
    roots = roots_of(values)
    sealed = roots.sealed(OLD)
    opened = Roots.opened(sealed, OLD)
    assert opened.generations == roots.generations
    assert (opened.newest, opened.current) == (len(values), len(values))
    assert newest_in(sealed) == len(values)
    assert not any(value in sealed for value in values)


def test_another_master_secret_opens_nothing() -> None:
    with pytest.raises(SecretUnusable, match="restore the table root_keys"):
        Roots.opened(Roots.new().sealed(OLD), NEW)


@given(st.integers(0), st.integers(1, 255))
def test_a_change_of_any_byte_is_noticed(place: int, change: int) -> None:
    sealed = bytearray(Roots({1: bytes(32)}).sealed(OLD))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(SecretUnusable, match="were changed"):
        Roots.opened(bytes(sealed), OLD)


@given(st.binary(max_size=90))
def test_noise_is_no_roots(noise: bytes) -> None:
    assert 0 <= newest_in(noise) <= 255
    with pytest.raises(SecretUnusable):
        Roots.opened(noise, OLD)


def test_an_older_installation_has_the_master_secret_as_its_only_root() -> None:
    roots = Roots.of(OLD)
    assert roots.newest == 1
    for purpose in ("seal", "password-pepper", "audit-hash"):
        assert roots.derive(purpose) == OLD.derive(purpose)


def test_a_new_installation_has_a_root_that_no_master_secret_tells() -> None:
    first, second = Roots.new(), Roots.new()
    assert first.derive("seal") != second.derive("seal")


def test_purposes_and_generations_have_keys_of_their_own() -> None:
    roots = Roots.new().with_next().with_next()
    keys = {roots.derive(purpose, generation) for purpose in ("seal", "devices") for generation in (1, 2, 3)}
    assert len(keys) == 6
    seal = roots.keys_for("seal")
    assert [seal[generation] for generation in (1, 2, 3)] == [roots.derive("seal", n) for n in (1, 2, 3)]
    assert seal[2] is seal[2]
    with pytest.raises(KeyError):
        seal[4]


def test_the_next_generation_leaves_those_before_it_as_they_are() -> None:
    roots = Roots.new()
    more = roots.with_next()
    assert (roots.newest, more.newest) == (1, 2)
    assert more.derive("seal") == roots.derive("seal")
    assert more.derive("seal", 2) != more.derive("seal", 1)


def test_there_are_as_many_generations_as_a_byte_can_name() -> None:
    roots = roots_of([bytes([number % 256]) * 32 for number in range(MOST - 1)]).with_next()
    assert roots.newest == MOST
    with pytest.raises(SecretUnusable, match="254 times"):
        roots.with_next()


@pytest.mark.parametrize("numbers", [[], [2], [1, 3], [0, 1], range(MOST + 1)])
def test_generations_are_numbered_without_a_gap(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="numbered"):
        Roots({number: bytes(32) for number in numbers})


def test_what_is_learnt_is_known_at_once_and_used_after_turning() -> None:
    roots = Roots.new()
    keys = roots.keys_for("seal")
    assert 2 not in keys
    assert roots.learn(roots.with_next())
    assert 2 in keys
    assert (keys.current, roots.newest) == (1, 2)
    roots.turn()
    assert keys.current == 2


def test_nothing_is_forgotten_for_somebody_who_knows_less() -> None:
    roots = Roots.new()
    less = Roots(roots.generations)
    roots.learn(roots.with_next())
    assert not roots.learn(less)
    assert not roots.learn(roots)
    assert roots.newest == 2


def test_roots_of_another_installation_are_refused() -> None:
    roots = Roots.new()
    with pytest.raises(ValueError, match="another installation"):
        roots.learn(Roots.new().with_next())
    assert roots.newest == 1


async def test_a_generation_that_is_not_known_is_looked_for() -> None:
    roots = Roots.new()
    more, looks = roots.with_next(), []

    async def look() -> None:
        looks.append(1)
        roots.learn(more)

    await roots.ready_for(2)
    roots.refresh_with(look)
    await roots.ready_for(1)
    assert looks == []
    await roots.ready_for(2)
    await roots.keys_for("seal").ready_for(2)
    assert looks == [1]


def test_they_show_nothing() -> None:
    roots = Roots.of(MasterSecret(b"S" * 32))
    assert "SSS" not in f"{roots!r} {roots.keys_for('seal')!r}"
    assert repr(roots) == "Roots(newest=1, current=1)"
