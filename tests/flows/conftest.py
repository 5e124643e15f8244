"""A real service and real gateways for the flows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.demo_service import demo_service
from support.gateway import Gateway, running_gateway


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """The demo's service; gives `host:port`."""
    with demo_service() as address:
        yield address


@pytest.fixture(scope="session")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all flows that leave it as it was; users rita (reader) and walt (writer)."""
    directory = tmp_path_factory.mktemp("gateway")
    with running_gateway(
        directory, policies=POLICIES, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service}
    ) as running:
        running.create_user("rita", "a reader's password", "reader")
        running.create_user("walt", "a writer's password", "writer")
        yield running


@pytest.fixture
def own_gateway(service: str, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of one's own, to be killed, stopped and started again. Already running."""
    with running_gateway(
        tmp_path / "own", policies=POLICIES, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service}
    ) as running:
        yield running


@pytest.fixture(scope="session")
def reader_token(gateway: Gateway) -> str:
    """An access token of rita."""
    token: str = gateway.login("rita", "a reader's password")["access_token"]
    return token


@pytest.fixture(scope="session")
def writer_token(gateway: Gateway) -> str:
    """An access token of walt."""
    token: str = gateway.login("walt", "a writer's password")["access_token"]
    return token
