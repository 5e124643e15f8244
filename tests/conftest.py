"""What holds for every test: the loop of production, no blocking calls in it, and nothing but loopback."""

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
import uvloop
from blockbuster import BlockBuster
from support import servers

if sys.dont_write_bytecode:
    # To compile all tests takes each process that runs them twenty seconds, unless it was done before. What is
    # not to lie beside the sources is kept where pytest keeps what it knows.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")

# A loaded machine is slow; that is no defect of what is tested.
hypothesis.settings.register_profile("gateway", deadline=None)
hypothesis.settings.load_profile("gateway")

# A developer's own settings must not reach the tests.
for _name in [name for name in os.environ if name.startswith("GATEWAY_") and "_TEST_" not in name]:
    del os.environ[_name]


_LONGEST_ID = 32
_used_elsewhere: set[str] = set()


class LoopbackLoop(uvloop.Loop):
    """The loop that the gateway runs on, in a network that ends at this machine."""

    async def create_connection(  # type: ignore[override] # the host is all that matters here
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        *args: Any,
        **kw: Any,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to this machine; any other is unreachable."""
        if host is not None and not _is_loopback(host):
            raise OSError(errno.ENETUNREACH, f"tests stay on loopback, {host} is not there")
        return await super().create_connection(protocol_factory, host, *args, **kw)  # type: ignore[return-value]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every asynchronous test on the loop of production."""
    return {"uvloop": LoopbackLoop}


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long values by their place: keys and tokens differ from process to process, names must not."""
    return argname if isinstance(val, str | bytes) and len(val) > _LONGEST_ID else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run in one process more than there are cores, for tests wait as often as they compute.

    Each process starts servers of its own; servers that were given are shared, and so used by one alone.
    """
    given = {"GATEWAY_TEST_DATABASE_URL", "GATEWAY_TEST_REDIS_URL"} & os.environ.keys()
    return 0 if given else len(os.sched_getaffinity(0)) + 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that collects the results which servers this one used."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["servers"] = servers.versions()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it."""
    _used_elsewhere.update(getattr(node, "workeroutput", {}).get("servers", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers the tests ran on."""
    if used := _used_elsewhere.union(servers.versions()):
        terminalreporter.write_line("servers: " + ", ".join(sorted(used)))


def pytest_unconfigure() -> None:
    """End the servers that tests shared, and wait for it."""
    servers.end_servers()


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A test that sets up logs, itself or through what it runs, leaves the others theirs."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session", autouse=True)
def _no_blocking_calls() -> Iterator[None]:
    """A call that waits, made by the gateway while a loop runs, fails.

    Files are left out: a start reads its configuration, and the audit spool is written from the loop on
    purpose. So are locks, which are held for moments only.
    """
    watch = BlockBuster("gateway")
    watched = [
        function
        for name, function in watch.functions.items()
        if name.startswith(("time.", "socket.", "ssl.", "sqlite3.", "builtins."))
    ]
    for function in watched:
        function.activate()
    yield
    for function in watched:
        function.deactivate()
