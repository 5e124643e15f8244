"""Opening connections: TCP, TLS, unix sockets; and what is said when it does not work."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.certificates import Authority, KeyPair
from support.upstream import Peer, answering, full_backlog, ok, unused_port, upstream_that

from gateway.config import Target, Timeouts, TlsRules
from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.connection import Connection
from gateway.proxy.dial import Dial, is_literal
from gateway.proxy.resolver import Resolver
from gateway.proxy.tls import Credentials

TIMEOUTS = Timeouts(connect=5, response=5, idle=5)


def dial_of(rules: TlsRules | None = None, **names: Sequence[str]) -> Dial:
    """Return a dial that knows these names."""

    async def look_up(name: str) -> Sequence[str]:
        return names[name]

    return Dial(Resolver(look_up=look_up), Credentials(rules or TlsRules()))


def server_context(pair: KeyPair, *, clients: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


async def exchanged(connection: Connection) -> bytes:
    connection.send_head(
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", bodiless=False, body=False, chunked=False, timeouts=TIMEOUTS
    )
    await connection.head()
    found = b""
    while data := await connection.body():
        found += data
    connection.abort()
    return found


async def refused(dial: Dial, target: Target, within: float = 5) -> UpstreamFault:
    with pytest.raises(UpstreamFault) as caught:
        await dial.open(target, within)
    return caught.value


def session_of(peer: Peer) -> ssl.SSLObject:
    found: ssl.SSLObject = peer.writer.get_extra_info("ssl_object")
    return found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("host", "literal"), [("127.0.0.1", True), ("::1", True), ("localhost", False), ("a.example", False)]
)
def test_an_address_needs_no_lookup(host: str, literal: bool) -> None:
    assert is_literal(host) is literal


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_is_reached_without_asking_anybody(host: str) -> None:
    async with upstream_that(answering(ok()), host) as raw:
        connection, address = await dial_of().open(raw.target, 5)
        assert (await exchanged(connection), address) == (b"hello", host)


async def test_a_unix_socket_is_reached(tmp_path: Path) -> None:
    big = b"x" * 500_000
    async with upstream_that(answering(ok(), ok(big)), str(tmp_path / "service.sock")) as raw:
        connection, _ = await dial_of().open(raw.target, 5)
        assert await exchanged(connection) == b"hello"
        assert raw.target.authority == "localhost"


@pytest.mark.parametrize("path", ["nobody.sock", "x" * 200])
async def test_a_unix_socket_that_nobody_listens_on_is_a_fault(tmp_path: Path, path: str) -> None:
    target = Target(scheme="unix", host=str(tmp_path / path), port=0)
    fault = await refused(dial_of(), target)
    assert fault.fault is Fault.CONNECT
    assert path in fault.diagnosis


async def test_a_full_backlog_of_a_unix_socket_is_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "full.sock"))
        listener.listen(0)
        target = Target(scheme="unix", host=str(tmp_path / "full.sock"), port=0)
        dial = dial_of()
        first, _ = await dial.open(target, 5)
        assert (await refused(dial, target, 0.05)).fault is Fault.CONNECT_TIMEOUT
        waiting = asyncio.ensure_future(dial.open(target, 5))
        await asyncio.sleep(0)
        listener.accept()[0].close()
        second, _ = await waiting
        first.abort()
        second.abort()


async def test_a_refused_connection_names_the_target() -> None:
    target = Target(scheme="http", host="127.0.0.1", port=unused_port())
    fault = await refused(dial_of(), target)
    assert fault.fault is Fault.CONNECT
    assert target.name in fault.diagnosis


async def test_a_connection_that_is_not_answered_times_out() -> None:
    with full_backlog() as target:
        assert (await refused(dial_of(), target, 0.05)).fault is Fault.CONNECT_TIMEOUT


async def test_a_name_that_is_not_known_is_a_fault() -> None:
    async def look_up(_: str) -> Sequence[str]:
        raise OSError("Name or service not known")

    dial = Dial(Resolver(look_up=look_up), Credentials(TlsRules()))
    fault = await refused(dial, Target(scheme="http", host="gone.example", port=80))
    assert fault.fault is Fault.CONNECT
    assert fault.diagnosis == "gone.example: Name or service not known"


async def test_an_address_that_refuses_is_passed_over_for_another_of_the_name() -> None:
    async with upstream_that(answering(ok()), "127.0.0.2") as raw:
        dial = dial_of(service=["127.0.0.1", "127.0.0.2"])
        for _ in range(4):
            connection, address = await dial.open(raw.target_at(raw.port, "service"), 5)
            assert address == "127.0.0.2"
            connection.abort()


async def test_an_address_that_does_not_answer_has_only_its_share_of_the_time() -> None:
    with full_backlog() as silent:
        async with upstream_that(answering(ok()), "127.0.0.2", port=silent.port) as raw:
            dial = dial_of(service=["127.0.0.2", "127.0.0.1"])
            connection, address = await dial.open(raw.target_at(raw.port, "service"), 1.0)
            assert address == "127.0.0.2"
            connection.abort()


async def test_addresses_of_a_name_are_used_in_turn() -> None:
    async with (
        upstream_that(answering(ok())) as one,
        upstream_that(answering(ok()), "127.0.0.2", port=one.port),
    ):
        dial = dial_of(service=["127.0.0.1", "127.0.0.2"])
        found = []
        for _ in range(4):
            connection, address = await dial.open(one.target_at(one.port, "service"), 5)
            found.append(address)
            connection.abort()
    assert sorted(found[:2]) == ["127.0.0.1", "127.0.0.2"]
    assert found[:2] == found[2:]


async def test_a_secured_connection_speaks_http_1_1_over_tls_1_2_or_later(authority: Authority) -> None:
    pair = authority.issue("service", "service")
    async with upstream_that(answering(ok()), tls=server_context(pair)) as raw:
        dial = dial_of(TlsRules(ca=authority.file), service=["127.0.0.1"])
        connection, _ = await dial.open(raw.target_at(raw.port, "service"), 5)
        assert await exchanged(connection) == b"hello"
        session = session_of(raw.peers[0])
        assert session.selected_alpn_protocol() == "http/1.1"
        assert session.version() in {"TLSv1.2", "TLSv1.3"}


async def test_a_server_that_speaks_only_tls_1_1_is_refused(authority: Authority) -> None:
    context = server_context(authority.issue("service", "127.0.0.1"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with upstream_that(answering(ok()), tls=context) as raw:
        fault = await refused(dial_of(TlsRules(ca=authority.file)), raw.target)
    assert fault.fault is Fault.TLS


@pytest.mark.parametrize("name", ["service", "127.0.0.1", "::1"])
async def test_the_name_or_address_must_be_in_the_certificate(authority: Authority, name: str) -> None:
    host = "127.0.0.1" if name == "service" else name
    dial = dial_of(TlsRules(ca=authority.file), service=["127.0.0.1"])
    async with upstream_that(answering(ok()), host, tls=server_context(authority.issue("it", name))) as raw:
        connection, _ = await dial.open(raw.target_at(raw.port, name), 5)
        connection.abort()
    other = authority.issue("other", "other.example", "127.0.0.9")
    async with upstream_that(answering(ok()), host, tls=server_context(other)) as raw:
        fault = await refused(dial, raw.target_at(raw.port, name))
    assert fault.fault is Fault.TLS
    assert "mismatch" in fault.diagnosis


async def test_a_name_that_is_only_the_subject_is_not_enough(authority: Authority) -> None:
    async with upstream_that(answering(ok()), tls=server_context(authority.issue("service"))) as raw:
        dial = dial_of(TlsRules(ca=authority.file), service=["127.0.0.1"])
        assert (await refused(dial, raw.target_at(raw.port, "service"))).fault is Fault.TLS


async def sni_of(authority: Authority, rules: TlsRules, host: str, *names: str) -> str | None:
    asked: list[str | None] = []
    context = server_context(authority.issue("it", *names))

    def note(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        asked.append(name)

    context.sni_callback = note
    async with upstream_that(answering(ok()), tls=context) as raw:
        dial = dial_of(rules, **{host: ["127.0.0.1"]})
        connection, _ = await dial.open(raw.target_at(raw.port, host), 5)
        connection.abort()
    return asked[0]


async def test_the_host_is_the_name_that_is_asked_for(authority: Authority) -> None:
    assert await sni_of(authority, TlsRules(ca=authority.file), "service", "service") == "service"


async def test_the_dot_at_the_end_of_a_name_is_not_part_of_it(authority: Authority) -> None:
    assert await sni_of(authority, TlsRules(ca=authority.file), "a.example.", "a.example") == "a.example"


async def test_an_address_is_never_asked_for_as_a_name(authority: Authority) -> None:
    assert await sni_of(authority, TlsRules(ca=authority.file), "127.0.0.1", "127.0.0.1") is None


async def test_server_name_is_asked_for_and_verified_instead_of_the_host(authority: Authority) -> None:
    rules = TlsRules(ca=authority.file, server_name="inside.example")
    assert await sni_of(authority, rules, "service", "inside.example") == "inside.example"
    async with upstream_that(
        answering(ok()), tls=server_context(authority.issue("it", "service", "127.0.0.1"))
    ) as raw:
        assert (await refused(dial_of(rules), raw.target)).fault is Fault.TLS


async def test_another_authority_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Other authority")
    async with upstream_that(answering(ok()), tls=server_context(other.issue("service", "127.0.0.1"))) as raw:
        fault = await refused(dial_of(TlsRules(ca=authority.file)), raw.target)
        assert fault.fault is Fault.TLS
        assert "not trusted" in fault.diagnosis
        # Nor is it by the system's.
        assert (await refused(dial_of(), raw.target)).fault is Fault.TLS
    assert not raw.received


async def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    pair = authority.issue("service", "127.0.0.1", ended=True)
    async with upstream_that(answering(ok()), tls=server_context(pair)) as raw:
        fault = await refused(dial_of(TlsRules(ca=authority.file)), raw.target)
    assert fault.fault is Fault.TLS
    assert "expired" in fault.diagnosis


async def test_a_client_certificate_is_shown(authority: Authority) -> None:
    server, ours = authority.issue("service", "127.0.0.1"), authority.issue("gateway", "gateway")
    rules = TlsRules(ca=authority.file, client_cert=ours.certificate, client_key=ours.key)
    context = server_context(server, clients=authority.file)
    async with upstream_that(answering(ok()), tls=context) as raw:
        connection, _ = await dial_of(rules).open(raw.target, 5)
        assert await exchanged(connection) == b"hello"
        shown = session_of(raw.peers[0]).getpeercert()
        assert shown is not None
        assert shown["subjectAltName"] == (("DNS", "gateway"),)


async def test_an_upstream_that_misses_our_certificate_is_a_tls_fault(authority: Authority) -> None:
    context = server_context(authority.issue("service", "127.0.0.1"), clients=authority.file)
    # In TLS 1.3 the server's refusal comes after the handshake.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with upstream_that(answering(ok()), tls=context) as raw:
        fault = await refused(dial_of(TlsRules(ca=authority.file)), raw.target)
    assert fault.fault is Fault.TLS


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x16\x03"])
async def test_an_upstream_that_does_not_speak_tls_is_a_tls_fault(authority: Authority, words: bytes) -> None:
    async def behave(peer: Peer) -> None:
        await peer.reader.read(100)
        peer.send(words)

    async with upstream_that(behave) as raw:
        target = Target(scheme="https", host="127.0.0.1", port=raw.port)
        assert (await refused(dial_of(TlsRules(ca=authority.file)), target)).fault is Fault.TLS


async def test_a_handshake_that_stalls_times_out_and_leaves_no_connection(authority: Authority) -> None:
    async def behave(peer: Peer) -> None:
        await peer.closed()

    async with upstream_that(behave) as raw:
        target = Target(scheme="https", host="127.0.0.1", port=raw.port)
        assert (
            await refused(dial_of(TlsRules(ca=authority.file)), target, 0.1)
        ).fault is Fault.CONNECT_TIMEOUT
        await raw.peers[0].gone.wait()


@pytest.mark.parametrize("tls", [False, True])
async def test_cancelling_leaves_no_connection(authority: Authority, tls: bool) -> None:
    async def behave(peer: Peer) -> None:
        await peer.closed()

    async with upstream_that(behave) as raw:
        target = Target(scheme="https" if tls else "http", host="127.0.0.1", port=raw.port)
        for turns in range(12):
            opening = asyncio.ensure_future(dial_of(TlsRules(ca=authority.file)).open(target, 5))
            for _ in range(turns):
                await asyncio.sleep(0.001 if tls else 0)
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled():
                opening.result()[0].abort()
        for peer in raw.peers:
            await peer.gone.wait()
