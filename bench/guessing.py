"""What 500 wrong logins a second do to everybody else: `python -m bench.guessing --help`.

People ask for a route at an even pace, for as long with attackers beside them as without. Everybody is a
process of their own, and so are the gateway and the service behind it: on few cores, all of them share these.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.load import BenchError
from bench.nginx import nginx_upstream
from bench.pace import Crowd, Paced, beside
from bench.processes import free_port, listens, running
from bench.subjects import create_user, log_in

GUESSES: Final = 500
ASKED: Final = 300
"""A second."""
KINDS: Final = ("guessing", "hammering")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """How others fared without and with an attack, and what the attackers were told."""

    quiet: Paced
    attacked: Paced
    guesses: Paced

    @property
    def ratio(self) -> float:
        """How many times the 99th percentile is what it was."""
        return self.attacked.p99 / self.quiet.p99


def attack(port: int, token: str, kind: str, *, seconds: float) -> Attacked:
    """Measure one turn: without, then with attackers. Raise `BenchError` when a request of others failed."""
    people = Crowd(
        port=port,
        kind="asking",
        per_second=ASKED,
        seconds=seconds,
        lines=(f"Authorization: Bearer {token}", "X-Forwarded-For: 203.0.113.7"),
    )
    with beside(people) as ended:
        quiet = ended()
    attackers = Crowd(port=port, kind=kind, per_second=GUESSES, seconds=seconds)
    with beside(attackers) as given_up, beside(people) as ended:
        attacked, guesses = ended(), given_up()
    for each in (quiet, attacked):
        if set(each.statuses) != {200}:
            raise BenchError(f"not every request was answered as it should be: {each.statuses}")
    return Attacked(quiet=quiet, attacked=attacked, guesses=guesses)


@contextmanager
def guarded_gateway(upstream: int) -> Iterator[tuple[int, str]]:
    """Run a gateway that believes what is said about addresses; give its port and a token. Raise
    `BenchError` when it does not start."""
    port = free_port()
    here = Path(__file__).parent
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")},
            "BENCH_UPSTREAM": f"127.0.0.1:{upstream}",
            "GATEWAY_UPSTREAMS": str(here / "upstreams.yaml"),
            "GATEWAY_POLICIES": str(here / "guessing.yaml"),
            "GATEWAY_DATA_DIR": str(Path(folder, "data")),
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
            "GATEWAY_LOG_LEVEL": "warning",
        }
        create_user(environment)
        command = [sys.executable, "-m", "gateway", "serve"]
        with running(command, folder=Path(folder), environment=environment, is_up=lambda: listens(port)):
            yield port, log_in(port)


def _table(found: Mapping[str, list[Attacked]]) -> Table:
    table = Table(box=SIMPLE)
    for name in ("attackers", "p50 quiet", "p99 quiet", "p50 attacked", "p99 attacked", "times", "were told"):
        table.add_column(name, justify="left" if name in {"attackers", "were told"} else "right")
    for kind, turns in found.items():
        for turn in turns:
            told = ", ".join(f"{status}: {count}" for status, count in sorted(turn.guesses.statuses.items()))
            figures = (turn.quiet.p50, turn.quiet.p99, turn.attacked.p50, turn.attacked.p99)
            table.add_row(kind, *(f"{each:.2f} ms" for each in figures), f"{turn.ratio:.2f}", told)
    return table


def main() -> int:
    """Measure and print. Return 1 when somebody else was refused."""
    parser = argparse.ArgumentParser(prog="python -m bench.guessing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of one turn, each way (default 20)")
    parser.add_argument("--turns", type=int, default=1, help="how many (default 1)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of attackers (default all)")
    given = parser.parse_args()
    found: dict[str, list[Attacked]] = {}
    try:
        with nginx_upstream() as upstream:
            for kind in given.kind or KINDS:
                with guarded_gateway(upstream) as (port, token):
                    found[kind] = [
                        attack(port, token, kind, seconds=given.seconds) for _ in range(given.turns)
                    ]
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    Console(width=140).print(_table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
