"""What encryption costs: part of `make bench`, or `python -m bench.encryption --help`.

Whole requests inside this process, as in `bench.costs`: the same response plain and encrypted, with a key of
the gateway and for the client that asks, all of it and two of its values, and the same request body plain and
decrypted. All take turns, so that a slow minute of the machine hits all. Then the encryption alone.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import mean
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.inside import Crowd, Inside, MemoryLoop, fresh_settings, inside, request
from bench.load import CONNECTIONS, BenchError
from gateway.accounts import AccountRefusal
from gateway.assembly import open_stores
from gateway.cli.life import spare_the_collector
from gateway.crypto import CryptoKey, CryptoKeys, RecipientKey, encode_base64url, read_recipient
from gateway.operations import create_client, create_crypto_key, operator_at_the_command_line
from gateway.settings import Settings

ROUNDS = 40
SIZES: Mapping[str, int] = {"1 KiB": 1024, "64 KiB": 65_536}
"""Bytes of a body, by what they are called."""
_REQUESTS = CONNECTIONS
"""In one slice: one from each client."""
_RAW_TIMES: Mapping[str, int] = {"1 KiB": 400, "64 KiB": 20}
_WARM_UP = 200
_LOWEST = 5
_USER, _KEY = "reader", "reports"
_TYPE = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way that a body can go."""

    says: str
    path: str
    than: str | None = None
    """The case that is the same without encryption; None: this is such a one."""
    sends: bool = False
    """Whether the body is that of the request; else it is that of the response."""


CASES: Mapping[str, Case] = {
    "plain": Case(says="a response as it is", path="/plain"),
    "key": Case(says="encrypt_response: {key: ...}", path="/key", than="plain"),
    "client": Case(says="encrypt_response: {recipient: client}, P-256", path="/client", than="plain"),
    "fields": Case(says="encrypt_fields: two values", path="/fields", than="plain"),
    "sent": Case(says="a request as it is", path="/plain", sends=True),
    "request": Case(says="decrypt_request: {key: ...}", path="/request", than="sent", sends=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one request costs."""

    us: float
    """Microseconds of CPU."""
    ratio: float | None
    """In times of the same request without encryption."""


class Service:
    """The service's end of a connection: it answers each whole request with as much as the path names."""

    def __init__(self, answer: Callable[[bytes], object]) -> None:
        self._answer = answer
        self._come = b""

    def __call__(self, data: bytes) -> None:
        """Take bytes of requests, of which one is answered before the next one comes."""
        self._come += data
        head, ended, body = self._come.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"\r\ncontent-length: ")
        if not ended or len(body) < int(length.partition(b"\r\n")[0] or b"0"):
            return
        self._come = b""
        # The first line's path ends with the size.
        size = int(head.partition(b" HTTP/")[0].rpartition(b"/")[2])
        self._answer(_ANSWERS[size])


class EncryptionLoop(MemoryLoop):
    """A loop on which the service answers with bodies of the sizes that are measured."""

    def service(self, protocol: asyncio.Protocol) -> Callable[[bytes], object]:
        """Return the service's end of a connection."""
        return Service(lambda answer: self.call_soon(protocol.data_received, answer))


async def costs(*, rounds: int) -> dict[tuple[str, str], Cost]:
    """Measure every case in every size. Must run on an `EncryptionLoop`. Raise `BenchError` on a wrong
    answer."""
    with fresh_settings() as settings, ExitStack() as stack:
        policies = Path(__file__).with_suffix(".yaml")
        key, client_id, client_secret = await _keys(settings)
        async with inside(settings, roles=[_USER], policies=policies) as gateway:
            token = await _token(gateway, client_id, client_secret)
            spent = await _requests(stack, gateway, key, token, rounds)
    us = {place: mean(sorted(slices)[:_LOWEST]) * 1e6 for place, slices in spent.items()}
    return {
        (name, size): Cost(
            us=cost, ratio=None if (than := CASES[name].than) is None else cost / us[than, size]
        )
        for (name, size), cost in us.items()
    }


async def _requests(
    stack: ExitStack, gateway: Inside, key: CryptoKey, token: bytes, rounds: int
) -> dict[tuple[str, str], list[float]]:
    crowds: dict[tuple[str, str], Crowd] = {}
    for size, length in SIZES.items():
        for name, case in CASES.items():
            asked = _request(case, key, token, length)
            answer = await gateway.ask(asked)
            _check(name, case, answer, length)
            crowds[name, size] = stack.enter_context(gateway.crowd(repeat(asked), status=200, patient=True))
            await crowds[name, size].ask(_WARM_UP)
    spare_the_collector()
    spent: dict[tuple[str, str], list[float]] = {place: [] for place in crowds}
    for _ in range(rounds):
        for place, crowd in crowds.items():
            begun = time.thread_time()
            await crowd.ask(_REQUESTS)
            spent[place].append((time.thread_time() - begun) / _REQUESTS)
    return spent


def _request(case: Case, key: CryptoKey, token: bytes, length: int) -> bytes:
    lines = [b"Authorization: Bearer " + token]
    if not case.sends:
        return request("GET", f"{case.path}/{length}", lines)
    body = _document(length)
    if case.than is not None:
        body = key.seal_jwe(body, content_type=_TYPE)
    # What is answered is small.
    return request("POST", f"{case.path}/0", [*lines, b"Content-Type: application/json"], body)


def _check(name: str, case: Case, answer: bytes, length: int) -> None:
    """Raise `BenchError` unless an answer is what it is to be."""
    head, _, body = answer.partition(b"\r\n\r\n")
    is_good = head.startswith(b"HTTP/1.1 200 ")
    if not case.sends:
        plain = _document(length)
        is_sealed = body.count(b".") == 4 and len(body) > length
        match name:
            case "plain":
                is_good = is_good and body == plain
            case "fields":
                is_good = is_good and body.count(b'{"$enc":') == 2 and plain[-length // 2 :] in body
            case _:
                is_good = is_good and is_sealed and b"application/jose" in head
    if not is_good:
        raise BenchError(f"{name}: {answer[:300]!r}")


async def _keys(settings: Settings) -> tuple[CryptoKey, str, str]:
    """Make an encryption key and a client with a key; return the key, and the client's id and secret."""
    operator = operator_at_the_command_line()
    async with open_stores(settings) as stores:
        made = await create_crypto_key(
            stores.crypto_keys, stores.sealer, stores.events, stores.clock, name=_KEY, operator=operator
        )
        issued = await create_client(
            stores.clients,
            stores.events,
            stores.clock,
            name="bench",
            roles=frozenset({_USER}),
            key=_recipient(),
            operator=operator,
        )
        keys = await CryptoKeys.open(stores.crypto_keys, stores.sealer, stores.clock)
    key = keys.find(_KEY)
    if isinstance(made, AccountRefusal) or isinstance(issued, AccountRefusal) or key is None:
        raise BenchError(f"the bench's keys could not be made: {made}, {issued}")
    return key, issued.client.id, issued.secret


def _recipient() -> RecipientKey:
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    x, y = (encode_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return read_recipient({"kty": "EC", "crv": "P-256", "x": x, "y": y})


async def _token(gateway: Inside, client_id: str, client_secret: str) -> bytes:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    lines = [b"Content-Type: application/x-www-form-urlencoded"]
    answer = await gateway.ask(request("POST", "/gateway/v1/oauth/token", lines, urlencode(form).encode()))
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"the bench's client got no token: {answer[:200]!r}")
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"]).encode()


def _document(length: int) -> bytes:
    """Return JSON of this length, with two values at its beginning that are to be encrypted."""
    begun = b'{"card":{"number":"4111111111111111","code":"123"},"note":"'
    return begun + b"x" * (length - len(begun) - 2) + b'"}'


def _answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    ) % (len(body), body)


_ANSWERS: Mapping[int, bytes] = {
    0: _answer(b"{}"),
    **{length: _answer(_document(length)) for length in SIZES.values()},
}


async def raw_costs(*, rounds: int) -> dict[tuple[str, str], float]:
    """Return what sealing and opening cost without any request around them, in microseconds."""
    with fresh_settings() as settings:
        key, _, _ = await _keys(settings)
    recipient = _recipient()
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for size, length in SIZES.items():
            plain = _document(length)
            jwe, text = key.seal_jwe(plain, content_type=_TYPE), key.seal_text(plain).encode()
            works: Mapping[str, Callable[[], object]] = {
                "write a JWE (dir)": lambda: key.seal_jwe(plain, content_type=_TYPE),  # noqa: B023 - called here
                "open a JWE (dir)": lambda: key.open(jwe),  # noqa: B023
                "write a JWE (ECDH-ES, P-256)": lambda: recipient.seal_jwe(plain, content_type=_TYPE),  # noqa: B023
                "write a text (gw:v1:...)": lambda: key.seal_text(plain),  # noqa: B023
                "open a text": lambda: key.open(text),  # noqa: B023
            }
            for name, work in works.items():
                spent.setdefault((name, size), []).append(_seconds(work, _RAW_TIMES[size]))
    return {place: mean(sorted(slices)[:_LOWEST]) * 1e6 for place, slices in spent.items()}


def _seconds(work: Callable[[], object], times: int) -> float:
    begun = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun) / times


def print_tables(measured: Mapping[tuple[str, str], Cost], raw: Mapping[tuple[str, str], float]) -> None:
    """Print what was measured."""
    table = Table(
        title="CPU of one whole request inside the process (µs, times of the plain one)", box=SIMPLE
    )
    table.add_column("what is encrypted")
    for size in SIZES:
        table.add_column(size, justify="right")
        table.add_column("", justify="right")
    for name, case in CASES.items():
        cells = []
        for size in SIZES:
            cost = measured[name, size]
            cells += [f"{cost.us:.1f}", "" if cost.ratio is None else f"x {cost.ratio:.2f}"]
        table.add_row(case.says, *cells)
    Console().print(table)
    table = Table(title="CPU of the encryption alone (µs)", box=SIMPLE)
    table.add_column("what is done")
    for size in SIZES:
        table.add_column(size, justify="right")
    for name in dict.fromkeys(name for name, _ in raw):
        table.add_row(name, *(f"{raw[name, size]:.1f}" for size in SIZES))
    Console().print(table)


def main() -> int:
    """Measure and print. Return 1 when a request was not answered as it should be."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.encryption", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="slices of each (default: %(default)s)")
    options = parser.parse_args()
    try:
        with asyncio.Runner(loop_factory=EncryptionLoop) as runner:
            measured = runner.run(costs(rounds=options.rounds))
            raw = runner.run(raw_costs(rounds=options.rounds))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print_tables(measured, raw)
    return 0


if __name__ == "__main__":
    sys.exit(main())
