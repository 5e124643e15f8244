"""One battle for all attacks that are asked for: by clients, and by upstreams."""

import pytest
from hostile.attacks import ALL
from hostile.battle import Battle, Plan, fight, ways_of
from hostile.lies import LIES
from hostile.lies.lie import tell
from support.shared import worked_out_once


@pytest.fixture(scope="session")
def battle(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Battle:
    """What came of them."""
    asked = {
        str(value)
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        for name, value in item.callspec.params.items()
        if name in {"case", "lie"}
    }
    told, apart = tell([lie for lie in LIES if str(lie) in asked])
    lies = [Plan(each.case, each.way, each.segments, each.lie) for each in told]
    cases = [case for case in ALL if str(case) in asked]

    def fought() -> dict[str, object]:
        battle = fight(
            tmp_path_factory.mktemp("hostile"),
            lambda token: [*lies, *(plan for case in cases for plan in ways_of(case, token))],
            scripts={each.path: each.script for each in told},
            apart=apart,
        )
        return {"breaches": battle.breaches, "shots": battle.shots, "elsewhere": battle.elsewhere}

    return Battle(**worked_out_once("battle", fought, tmp_path_factory))
