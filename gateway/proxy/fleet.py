"""The live side of one upstream: its targets, which of them is chosen, and how many retries are left."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Final

from gateway.config import Target, Upstream
from gateway.model import Framing, Permit
from gateway.proxy.balance import Balance, balance_of
from gateway.proxy.circuit import Circuit
from gateway.proxy.connection import Connection
from gateway.proxy.dial import Dial, is_literal
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.health import Checks
from gateway.proxy.instance import Instance
from gateway.proxy.line import Line
from gateway.proxy.loan import UPSTREAMS_OWN, CountedLoan, Loan
from gateway.proxy.outlier import may_eject
from gateway.proxy.pool import Pool
from gateway.proxy.request_head import RequestHeads
from gateway.proxy.resolver import FRESH, LookUp, Resolver, ask_system
from gateway.proxy.response_head import ResponseHeads
from gateway.proxy.retry import RetryBudget
from gateway.proxy.tls import Credentials
from gateway.proxy.usage import TargetUsage, Usage

__all__ = ["Fleet", "Loan", "Usage"]

_NOTHING_SENT: Final = frozenset({Fault.CONNECT, Fault.CONNECT_TIMEOUT, Fault.TLS})
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MOMENT: Final = 1.0
"""Seconds for which a target that could not be connected to is used only when there is no other."""


class Fleet:
    """The targets of one upstream."""

    def __init__(self, upstream: Upstream, *, look_up: LookUp = ask_system) -> None:
        """`look_up` finds the addresses of names."""
        self.faults: Counter[Fault] = Counter()
        """Exchanges that failed, by what failed."""
        self._now = asyncio.get_running_loop().time
        self._retries = 0
        self._line: Line[Pool] = Line(upstream.id)
        self._resolver = Resolver(look_up=look_up, on_change=self._addresses_changed)
        self._credentials = Credentials(upstream.tls)
        self._dial = Dial(self._resolver, self._credentials)
        self._checks = Checks()
        self._circuit: Circuit | None = None
        self._instances: list[Instance] = []
        self._retired: list[Instance] = []
        # Targets that could not be connected to, and until when others are preferred.
        self._unreachable: dict[Instance, float] = {}
        self._adopt(upstream)

    def __repr__(self) -> str:
        return f"Fleet({self.upstream.id}, {self._instances})"

    def follow(self, upstream: Upstream) -> None:
        """Go over to a new configuration, keeping the connections to targets that are still named."""
        if upstream != self.upstream:
            self._adopt(upstream)

    def requests(self, credential_fields: frozenset[bytes]) -> RequestHeads:
        """Return what writes request heads when these fields carry credentials."""
        heads = self._requests.get(credential_fields)
        if heads is None:
            heads = self._requests[credential_fields] = RequestHeads(
                self.upstream.forward, credential_fields, self.upstream.rewrite
            )
        return heads

    async def borrow(self, permit: Permit, after: Loan | None = None) -> Loan:
        """Return a connection to the target that is chosen for a request.

        A target that cannot be connected to is passed over for another, within the rules for retries: nothing
        has been sent yet. `after` is the loan, given back, whose exchange is repeated: another target is
        preferred. Raises `UpstreamFault`; then, and when it is cancelled, nothing has to be given back.
        """
        if after is None:
            only = self._only
            if only is not None and (connection := only.take()) is not None:
                return Loan(only, connection)
            self._budget.earn()
        circuit = self._circuit
        is_probe = circuit is not None and circuit.enter()
        try:
            instance = self._balance.turn(permit) if after is None and not self._unreachable else None
            connection = None if instance is None else instance.pool.take()
            if instance is not None and connection is not None:
                attempts = 0
            else:
                instance, connection, attempts = await self._find(permit, after, instance)
        except BaseException as problem:
            if circuit is not None:
                if isinstance(problem, UpstreamFault) and problem.fault in UPSTREAMS_OWN:
                    circuit.count(good=False, is_probe=is_probe)
                circuit.leave(is_probe=is_probe)
            raise
        judge = self._judge if self._judges else None
        return CountedLoan(instance, connection, attempts, judge, circuit, is_probe=is_probe)

    def may_repeat(self, permit: Permit, status: int, loan: Loan) -> bool:
        """Say whether a request that was answered with this status may be sent once more, and count it.

        Ask only while the client has been sent nothing; then give the loan back and borrow `after` it.
        Repeats and targets that could not be connected to (`loan.attempts`) are bounded together by
        `retries.max`.
        """
        head, retries = permit.head, self.upstream.retries
        if (
            str(status) not in retries.on
            or head.method not in _REPEATABLE
            or (head.framing is not Framing.NONE and (head.content_length or head.content_length is None))
            or loan.attempts >= retries.max
            or all(one.is_out for one in self._instances)
            or (self._circuit is not None and self._circuit.state != "closed")
            or not self._budget.spend()
        ):
            return False
        self._retries += 1
        return True

    async def run_checks(self) -> None:
        """Ask the targets how they are, and the names where they lead, for as long as it runs."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._checks.run())
            tasks.create_task(self._follow_names())

    def usage(self) -> Usage:
        """Return what it is doing now."""
        pools = [one.pool for one in (*self._instances, *self._retired)]
        return Usage(
            busy=sum(pool.busy for pool in pools),
            idle=sum(pool.idle for pool in pools),
            waiting=len(self._line.waiters),
            retries=self._retries,
            faults=dict(self.faults),
            targets={
                one.name: TargetUsage(one.state, one.ejections, dict(one.checks)) for one in self._instances
            },
            circuit=None if self._circuit is None else self._circuit.state,
        )

    def retire(self) -> None:
        """Keep nothing from now on: the configuration no longer names the upstream. What runs goes on."""
        self._checks.follow((), None, self._dial)
        for one in self._instances:
            one.retire()

    @property
    def is_over(self) -> bool:
        """Whether no connection is left, and nobody waits for one."""
        return not (self._line.waiters or any(one.pool.count for one in (*self._instances, *self._retired)))

    def close(self) -> None:
        """Close every connection, and turn away whoever waits."""
        stopping = UpstreamFault(Fault.GIVEN_UP, f"{self.upstream.id}: the gateway is stopping")
        self._line.turn_away(stopping)
        self._resolver.close()
        for one in (*self._instances, *self._retired):
            one.retire()
            one.pool.close(stopping)

    # Choosing.

    async def _find(
        self, permit: Permit, after: Loan | None, instance: Instance | None
    ) -> tuple[Instance, Connection, int]:
        """Return a connection, the target that it leads to, and how many retries that took in all.

        `instance` is the first choice, None when it is to be made.
        """
        within = self.upstream.timeouts.connect
        attempts = 0 if after is None else after.attempts + 1
        avoided = self._to_avoid(after)
        tried: list[Instance] = []
        full: list[Instance] = []
        failure: UpstreamFault | None = None
        while True:
            if instance is None:
                instance = self._balance.turn(permit, [*tried, *full, *avoided])
            connection: Connection | None = None
            if instance is not None:
                connection = instance.pool.take()
                if connection is None and not instance.pool.reserve():
                    full.append(instance)
                    instance = None
                    continue
            elif avoided:
                avoided = []
                continue
            elif full:
                instance, connection = await self._wait_in_line(tried)
                if instance is None or (connection is not None and not connection.is_usable()):
                    if connection is not None:
                        connection.abort()
                    full.clear()
                    instance = None
                    continue
            else:
                raise failure or self._nothing_left()
            if connection is not None:
                return instance, connection, attempts
            try:
                connection = await instance.pool.open(self._dial, within)
            except UpstreamFault as problem:
                self._judge(instance, good=False)
                if len(self._instances) > 1:
                    self._unreachable[instance] = self._now() + _MOMENT
                # The frames that it came through would hold it, and it them.
                failure = problem.with_traceback(None)
                tried.append(instance)
                full.clear()
                if not self._may_try_another(problem, attempts, tried):
                    raise
                attempts += 1
                self._retries += 1
                instance = None
            else:
                self._unreachable.pop(instance, None)
                return instance, connection, attempts

    def _to_avoid(self, after: Loan | None) -> list[Instance]:
        """Return the targets that are used only when there is no other.

        That are the one whose exchange is repeated, and those that could not be connected to a moment ago:
        one request at a time tries them again.
        """
        avoided = [after.instance] if isinstance(after, CountedLoan) else []
        now = self._now()
        for one, until in self._unreachable.items():
            if now < until:
                avoided.append(one)
            else:
                self._unreachable[one] = now + _MOMENT
        return avoided

    async def _wait_in_line(self, tried: Iterable[Instance]) -> tuple[Instance | None, Connection | None]:
        pool, connection = await self._line.wait(
            self.upstream.timeouts.connect,
            self.upstream.pool.max_waiting,
            [one.pool for one in tried],
        )
        # The configuration may have changed meanwhile, and the connection, which was the last one to a target
        # that is gone, may have ended.
        found = (one for one in (*self._instances, *self._retired) if one.pool is pool)
        return next(found, None), connection

    def _may_try_another(self, problem: UpstreamFault, attempts: int, tried: list[Instance]) -> bool:
        retries = self.upstream.retries
        return (
            problem.fault in _NOTHING_SENT
            and "connect_failure" in retries.on
            and attempts < retries.max
            and any(not one.is_out and one not in tried for one in self._instances)
            and self._budget.spend()
        )

    def _nothing_left(self) -> UpstreamFault:
        if not self._instances:
            return UpstreamFault(Fault.NO_UPSTREAM, f"{self.upstream.id} has no target")
        states = ", ".join(f"{one.name} is {one.state}" for one in self._instances)
        return UpstreamFault(Fault.UNHEALTHY, states)

    def _judge(self, instance: Instance, *, good: bool) -> None:
        rules = self.upstream.outlier
        if rules is None:
            return
        if good:
            instance.went_well()
        elif instance.failed(rules) and may_eject(
            rules,
            targets=len(self._instances),
            ejected=sum(one.is_ejected for one in self._instances),
            usable=sum(not one.is_out for one in self._instances),
        ):
            instance.eject(rules)

    # Names.

    def _addresses_changed(self, name: str, addresses: frozenset[str]) -> None:
        for one in (*self._instances, *self._retired):
            if _name_of(one.target) == name:
                one.pool.follow(addresses)

    async def _follow_names(self) -> None:
        """Notice also while no new connection is made that a name has lost an address."""
        while True:
            await asyncio.sleep(FRESH)
            self._refresh_names()

    def _refresh_names(self) -> None:
        for one in self._instances:
            if one.pool.count and (name := _name_of(one.target)) is not None:
                self._resolver.refresh(name)

    # Configuration.

    def _adopt(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.responses = ResponseHeads(upstream.forward)
        self._requests: dict[frozenset[bytes], RequestHeads] = {}
        self._budget = RetryBudget(upstream.retries.budget)
        has_other_tls = upstream.tls != self._credentials.rules
        if has_other_tls:
            self._credentials = Credentials(upstream.tls)
            self._dial = Dial(self._resolver, self._credentials)
        known = {one.name: one for one in self._instances}
        self._instances = []
        for target in _each_once(upstream.targets):
            instance = known.get(target.name)
            if instance is None or (has_other_tls and target.scheme == "https"):
                instance = Instance(upstream.id, target, Pool(target, upstream.pool, self._line))
            else:
                del known[target.name]
            instance.weight = target.weight
            instance.pool.adopt(upstream.pool)
            if upstream.health is None:
                instance.is_checked_no_more()
            if upstream.outlier is None:
                instance.pardon()
            self._instances.append(instance)
        for gone in known.values():
            gone.retire()
            self._unreachable.pop(gone, None)
        self._retired = [one for one in (*self._retired, *known.values()) if one.pool.count]
        self._resolver.keep_only(
            frozenset(name for one in self._instances if (name := _name_of(one.target)) is not None)
        )
        self._balance: Balance[Instance] = balance_of(upstream, self._instances)
        self._checks.follow(self._instances, upstream.health, self._dial)
        self._follow_circuit(upstream)
        self._judges = upstream.outlier is not None
        # The usual upstream has one target, never repeats a request and counts nothing.
        is_plain = (
            len(self._instances) == 1
            and upstream.retries.on <= {"connect_failure"}
            and not self._judges
            and self._circuit is None
        )
        self._only = self._instances[0].pool if is_plain else None
        for one in self._instances:
            one.pool.offer_room()

    def _follow_circuit(self, upstream: Upstream) -> None:
        if upstream.circuit is None:
            self._circuit = None
        elif self._circuit is None:
            self._circuit = Circuit(upstream.id, upstream.circuit, self._now)
        else:
            self._circuit.follow(upstream.circuit)


def _each_once(targets: Iterable[Target]) -> list[Target]:
    """Return targets of different names: one that is named twice is one set of connections, and weighs as
    much as both."""
    by_name: dict[str, Target] = {}
    for target in targets:
        known = by_name.get(target.name)
        weight = target.weight + (known.weight if known is not None else 0)
        by_name[target.name] = Target(scheme=target.scheme, host=target.host, port=target.port, weight=weight)
    return list(by_name.values())


def _name_of(target: Target) -> str | None:
    """Return what must be looked up before a target can be connected to."""
    return None if target.scheme == "unix" or is_literal(target.host) else target.host
