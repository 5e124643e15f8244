"""Two gateways are replaced one after the other while clients ask without pause, and nobody notices."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually
from support.raw import Raw

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000


class Clients:
    """Clients of two gateways. Each keeps its connection as long as it is allowed to, and asks the other one
    when nobody listens. No request is ever sent again: not even one that a kept connection swallows."""

    def __init__(self, ports: list[int], *, count: int) -> None:
        self.answered: Counter[int] = Counter()
        """By port."""
        self.failed: list[str] = []
        self._ports = ports
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads), "a request hangs"

    def _run(self, number: int) -> None:
        # Some never stop, some take a breath, some use a connection a few times only.
        pause = (0.0, 0.005, 0.05, 0.0)[number % 4]
        each = 10 if number % 4 == 3 else 1_000_000
        for turn in itertools.count(number):
            if self._over.is_set():
                return
            port = self._ports[turn % 2]
            try:
                raw = Raw(port, timeout=15)
            except ConnectionRefusedError:
                self._over.wait(0.002)
                continue
            with raw:
                self._use(raw, port, POST if number % 2 else GET, pause, each)

    def _use(self, raw: Raw, port: int, request: bytes, pause: float, each: int) -> None:
        for turn in range(each):
            if self._over.wait(pause):
                return
            try:
                raw.send(request)
                reply = raw.reply()
            except (OSError, ValueError, IndexError) as error:
                self.failed.append(f"request {turn} of a connection: {error!r}")
                return
            if reply is None or reply.status != 200:
                self.failed.append(f"request {turn} of a connection: {reply and reply.status}")
                return
            self.answered[port] += 1
            if reply.header("connection") == "close":
                return


@pytest.fixture
def pair(service: str, tmp_path: Path) -> Iterator[list[Gateway]]:
    """Two gateways that keep their ports when they are started again."""
    with ExitStack() as stack:
        both = []
        for name in ("one", "other"):
            gateway = Gateway(
                tmp_path / name, policies=POLICIES, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service}
            )
            stack.callback(gateway.kill)
            gateway.start()
            gateway.environ["GATEWAY_LISTEN"] = f"127.0.0.1:{gateway.port}"
            both.append(gateway)
        yield both


def replace(pair: list[Gateway], clients: Clients, times: int) -> None:
    for gateway in (pair * times)[: 2 * times]:
        before = clients.answered.copy()
        eventually(lambda before=before: all(clients.answered[p] > before[p] + 20 for p in clients.answered))
        assert gateway.stop() == 0
        gateway.start()


@pytest.mark.slow
def test_no_request_fails_while_two_gateways_are_replaced_in_turns(pair: list[Gateway]) -> None:
    with Clients([one.port for one in pair], count=8) as clients:
        replace(pair, clients, 2)
    assert clients.failed == []
    assert sum(clients.answered.values()) > 1000


def test_an_idle_client_is_sent_away_and_nothing_is_waited_for_longer(pair: list[Gateway]) -> None:
    gateway = pair[0]
    with Raw(gateway.port) as used, Raw(gateway.port) as silent:
        used.send(GET)
        reply = used.reply()
        assert reply is not None
        assert reply.header("connection") is None
        assert gateway.stop() == 0
        assert used.is_closed()
        assert silent.is_closed()
