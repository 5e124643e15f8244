"""What is found out about a request before its decision stands."""

import pytest
from support.downstream import RecordingClient, Tap, head_of, permit_for, upload_head
from unit.proxy.enveloped import Ring

from gateway.config import Plan, Respond
from gateway.edge.opening import given_up, refused_to_open
from gateway.limits import LimitPlan
from gateway.model import Reason, Refusal
from gateway.proxy import BodyBroken, BodyTooLarge, ClientLeft


@pytest.fixture
async def ring() -> Ring:
    return await Ring.open()


def plan() -> Plan:
    permit = permit_for(head_of())
    return Plan(
        route=permit.route,
        destination=Respond(status=200),
        authn=(),
        also=(),
        because=None,
        require={},
        when=None,
        deny_early=(),
        deny_identity=(),
        limits=LimitPlan(),
        max_request=1000,
    )


async def opening(ring: Ring, client: RecordingClient, *, idle: float = 5) -> Refusal | None:
    permit = permit_for(upload_head())
    refusal = await refused_to_open(ring.decrypting()(permit), client, permit, plan(), idle=idle)
    if refusal is not None:
        assert (refusal.head, refusal.route, refusal.principal) == (
            permit.head,
            permit.route,
            permit.principal,
        )
        assert refusal.rule == permit.route.rule
    return refusal


async def test_what_opens_is_not_refused(ring: Ring) -> None:
    assert await opening(ring, RecordingClient([ring.key.seal_jwe(b"x")])) is None


async def test_what_does_not_open_is_refused_and_nobody_is_told_why(ring: Ring) -> None:
    refusal = await opening(ring, RecordingClient([b"plain"]))
    assert refusal is not None
    assert (refusal.reason, refusal.detail, refusal.close) == (Reason.DECRYPTION_FAILED, None, False)
    assert refusal.diagnosis


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (BodyTooLarge, Reason.BODY_TOO_LARGE),
        (BodyBroken, Reason.MALFORMED_REQUEST),
        (ClientLeft, Reason.REQUEST_TIMEOUT),
    ],
)
async def test_what_is_wrong_with_the_sending_ends_the_connection(
    ring: Ring, problem: type[Exception], reason: Reason
) -> None:
    tap = Tap()
    tap.let_out(problem())
    refusal = await opening(ring, RecordingClient(tap))
    assert refusal is not None
    assert (refusal.reason, refusal.close) == (reason, True)
    assert (refusal.detail == "The body may have at most 1000 bytes.") == (problem is BodyTooLarge)


def test_whoever_leaves_meanwhile_is_refused_too() -> None:
    permit = permit_for(upload_head())
    refusal = given_up(permit)
    assert (refusal.head, refusal.reason, refusal.route) == (
        permit.head,
        Reason.REQUEST_TIMEOUT,
        permit.route,
    )


async def test_a_client_that_stops_sending_is_a_timeout(ring: Ring) -> None:
    refusal = await opening(ring, RecordingClient(Tap()), idle=0.02)
    assert refusal is not None
    assert (refusal.reason, refusal.close) == (Reason.REQUEST_TIMEOUT, True)
