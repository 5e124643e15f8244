"""Plugin of the client libraries' own suites: their plain HTTP server is addressed through the gateway."""

import os
import sys

import pytest

_THROUGH = os.environ.get("THROUGH_PORT")
_SERVER = int(os.environ["SERVER_PORT"])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Give the servers of the suites a fixed port, and the gateway's address."""
    httpbin = sys.modules.get("pytest_httpbin.serve")
    if httpbin is not None and _THROUGH:
        # The server with TLS inherits from the plain one, and is asked directly.
        secure = httpbin.SecureServer
        secure.url = property(lambda self: f"https://{self.host}:{self.port}")
        httpbin.Server.url = property(lambda _: f"http://127.0.0.1:{_THROUGH}")
    conftest = sys.modules.get("tests.conftest")
    if conftest is not None and hasattr(conftest, "TestServer"):
        vars(conftest)["Config"] = _with_port(vars(conftest)["Config"])
        if _THROUGH:
            httpx = sys.modules["httpx"]
            conftest.TestServer.url = property(lambda _: httpx.URL(f"http://127.0.0.1:{_THROUGH}/"))


def _with_port(config: type) -> object:
    return lambda **settings: config(port=_SERVER, **settings)
