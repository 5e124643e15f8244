"""A connection to a target, lent for one exchange, and what the exchange then counts for."""

from typing import Final, Protocol

from gateway.proxy.circuit import Circuit
from gateway.proxy.connection import Connection
from gateway.proxy.faults import Fault
from gateway.proxy.instance import Instance
from gateway.proxy.pool import Pool

UPSTREAMS_OWN: Final = frozenset(
    {
        Fault.CONNECT,
        Fault.CONNECT_TIMEOUT,
        Fault.TLS,
        Fault.REQUEST_BODY_UPSTREAM,
        Fault.REQUEST_BODY_TIMEOUT,
        Fault.RESPONSE_HEAD,
        Fault.RESPONSE_HEAD_TIMEOUT,
        Fault.RESPONSE_BODY_UPSTREAM,
    }
)
"""Faults that count against an upstream. The others are the client's doing, or the gateway's."""
_SERVER_ERROR: Final = 500


class Judge(Protocol):
    """Whoever decides what becomes of a target."""

    def __call__(self, instance: Instance, *, good: bool) -> None:
        """Take it that an exchange with the target went well, or did not."""


class Loan:
    """A connection to a target. Whoever has it gives it back exactly once, whatever happened."""

    __slots__ = ("_pool", "connection")

    attempts = 0
    """Retries that led to it: targets that could not be connected to, and repeats of the request."""

    def __init__(self, pool: Pool, connection: Connection) -> None:
        self._pool = pool
        self.connection = connection

    def __repr__(self) -> str:
        return f"Loan({self._pool!r}, {self.connection!r}, attempts={self.attempts})"

    @property
    def authority(self) -> bytes:
        """What a Host field for the target holds."""
        return self._pool.authority

    @property
    def scheme(self) -> str:
        """`https` when the connection is secured, else `http`, also on a unix socket."""
        return "https" if self._pool.target.scheme == "https" else "http"

    def answered(self, status: int) -> None:
        """Count the final head of a response: a status of 500 or more is an error."""

    def failed(self, fault: Fault) -> None:
        """Count what ended the exchange early, unless it is the client's or the gateway's doing."""

    def give_back(self) -> None:
        """End the exchange: the connection is kept for another when it is fit for one, else closed."""
        connection = self.connection
        if connection.end_exchange():
            self._pool.offer(connection)


class CountedLoan(Loan):
    """A loan that came about by retries, or whose exchange counts: with its target, and in the circuit of its
    upstream. It counts once.

    An error counts when it is seen. What goes well counts at its end, because until then a body may break
    off; but a probe is let through to find out whether the upstream answers.
    """

    __slots__ = ("_circuit", "_is_probe", "_judge", "_was_answered", "_was_counted", "attempts", "instance")

    def __init__(
        self,
        instance: Instance,
        connection: Connection,
        attempts: int,
        judge: Judge | None,
        circuit: Circuit | None,
        *,
        is_probe: bool,
    ) -> None:
        """`circuit` has let the exchange through; each is None where there is nothing to count."""
        self._pool = instance.pool
        self.connection = connection
        self.instance = instance
        self.attempts = attempts
        self._judge = judge
        self._circuit = circuit
        self._is_probe = is_probe
        self._was_answered = False
        self._was_counted = False

    def answered(self, status: int) -> None:
        """Take the final head of a response: a status of 500 or more is an error."""
        self._was_answered = True
        if status >= _SERVER_ERROR:
            self._count(good=False)
        elif self._is_probe:
            self._count(good=True)

    def failed(self, fault: Fault) -> None:
        """Count what ended the exchange early, unless it is the client's or the gateway's doing."""
        if fault in UPSTREAMS_OWN:
            self._count(good=False)

    def give_back(self) -> None:
        """End the exchange, also for the circuit."""
        super().give_back()
        if self._was_answered:
            self._count(good=True)
        if self._circuit is not None:
            self._circuit.leave(is_probe=self._is_probe)

    def _count(self, *, good: bool) -> None:
        if self._was_counted:
            return
        self._was_counted = True
        if self._judge is not None:
            self._judge(self.instance, good=good)
        if self._circuit is not None:
            self._circuit.count(good=good, is_probe=self._is_probe)
