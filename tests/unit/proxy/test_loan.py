"""What an exchange counts for."""

import asyncio

import pytest

from gateway.config import CircuitRules, OpenAfter, PoolRules, Target
from gateway.proxy import Fault
from gateway.proxy.circuit import Circuit
from gateway.proxy.connection import Connection
from gateway.proxy.instance import Instance
from gateway.proxy.line import Line
from gateway.proxy.loan import UPSTREAMS_OWN, CountedLoan, Loan
from gateway.proxy.pool import Pool


class Counted:
    """A loan that says what was counted. Its connection leads nowhere."""

    def __init__(self, connection: Connection) -> None:
        target = Target(scheme="https", host="service.example", port=8443)
        rules = PoolRules(max_connections=1, max_waiting=1, keepalive=1)
        self.instance = Instance("orders", target, Pool(target, rules, Line("orders")))
        self.circuit = Circuit(
            "orders",
            CircuitRules(open_after=OpenAfter(errors=1, within=10, at_least=1000)),
            lambda: 0.0,
        )
        self.verdicts: list[bool] = []
        self.loan = CountedLoan(
            self.instance, connection, 1, self.judge, self.circuit, is_probe=self.circuit.enter()
        )

    def judge(self, instance: Instance, *, good: bool) -> None:
        assert instance is self.instance
        self.verdicts.append(good)


@pytest.fixture
async def connection() -> Connection:
    return Connection(asyncio.get_running_loop())


@pytest.mark.parametrize(
    ("status", "good"), [(101, True), (200, True), (404, True), (499, True), (500, False)]
)
async def test_a_status_of_500_or_more_is_an_error(connection: Connection, status: int, good: bool) -> None:
    counted = Counted(connection)
    counted.loan.answered(status)
    counted.loan.give_back()
    assert counted.verdicts == [good]
    assert f"bad={int(not good)}/1" in repr(counted.circuit)


async def test_an_error_counts_at_once_because_a_repeat_may_follow(connection: Connection) -> None:
    counted = Counted(connection)
    counted.loan.answered(503)
    assert counted.verdicts == [False]


@pytest.mark.parametrize("status", [200, 500])
async def test_an_exchange_counts_once_and_a_body_that_breaks_off_is_an_error(
    connection: Connection, status: int
) -> None:
    counted = Counted(connection)
    counted.loan.answered(status)
    counted.loan.failed(Fault.RESPONSE_BODY_UPSTREAM)
    counted.loan.give_back()
    assert counted.verdicts == [False]
    assert "bad=1/1" in repr(counted.circuit)


async def test_a_client_that_leaves_takes_nothing_from_a_good_answer(connection: Connection) -> None:
    counted = Counted(connection)
    counted.loan.answered(200)
    counted.loan.failed(Fault.CLIENT_LEFT)
    counted.loan.give_back()
    assert counted.verdicts == [True]


async def test_an_exchange_without_an_answer_or_a_fault_counts_for_nothing(connection: Connection) -> None:
    counted = Counted(connection)
    counted.loan.give_back()
    assert counted.verdicts == []


async def test_a_probe_that_is_answered_well_closes_the_circuit_before_its_body_has_come(
    connection: Connection,
) -> None:
    counted = Counted(connection)
    now = 0.0
    rules = CircuitRules(open_after=OpenAfter(errors=1, within=10, at_least=1), probe_every=1)
    circuit = Circuit("orders", rules, lambda: now)
    circuit.count(good=False, is_probe=False)
    now = 2.0
    loan = CountedLoan(counted.instance, connection, 0, None, circuit, is_probe=circuit.enter())
    assert "probing" in repr(circuit)
    loan.answered(200)
    assert "closed" in repr(circuit)
    loan.give_back()
    assert "bad=0/0" in repr(circuit)


@pytest.mark.parametrize("fault", list(Fault))
async def test_only_what_the_upstream_did_is_an_error(connection: Connection, fault: Fault) -> None:
    counted = Counted(connection)
    counted.loan.failed(fault)
    assert counted.verdicts == ([False] if fault in UPSTREAMS_OWN else [])
    is_client_s = "client" in fault.value or fault in {Fault.GIVEN_UP, Fault.RECALLED, Fault.TUNNEL_IDLE}
    assert not (is_client_s and counted.verdicts)


async def test_a_place_is_free_once_it_is_given_back(connection: Connection) -> None:
    counted = Counted(connection)
    assert counted.circuit.active == 1
    counted.loan.give_back()
    assert counted.circuit.active == 0


async def test_a_plain_loan_counts_for_nothing(connection: Connection) -> None:
    pool = Counted(connection).instance.pool
    loan = Loan(pool, connection)
    loan.answered(500)
    loan.failed(Fault.RESPONSE_HEAD)
    loan.give_back()
    assert (loan.authority, loan.scheme, loan.attempts) == (b"service.example:8443", "https", 0)
    assert "service.example" in repr(loan)
