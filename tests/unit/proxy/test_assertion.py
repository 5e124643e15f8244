"""The signed statement of who is asking."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from support.downstream import ALICE, head_of, permit_for

from gateway.model import ANONYMOUS, Permit, Principal
from gateway.proxy import Assertions


class Clock:
    def __init__(self) -> None:
        self.time = 1_700_000_000.25

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Signer:
    def __init__(self) -> None:
        self.signed: list[tuple[Mapping[str, object], str]] = []

    def __call__(self, claims: Mapping[str, object], *, typ: str) -> str:
        self.signed.append((claims, typ))
        return f"token-{len(self.signed)}"


def permit(principal: Principal = ALICE, *scopes: str) -> Permit:
    return permit_for(head_of(), principal=principal, scopes=frozenset(scopes))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def assertions(clock: Clock, signer: Signer) -> Assertions:
    return Assertions(issuer="https://gw.example", sign=signer, clock=clock)


def test_it_says_who_for_whom_and_for_how_long(assertions: Assertions, signer: Signer) -> None:
    assert assertions.about(permit(ALICE, "orders:write", "orders:read"), "orders") == b"token-1"
    assert signer.signed == [
        (
            {
                "iss": "https://gw.example",
                "aud": "orders",
                "iat": 1_700_000_000,
                "exp": 1_700_000_060,
                "sub": "usr_alice",
                "scope": "orders:read orders:write",
                "roles": ["customer", "support"],
                "auth_kind": "gateway_jwt",
            },
            "gw-assertion+jwt",
        )
    ]


def test_nobody_is_not_asserted(assertions: Assertions, signer: Signer) -> None:
    assert assertions.about(permit_for(head_of()), "orders") is None
    assert signer.signed == []


def test_it_is_kept_for_twenty_seconds(assertions: Assertions, clock: Clock) -> None:
    assert assertions.about(permit(), "orders") == b"token-1"
    clock.time += 19.9
    assert assertions.about(permit(), "orders") == b"token-1"
    clock.time += 0.2
    assert assertions.about(permit(), "orders") == b"token-2"


@pytest.mark.parametrize(
    "other",
    [
        permit(replace(ALICE, id="usr_bob")),
        permit(replace(ALICE, session="ses_2")),
        permit(replace(ALICE, roles=frozenset({"admin"}))),
        permit(replace(ALICE, authn_kind="api_key")),
        permit(ALICE, "orders:read"),
    ],
)
def test_it_is_never_shared(assertions: Assertions, other: Permit) -> None:
    assert assertions.about(permit(), "orders") == b"token-1"
    assert assertions.about(other, "orders") == b"token-2"
    assert assertions.about(permit(), "profiles") == b"token-3"
    assert assertions.about(permit(), "orders") == b"token-1"


def test_it_does_not_outlive_the_credential(assertions: Assertions, signer: Signer, clock: Clock) -> None:
    short = permit(replace(ALICE, expires_at=clock.time + 5))
    assertions.about(short, "orders")
    assert signer.signed[0][0]["exp"] == 1_700_000_005
    clock.time += 5
    assertions.about(short, "orders")
    assert len(signer.signed) == 2


@pytest.mark.parametrize("left", [-29.0, -0.1, 0.2])
def test_a_credential_that_is_taken_past_its_end_is_asserted_for_the_moment_of_reading(
    assertions: Assertions, signer: Signer, clock: Clock, left: float
) -> None:
    late = permit(replace(ALICE, expires_at=clock.time + left))
    assertions.about(late, "orders")
    assertions.about_request(late, "orders", url="https://orders.internal/orders")
    assert [claims["exp"] for claims, _ in signer.signed] == [1_700_000_005] * 2


def test_a_credential_that_is_renewed_gets_the_longer_life(
    assertions: Assertions, signer: Signer, clock: Clock
) -> None:
    assertions.about(permit(replace(ALICE, expires_at=clock.time + 5)), "orders")
    clock.time += 6
    assertions.about(permit(replace(ALICE, expires_at=clock.time + 600)), "orders")
    assert signer.signed[1][0]["exp"] == 1_700_000_066


def test_what_is_kept_stays_bounded(assertions: Assertions, signer: Signer) -> None:
    for number in range(10_050):
        assertions.about(permit(replace(ALICE, id=f"usr_{number}")), "orders")
    assert repr(assertions) == "Assertions(issuer='https://gw.example', kept=10000)"
    assertions.about(permit(replace(ALICE, id="usr_10049")), "orders")
    assert len(signer.signed) == 10_050
    assertions.about(permit(replace(ALICE, id="usr_0")), "orders")
    assert len(signer.signed) == 10_051


def test_bound_to_a_request_it_says_which_and_is_never_used_for_another(
    assertions: Assertions, signer: Signer
) -> None:
    for number in (1, 2):
        token = assertions.about_request(permit(), "orders", url="https://orders.internal/orders/1")
        assert token == b"token-%d" % number
    claims, typ = signer.signed[0]
    assert typ == "gw-assertion+jwt"
    assert (claims["rid"], claims["htm"]) == (permit().head.id, "GET")
    assert claims["htu"] == "https://orders.internal/orders/1"
    assertions.about(permit(), "orders")
    plain, _ = signer.signed[2]
    assert plain == {name: value for name, value in claims.items() if name not in ("rid", "htm", "htu")}


def test_nobody_has_no_bound_assertion_either(assertions: Assertions, signer: Signer) -> None:
    assert assertions.about_request(permit(ANONYMOUS), "orders", url="http://a/") is None
    assert signer.signed == []
