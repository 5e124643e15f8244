"""Keys change while they are used: nothing fails, and what is retired opens nowhere any more."""

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest
from flows_encryption import (
    AT_ONCE,
    CRYPTO,
    JSON,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    crypto_keys,
    environ,
    version_of,
)
from support.gateway import Gateway, eventually
from support.raw import Raw, RawReply
from support.scripted import Scripted, scripted
from support.servers import empty_redis_url, postgresql_url
from support.sql import new_database

PLAIN = b'{"total": 4711}'


class Line:
    """One kept connection, which one process answers."""

    def __init__(self, port: int, token: str) -> None:
        self._raw = Raw(port)
        self._fields = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"

    def ask(self, method: str, path: str, body: bytes = b"") -> RawReply:
        head = f"{method} {path} HTTP/1.1\r\n{self._fields}{JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._raw.send(head.encode() + body)
        reply = self._raw.reply()
        assert reply is not None
        return reply

    def call(self, verb: str, **item: str) -> RawReply:
        return self.ask("POST", f"{CRYPTO}{verb}/reports", json.dumps(item).encode())

    def sealed(self) -> str:
        """Return a response that came encrypted."""
        reply = self.ask("GET", "/sealed/report")
        assert (reply.status, reply.header("content-type")) == (200, "application/jose"), reply.body
        return reply.body.decode("ascii")

    def encrypted(self) -> str:
        """Return a ciphertext of the API."""
        reply = self.call("encrypt", plaintext=base64.b64encode(PLAIN).decode())
        assert reply.status == 200, reply.body
        found: str = json.loads(reply.body)["ciphertext"]
        return found

    def opens(self, ciphertext: str) -> bool:
        """Say whether a ciphertext is opened; the other answer is the one to any that cannot be."""
        reply = self.call("decrypt", ciphertext=ciphertext)
        if reply.status == 200:
            assert base64.b64decode(json.loads(reply.body)["plaintext"]) == PLAIN
            return True
        assert (reply.status, json.loads(reply.body)["type"]) == (
            400,
            "urn:gateway:problem:decryption-failed",
        )
        return False

    def close(self) -> None:
        self._raw.__exit__()


@contextmanager
def lines(gateways: Sequence[Gateway], token: str, *, each: int) -> Iterator[list[Line]]:
    """Lend connections to every process of some gateways: new ones go to whoever has the fewest."""
    with ExitStack() as stack:
        found = [Line(gateway.port, token) for gateway in gateways for _ in range(each)]
        for line in found:
            stack.callback(line.close)
        yield found


class Load:
    """Clients that read, encrypt and decrypt without a pause, and what became of it."""

    def __init__(self, gateways: Sequence[Gateway], token: str, *, each: int) -> None:
        self._gateways = gateways
        self._token = token
        self._each = each
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.done: Counter[str] = Counter()
        self.problems: list[BaseException] = []

    def __enter__(self) -> Self:
        for gateway in self._gateways:
            for _ in range(self._each):
                other = self._gateways[-1 - self._gateways.index(gateway)]
                thread = threading.Thread(target=self._run, args=(gateway, other))
                thread.start()
                self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, gateway: Gateway, other: Gateway) -> None:
        with (
            lines([gateway], self._token, each=1) as (here,),
            lines([other], self._token, each=1) as (there,),
        ):
            try:
                while not self._stop.is_set():
                    # What one process has sealed is opened by another, which may not know the version yet.
                    assert there.opens(here.sealed())
                    sealed = here.encrypted()
                    assert there.opens(sealed)
                    renewed = there.call("rewrap", ciphertext=sealed)
                    assert renewed.status == 200, renewed.body
                    assert here.opens(json.loads(renewed.body)["ciphertext"])
                    self.done["rounds"] += 1
            except BaseException as problem:  # noqa: BLE001 - told to the test
                self.problems.append(problem)


def rotated(gateway: Gateway, asked: Sequence[Line]) -> int:
    """Rotate, and return the new version once every process seals with it."""
    version: int = crypto_keys(gateway, "rotate", "reports")["version"]
    eventually(
        lambda: all(version_of(line.sealed()) == version_of(line.encrypted()) == version for line in asked),
        within=AT_ONCE,
        what=f"version {version} seals everywhere",
    )
    return version


def goes_through_rotations(
    upstream: Scripted, gateways: Sequence[Gateway], *, processes: int, rounds: int, each: int
) -> None:
    """Rotate and retire, again and again, while clients work."""
    upstream.says("report", PLAIN, JSON)
    first = gateways[0]
    first.create_user("kim", PASSWORD, "keeper")
    assert first.run("crypto-keys", "create", "reports").returncode == 0
    token = first.login("kim", PASSWORD)["access_token"]
    with lines(gateways, token, each=processes) as asked:
        eventually(lambda: asked[-1].ask("GET", "/sealed/report").status == 200, within=AT_ONCE)
        old = [asked[0].sealed(), asked[-1].encrypted()]
        assert {version_of(one) for one in old} == {1}
        with Load(gateways, token, each=each) as load:
            for number in range(rounds):
                version = rotated(gateways[number % len(gateways)], asked)
                assert version == number + 2
                assert all(line.opens(one) for line in asked for one in old), "overlap"
            between = asked[0].sealed()
            newest = rotated(first, asked)
            crypto_keys(first, "retire", "reports", "--min-decryption-version", str(newest - 1))
            eventually(
                lambda: not any(line.opens(one) for line in asked for one in old),
                within=AT_ONCE,
                what="retired versions open nowhere",
            )
            assert all(line.opens(between) for line in asked)
            crypto_keys(first, "retire", "reports")
            eventually(lambda: not any(line.opens(between) for line in asked), within=AT_ONCE)
            rounds_before = load.done["rounds"]
            eventually(lambda: load.problems or load.done["rounds"] > rounds_before + each, within=20)
        assert load.problems == []
        # A retirement can be taken back: nothing was destroyed.
        crypto_keys(first, "retire", "reports", "--min-decryption-version", "1")
        eventually(lambda: all(line.opens(one) for line in asked for one in old), within=AT_ONCE)
    for gateway in gateways:
        assert gateway.events("request_failed") == gateway.events("forwarding_failed") == []
        assert '"level": "error"' not in "\n".join(gateway.lines)


def test_nothing_fails_while_a_key_is_rotated_and_old_versions_are_retired(tmp_path: Path) -> None:
    with scripted() as upstream, ExitStack() as stack:
        gateway = Gateway(
            tmp_path,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ=environ(upstream, GATEWAY_LOG_LEVEL="info"),
        )
        stack.callback(gateway.kill)
        goes_through_rotations(upstream, [gateway.start()], processes=1, rounds=1, each=2)


@pytest.mark.slow
def test_nothing_fails_on_two_gateways_with_two_workers_each(tmp_path: Path) -> None:
    with scripted() as upstream, ExitStack() as stack:
        shared = {
            "GATEWAY_DATABASE_URL": stack.enter_context(new_database(postgresql_url())),
            "GATEWAY_REDIS_URL": empty_redis_url(),
            "GATEWAY_SECRET": "the replicas' own secret, long enough to be one",
            "GATEWAY_WORKERS": "2",
            "GATEWAY_LOG_LEVEL": "info",
        }
        gateways = [
            Gateway(
                tmp_path / name, policies=POLICIES, upstreams=UPSTREAMS, environ=environ(upstream, **shared)
            )
            for name in ("one", "other")
        ]
        for gateway in gateways:
            stack.callback(gateway.kill)
            gateway.start()
        begun = time.monotonic()
        goes_through_rotations(upstream, gateways, processes=2, rounds=3, each=2)
        assert time.monotonic() - begun < 120
