"""Every fault has its problem."""

import pytest

from gateway.model import STATUS_AND_TITLE, Outcome, Reason
from gateway.proxy import Fault, UpstreamFault, outcome_of, reason_for


def test_every_fault_becomes_a_problem() -> None:
    # A permit that is recalled holds when the exchange begins.
    for fault in set(Fault) - {Fault.RECALLED}:
        status, _ = STATUS_AND_TITLE[reason_for(fault)]
        assert status in (408, 502, 503, 504)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.NO_UPSTREAM, Reason.UPSTREAM_UNREACHABLE),
        (Fault.CONNECT, Reason.UPSTREAM_UNREACHABLE),
        (Fault.CONNECT_TIMEOUT, Reason.UPSTREAM_TIMEOUT),
        (Fault.RESPONSE_HEAD_TIMEOUT, Reason.UPSTREAM_TIMEOUT),
        (Fault.RESPONSE_HEAD, Reason.UPSTREAM_PROTOCOL_ERROR),
        (Fault.POOL_FULL, Reason.OVERLOADED),
        (Fault.MEMORY_FULL, Reason.OVERLOADED),
        (Fault.NOT_ENCRYPTABLE, Reason.RESPONSE_NOT_ENCRYPTABLE),
    ],
)
def test_the_client_is_told_what_kind_of_failure_it_was(fault: Fault, reason: Reason) -> None:
    assert reason_for(fault) is reason


def test_a_fault_says_what_and_where() -> None:
    fault = UpstreamFault(Fault.CONNECT, "10.0.0.1:80: refused")
    assert str(fault) == "connect: 10.0.0.1:80: refused"
    assert str(UpstreamFault(Fault.CONNECT)) == "connect"


def test_only_an_upstreams_failure_is_called_one() -> None:
    assert outcome_of(Fault.CLIENT_LEFT) is Outcome.CLIENT_LEFT
    assert outcome_of(Fault.REQUEST_BODY_CLIENT) is Outcome.CUT
    assert outcome_of(Fault.NOT_ENCRYPTABLE) is Outcome.CUT
    assert outcome_of(Fault.MEMORY_FULL) is Outcome.CUT
    assert outcome_of(Fault.RESPONSE_HEAD_TIMEOUT) is Outcome.UPSTREAM_FAILED
