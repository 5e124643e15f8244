"""What the tests with clients, issuers and proxies of others need: Node.js with its packages, nginx, a gateway."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.demo_service import demo_service
from support.nginx import Nginx
from support.node import Node

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder: `make test-interop` runs it, and nothing else does."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session")
def node() -> Node:
    """Runs scripts of this folder: `node("verify.mjs", url)` returns the JSON that the script printed."""
    return Node()


@pytest.fixture
def nginx() -> Iterator[Callable[[str], Nginx]]:
    """Starts nginx with what is given inside `http { … }`; `PORT` in it is the port to listen on."""
    with contextlib.ExitStack() as stack:
        yield lambda http: stack.enter_context(Nginx(http))


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """The demo's service; gives `host:port`."""
    with demo_service() as address:
        yield address
