"""Attacks by upstreams: no lie is passed on as the truth, however its bytes are cut."""

import pytest
from hostile.battle import Battle
from hostile.lies import LIES
from hostile.lies.lie import Lie

# The first test waits for the whole battle, which a loaded machine takes its time for.
pytestmark = pytest.mark.timeout(180)


def test_every_lie_has_a_name_of_its_own() -> None:
    names = [str(lie) for lie in LIES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_lie_is_not_believed(battle: Battle, lie: Lie) -> None:
    assert battle.breaches[str(lie)] == []
