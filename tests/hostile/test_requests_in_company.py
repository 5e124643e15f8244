"""All attacks behind a harmless request: in the same segment, and on a connection that was used before."""

import pytest
from hostile.attacks import ALL
from hostile.battle import Battle, fight, preceded, ways_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CASES = [
    case
    for case in ALL
    # Slowness is a matter of the time between segments, what a proxy sends has a client of its own, and who
    # hangs up at once is answered once.
    if not (case.pause or case.by_proxy or case.hangs_up or (case.group == "burden" and case.lasts))
]
GROUPS = sorted({case.group for case in CASES})


@pytest.fixture(scope="module", params=[False, True], ids=["pipelined", "kept alive"])
def company(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Battle:
    """What came of all of them."""
    return fight(
        tmp_path_factory.mktemp("hostile"),
        lambda token: [
            preceded(plan, waits=request.param) for case in CASES for plan in ways_of(case, token, short=2000)
        ],
        header_timeout="60s",
    )


@pytest.mark.parametrize("group", GROUPS)
def test_attacks_are_refused_or_harmless_behind_a_good_request(company: Battle, group: str) -> None:
    names = [str(case) for case in CASES if case.group == group]
    assert {name: company.breaches[name] for name in names if company.breaches[name]} == {}


def test_nothing_leaked_and_nothing_broke(company: Battle) -> None:
    assert company.elsewhere == []
