"""One gateway for all conversations, and the ends of one conversation for each test."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.certificates import Authority
from support.conformance import Conversation, Upstream, listening
from support.conformance_files import ENVIRON, OF_TWO, POLICIES, UPSTREAMS, upstreams
from support.gateway import Gateway, running_gateway
from support.upstream import full_backlog, unused_port

TLS = ("tls", "mtls", "nameless", "misnamed", "untrusted")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the gateway's files are."""
    return tmp_path_factory.mktemp("conformance")


@pytest.fixture(scope="session")
def authority(folder: Path) -> Authority:
    """Who vouches for upstreams, and for the gateway."""
    return Authority(folder)


@pytest.fixture(scope="session")
def upstream_ends(folder: Path, authority: Authority) -> Iterator[Mapping[str, Upstream]]:
    """The upstreams of all tests."""
    pair = authority.issue("upstream", "tls.test", "localhost")
    with ExitStack() as stack:
        ends = {}
        for name in (*UPSTREAMS, *(f"{first}_2" for first in OF_TWO)):
            context = None
            listener = listening()
            if name == "unix":
                listener = listening(family=socket.AF_UNIX, at=str(folder / "upstream.sock"))
            elif name == "ipv6":
                listener = listening(family=socket.AF_INET6, at="::1")
            elif name in TLS:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(pair.certificate, pair.key)
                if name == "mtls":
                    context.load_verify_locations(authority.file)
                    context.verify_mode = ssl.CERT_REQUIRED
            ends[name] = Upstream(stack.enter_context(listener), context)
        yield ends


def targets(ends: Mapping[str, Upstream]) -> dict[str, str]:
    """Return where each upstream is."""
    urls = {}
    for name in UPSTREAMS:
        if name == "unix":
            urls[name] = f"unix:{ends[name].path}"
        elif name == "ipv6":
            urls[name] = f"http://[::1]:{ends[name].port}"
        elif name in TLS:
            urls[name] = f"https://localhost:{ends[name].port}"
        elif name in OF_TWO:
            urls[name] = f"http://127.0.0.1:{ends[name].port} http://127.0.0.1:{ends[f'{name}_2'].port}"
        elif name == "second":  # one that is not there, and one that is
            urls[name] = f"http://127.0.0.1:1 http://127.0.0.1:{ends[name].port}"
        else:
            urls[name] = f"http://127.0.0.1:{ends[name].port}"
    return urls | {"gone": "http://127.0.0.1:1", "unknown": "http://unknown.invalid:80"}


@contextlib.contextmanager
def gateway_for(
    ends: Mapping[str, Upstream],
    authority: Authority,
    directory: Path,
    *,
    policies: str = POLICIES,
    **environ: str,
) -> Iterator[Gateway]:
    """Run a gateway in front of these upstreams; it listens where the environment says."""
    pair = authority.issue(f"gateway-{directory.name}", "gateway.test")
    port = unused_port()
    with full_backlog() as stuck:
        where = targets(ends) | {
            "stuck": f"http://127.0.0.1:{stuck.port}",
            "itself": f"http://127.0.0.1:{port}",
        }
        files = {"CA": authority.file, "CLIENT": pair.certificate, "CLIENT_KEY": pair.key}
        with running_gateway(
            directory,
            policies=policies,
            upstreams=upstreams(where, {word: str(file) for word, file in files.items()}),
            environ=ENVIRON | {"GATEWAY_LISTEN": f"127.0.0.1:{port}"} | environ,
        ) as running:
            yield running


@pytest.fixture(scope="session")
def gateway(upstream_ends: Mapping[str, Upstream], authority: Authority, folder: Path) -> Iterator[Gateway]:
    """The gateway of all tests that leave it as it was."""
    with gateway_for(upstream_ends, authority, folder / "gateway") as running:
        yield running


@pytest.fixture(scope="session")
def token(gateway: Gateway) -> str:
    """An access token of rita, who may read."""
    with Conversation(("127.0.0.1", gateway.port), {}) as conversation:
        return conversation.account("rita")


@pytest.fixture(scope="session")
def _apart(
    upstream_ends: Mapping[str, Upstream], authority: Authority, folder: Path
) -> Iterator[Mapping[str, Gateway]]:
    """Gateways that listen elsewhere, started side by side."""
    kinds = {
        "unix": {"GATEWAY_LISTEN": f"unix:{folder / 'gateway.sock'}"},
        "ipv6": {"GATEWAY_LISTEN": f"[::1]:{unused_port()}", "GATEWAY_DRAIN_TIMEOUT": "500ms"},
    }
    policies = POLICIES.replace("default_roles: [reader]", "default_roles: [reader]\n  tokens: {access: 2s}")
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        starts = {
            kind: pool.submit(
                stack.enter_context,
                gateway_for(upstream_ends, authority, folder / kind, policies=policies, **environ),
            )
            for kind, environ in kinds.items()
        }
        yield {kind: start.result() for kind, start in starts.items()}


@pytest.fixture(scope="session")
def _unix(_apart: Mapping[str, Gateway]) -> Gateway:
    return _apart["unix"]


@pytest.fixture(scope="session")
def _ipv6(_apart: Mapping[str, Gateway]) -> Gateway:
    return _apart["ipv6"]


@pytest.fixture(scope="session")
def again() -> Callable[[Gateway], Gateway]:
    """Start a gateway that a test has stopped."""

    def start(gateway: Gateway) -> Gateway:
        if gateway.process is None or gateway.process.poll() is not None:
            gateway.start()
        return gateway

    return start


@pytest.fixture
def unix_gateway(_unix: Gateway, again: Callable[[Gateway], Gateway]) -> Gateway:
    """A gateway on a unix socket, which tests may stop."""
    return again(_unix)


@pytest.fixture
def ipv6_gateway(_ipv6: Gateway, again: Callable[[Gateway], Gateway]) -> Gateway:
    """A gateway on IPv6, which tests may stop; its tokens live for two seconds, its drain for half a one."""
    return again(_ipv6)


@pytest.fixture
def talk(gateway: Gateway, upstream_ends: Mapping[str, Upstream]) -> Iterator[Conversation]:
    """Both ends of the gateway; all connections are ended behind the test."""
    with Conversation(("127.0.0.1", gateway.port), upstream_ends) as conversation:
        yield conversation


@pytest.fixture
def unix_talk(unix_gateway: Gateway, upstream_ends: Mapping[str, Upstream]) -> Iterator[Conversation]:
    """Both ends of the gateway on a unix socket."""
    path = unix_gateway.serving["listen"].removeprefix("unix:")
    with Conversation(path, upstream_ends) as conversation:
        yield conversation


@pytest.fixture
def ipv6_talk(ipv6_gateway: Gateway, upstream_ends: Mapping[str, Upstream]) -> Iterator[Conversation]:
    """Both ends of the gateway on IPv6."""
    with Conversation(("::1", ipv6_gateway.port), upstream_ends) as conversation:
        yield conversation
