"""Attacks by clients: each is refused or harmless, however its bytes are cut."""

import pytest
from hostile.attacks import ALL
from hostile.battle import Battle
from hostile.case import Case, names_twice

# The first test waits for the whole battle, which a loaded machine takes its time for.
pytestmark = pytest.mark.timeout(180)


def test_every_attack_has_a_name_of_its_own() -> None:
    assert names_twice(ALL) == []


@pytest.mark.parametrize("case", ALL, ids=str)
def test_an_attack_is_refused_or_harmless(battle: Battle, case: Case) -> None:
    assert battle.breaches[str(case)] == []


def test_nothing_leaked_and_nothing_broke(battle: Battle) -> None:
    assert battle.elsewhere == []
