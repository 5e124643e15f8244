"""What it costs to find out who is asking: part of `make bench`, or `python -m bench.tokens --help`.

Whole requests inside this process, as in `bench.costs`: with a token that is known already, with tokens of
which every one is new, and with API keys. All take turns, so that a slow minute of the machine hits all.
"""

import argparse
import asyncio
import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.inside import Crowd, Inside, MemoryLoop, fresh_settings, inside, request
from bench.load import BenchError
from gateway.accounts import AccountRefusal
from gateway.assembly import open_stores
from gateway.cli.life import spare_the_collector
from gateway.crypto import Keyring, SigningKey
from gateway.operations import create_key, operator_at_the_command_line
from gateway.settings import Settings

ROUNDS, REQUESTS = 40, 32
_WARM_UP = 400
_LOWEST = 5
_USER = "reader"
_KEYS: Mapping[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}
_AUDIENCE = "orders-api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to say who is asking."""

    says: str
    path: str
    new: bool = False
    """Whether every request brings another credential."""


CASES: Mapping[str, Case] = {
    "own-known": Case(says="a token of the gateway, seen before (ES256)", path="/own"),
    "own-new": Case(says="a token of the gateway, each another (ES256)", path="/own", new=True),
    "es256-known": Case(says="another issuer's token, seen before", path="/es256"),
    "es256-new": Case(says="another issuer's token, each another, ES256", path="/es256", new=True),
    "rs256-new": Case(says="another issuer's token, each another, RS256", path="/rs256", new=True),
    "key-known": Case(says="an API key, seen in the last second", path="/keys"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one request costs."""

    us: float
    """Microseconds of CPU."""
    more_us: float
    """What of it comes on top of a request with a token of the gateway that is known."""


class Credentials:
    """Makes what requests carry."""

    def __init__(self, keyring: Keyring, own: str, key: str) -> None:
        self._signing: SigningKey = keyring.active
        self._claims = jwt.decode(own, options={"verify_signature": False})
        self._key = key

    def line(self, path: str) -> bytes:
        """Return a header line with a credential that nobody has seen, except for an API key."""
        match path:
            case "/keys":
                return b"X-Api-Key: " + self._key.encode()
            case "/own":
                token = self._signing.sign({**self._claims, "jti": str(uuid.uuid4())}, typ="at+jwt")
            case _:
                token = _external(path.removeprefix("/"))
        return b"Authorization: Bearer " + token.encode()


async def costs(*, rounds: int) -> dict[str, Cost]:
    """Measure every case. Must run on a `MemoryLoop`. Raise `BenchError` on a wrong answer."""
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_settings())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gateway-bench-")))
        port = stack.enter_context(_issuers())
        policies = folder / "policies.yaml"
        policies.write_text(Path(__file__).with_suffix(".yaml").read_text().replace("PORT", str(port)))
        async with inside(settings, roles=[_USER], policies=policies) as gateway:
            credentials = await _credentials(settings, gateway)
            spent = await _requests(stack, gateway, credentials, rounds)
    cost = {name: mean(sorted(slices)[:_LOWEST]) * 1e6 for name, slices in spent.items()}
    return {name: Cost(us=us, more_us=us - cost["own-known"]) for name, us in cost.items()}


async def _requests(
    stack: ExitStack, gateway: Inside, credentials: Credentials, rounds: int
) -> dict[str, list[float]]:
    crowds: dict[str, Crowd] = {}
    for name, case in CASES.items():
        first = request("GET", case.path, [credentials.line(case.path)])
        # The first request to each route waits for whatever it needs, which is nobody's cost.
        answer = await gateway.ask(first)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"{name}: {answer[:200]!r}")
        requests = _new(case.path, credentials, rounds) if case.new else repeat(first)
        crowds[name] = stack.enter_context(gateway.crowd(requests, status=200))
        await crowds[name].ask(_WARM_UP)
    spare_the_collector()
    spent: dict[str, list[float]] = {name: [] for name in crowds}
    for _ in range(rounds):
        for name, crowd in crowds.items():
            begun = time.thread_time()
            await crowd.ask(REQUESTS)
            spent[name].append((time.thread_time() - begun) / REQUESTS)
    return spent


def _new(path: str, credentials: Credentials, rounds: int) -> Iterator[bytes]:
    """Return requests of which each carries a token of its own, made before anything is measured."""
    # More than are asked for: the clients that are answered last have sent one more.
    count = _WARM_UP + rounds * REQUESTS + 10 * REQUESTS
    return iter([request("GET", path, [credentials.line(path)]) for _ in range(count)])


async def _credentials(settings: Settings, gateway: Inside) -> Credentials:
    own = await gateway.log_in(_USER)
    async with open_stores(settings) as stores:
        keyring = await Keyring.open(stores.signing_keys, stores.sealer, stores.clock, stores.events)
        made = await create_key(
            stores.users,
            stores.api_keys,
            stores.events,
            stores.clock,
            name="bench",
            owner=_USER,
            scopes=None,
            lifetime=None,
            operator=operator_at_the_command_line(),
        )
    if isinstance(made, AccountRefusal):
        raise BenchError(f"the bench's key could not be made: {made}")
    return Credentials(keyring, own, made.text)


def _external(name: str) -> str:
    now = int(time.time())
    algorithm = name.upper()
    claims = {
        "iss": f"https://{name}.example.com",
        "aud": _AUDIENCE,
        "sub": "248289761001",
        "client_id": "s6BhdRkqt3",
        "iat": now,
        "exp": now + 3600,
        "jti": str(uuid.uuid4()),
        "scope": "openid profile orders",
        "groups": ["readers", "staff"],
    }
    headers = {"typ": "at+jwt", "kid": name}
    return jwt.encode(claims, _KEYS[algorithm], algorithm=algorithm, headers=headers)


@contextmanager
def _issuers() -> Iterator[int]:
    """Publish the keys of both issuers; give the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the key that the path names."""
            name = self.path.removeprefix("/")
            algorithm = name.upper()
            written = jwt.get_algorithm_by_name(algorithm).to_jwk(_KEYS[algorithm].public_key())
            members = {**json.loads(written), "kid": name, "alg": algorithm, "use": "sig"}
            body = json.dumps({"keys": [members]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def print_table(measured: Mapping[str, Cost]) -> None:
    """Print what was measured."""
    table = Table(title="CPU of one whole request inside the process (µs)", box=SIMPLE)
    table.add_column("who is asking")
    for heading in ("request", "more"):
        table.add_column(heading, justify="right")
    for name, cost in measured.items():
        table.add_row(CASES[name].says, f"{cost.us:.1f}", f"{cost.more_us:+.1f}")
    Console().print(table)


def main() -> int:
    """Measure and print. Return 1 when a request was not answered as it should be."""
    parser = argparse.ArgumentParser(prog="python -m bench.tokens", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="slices of each (default: %(default)s)")
    options = parser.parse_args()
    try:
        with asyncio.Runner(loop_factory=MemoryLoop) as runner:
            measured = runner.run(costs(rounds=options.rounds))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print_table(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
