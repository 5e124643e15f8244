"""Getting in: passwords, users, TLS and Unix sockets; and what an operator reads when it fails."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs
from support.redis_peer import answering, forwarding, serving
from support.servers import RedisServer, empty_redis_url

from gateway.stores.redis import Link, RedisAddress, RedisUnusable, encode, link
from gateway.stores.redis.connection import Connection

SCRIPT = b"return 7"
PING = encode(b"PING")
PASSWORD = "p/w:@ #%"
WRITTEN = "p%2Fw%3A%40%20%23%25"


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    """A Redis that wants to know who asks."""
    lines = [
        f"user default on >{PASSWORD.replace(' ', '_')} ~* &* +@all",
        "user alice on >wonder ~* +ping +select +script|load +evalsha",
        "user bob on >builder ~* +ping +select",
        "user eve on >drop ~* +evalsha +script|load",
        "user nopass on nopass ~* +@all",
    ]
    with RedisServer(acl=lines) as server:
        yield server


async def fault(url: str) -> str:
    """Return what a link says while it cannot be, and hopes."""
    subject = Link(RedisAddress.parse(url), scripts=[SCRIPT])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "CONNECT_SECONDS", 0.2)
        patch.setattr(link, "START_SECONDS", 0.4)
        await subject.start()
    said = str(subject.fault)
    await subject.close()
    return said


def at(server: RedisServer, userinfo: str, db: int = 0) -> str:
    return f"redis://{userinfo}@127.0.0.1:{server.port}/{db}"


async def ping(url: str) -> None:
    """Connect, ask, end."""
    subject = Link(RedisAddress.parse(url), scripts=[SCRIPT])
    await subject.start()
    try:
        assert subject.fault is None
        assert await subject.send(PING) == b"PONG"
    finally:
        await subject.close()


async def refusal(url: str) -> str:
    """Return why a link cannot be."""
    subject = Link(RedisAddress.parse(url), scripts=[SCRIPT])
    with capture_logs() as logs, pytest.raises(RedisUnusable) as caught:
        await subject.start()
    assert subject.fault is not None
    assert [entry["event"] for entry in logs] == ["redis.unavailable"]
    return f"{caught.value} {logs} {subject!r}"


@pytest.mark.parametrize(
    "userinfo", [":p%2Fw%3A%40_%23%25", "default:p%2Fw%3A%40_%23%25", "alice:wonder", "nopass:"]
)
async def test_a_password_and_a_user_get_in(guarded: RedisServer, userinfo: str) -> None:
    await ping(at(guarded, userinfo))
    # The same address serves a client of redis-py.
    client = RedisAddress.parse(at(guarded, userinfo)).client()
    async with client:
        assert await client.ping()


@pytest.mark.parametrize(
    ("userinfo", "db", "why"),
    [
        (":hunter2", 0, "the user name or the password is wrong"),
        ("alice:hunter2", 0, "the user name or the password is wrong"),
        ("nobody:hunter2", 0, "the user name or the password is wrong"),
        ("bob:builder", 0, "the user may not SCRIPT LOAD: grant it"),
        ("eve:drop", 0, "the user may not PING: grant it"),
        ("eve:drop", 3, "the user may not SELECT: grant it"),
        ("nopass:", 999, "it has no database 999"),
    ],
)
async def test_who_may_not_in_is_told_what_to_change(
    guarded: RedisServer, userinfo: str, db: int, why: str
) -> None:
    said = await refusal(at(guarded, userinfo, db))
    assert why in said
    assert not any(word in said for word in ("hunter2", "builder", "drop"))


async def test_a_missing_password_and_a_needless_one_are_told_apart() -> None:
    with RedisServer(password="sesame") as server:
        assert "it wants a password: write USER:PASSWORD@" in await refusal(
            f"redis://127.0.0.1:{server.port}"
        )
        await ping(server.url)
    bare = RedisAddress.parse(empty_redis_url())
    said = await refusal(f"redis://:hunter2@{bare.host}:{bare.port}")
    assert "takes no such password" in said
    assert "hunter2" not in said


async def test_an_operator_may_mend_it_while_we_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "UNUSABLE_PAUSE", 0.1)
    with RedisServer() as server:
        url = at(server, "late:comer")
        server.stop()
        subject = Link(RedisAddress.parse(url))
        with capture_logs() as logs:
            await subject.start()
            server.start()
            async with asyncio.timeout(5):
                while "password is wrong" not in str(subject.fault):
                    await asyncio.sleep(0.01)
            operator = Link(RedisAddress.parse(server.url))
            await operator.start()
            await operator.send(encode(b"ACL", b"SETUSER", b"late", b"on", b">comer", b"~*", b"+@all"))
            await operator.close()
            async with asyncio.timeout(5):
                while subject.fault is not None:
                    await asyncio.sleep(0.01)
        await subject.close()
    # Once that it is away, once that it is of no use; then the operator's link, and once that it is well.
    events = [entry["event"].removeprefix("redis.") for entry in logs]
    assert events == ["unavailable", "unavailable", "available", "available"]
    assert "comer" not in str(logs)


async def test_a_unix_socket_is_as_good(guarded: RedisServer) -> None:
    await ping(f"unix://alice:wonder@{guarded.socket}?db=1")
    client = RedisAddress.parse(f"unix://alice:wonder@{guarded.socket}?db=1").client()
    async with client:
        assert await client.ping()


async def test_protected_mode_is_explained() -> None:
    said = b"-DENIED Redis is running in protected mode because\r\n"
    async with serving(answering(dict.fromkeys((b"CLIENT", b"HELLO", b"PING", b"SCRIPT"), said))) as port:
        assert "protected mode" in await refusal(f"redis://127.0.0.1:{port}")


async def test_a_server_that_still_loads_its_data_is_waited_for() -> None:
    said = b"-LOADING Redis is loading the dataset in memory\r\n"
    async with serving(answering(dict.fromkeys((b"HELLO", b"PING", b"SCRIPT"), said))) as port:
        assert "it answers LOADING" in await fault(f"redis://127.0.0.1:{port}")


# TLS, with a certificate authority of the test's own.


class Authority:
    """Signs certificates for loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        builder = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file = folder / "ca.pem"
        certificate = builder.sign(self._key, hashes.SHA256())
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )

    def sign(self, common_name: str, *names: x509.GeneralName) -> Path:
        """Return a file with a key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = self._builder(name, key)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        file = self._folder / f"{common_name}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return file


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def terminated(authority: Authority) -> Callable[..., ssl.SSLContext]:
    """Make the server's side of TLS."""

    def context(certificate: Path, *, clients: bool = False) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate)
        if clients:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(authority.file)
        return made

    return context


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


async def test_tls_gets_in_when_the_certificate_is_good(
    authority: Authority, terminated: Callable[..., ssl.SSLContext], guarded: RedisServer
) -> None:
    tls = terminated(authority.sign("good", LOOPBACK, x509.DNSName("localhost")))
    async with serving(forwarding(str(guarded.socket)), tls=tls) as port:
        for host in ("127.0.0.1", "localhost"):
            url = f"rediss://alice:wonder@{host}:{port}/2?ssl_ca_certs={authority.file}"
            await ping(url)
            client = RedisAddress.parse(url).client()
            async with client:
                assert await client.ping()


async def test_tls_is_refused_when_the_certificate_is_not_good(
    authority: Authority, terminated: Callable[..., ssl.SSLContext], guarded: RedisServer
) -> None:
    tls = terminated(authority.sign("other", x509.DNSName("other.example")))
    async with serving(forwarding(str(guarded.socket)), tls=tls) as port:
        url = f"rediss://alice:wonder@127.0.0.1:{port}"
        assert "its certificate was refused: unable to get local issuer" in await refusal(url)
        trusting = f"{url}?ssl_ca_certs={authority.file}"
        assert "its certificate was refused: IP address mismatch" in await refusal(trusting)
        await ping(f"{trusting}&ssl_check_hostname=false")


async def test_our_own_certificate_is_shown_to_a_server_that_wants_one(
    authority: Authority, terminated: Callable[..., ssl.SSLContext], guarded: RedisServer
) -> None:
    tls = terminated(authority.sign("strict", LOOPBACK), clients=True)
    async with serving(forwarding(str(guarded.socket)), tls=tls) as port:
        url = f"rediss://alice:wonder@127.0.0.1:{port}?ssl_ca_certs={authority.file}"
        assert "does it want a certificate (ssl_certfile)?" in await fault(url)
        await ping(f"{url}&ssl_certfile={authority.sign('gateway')}")


async def test_a_port_without_tls_and_a_port_with_it_are_told_apart(
    authority: Authority, terminated: Callable[..., ssl.SSLContext], guarded: RedisServer
) -> None:
    # Redis waits for the rest of what looks like a command to it; others say at once what they think.
    said = await fault(f"rediss://127.0.0.1:{guarded.port}")
    assert "does this port speak TLS?" in said

    async def greeter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    async with serving(greeter) as port:
        assert "does this port speak TLS?" in await refusal(f"rediss://127.0.0.1:{port}")
    tls = terminated(authority.sign("plain", LOOPBACK))
    async with serving(forwarding(str(guarded.socket)), tls=tls) as port:
        assert "if this port is for TLS, write rediss://" in await fault(f"redis://127.0.0.1:{port}")


async def test_a_missing_certificate_file_ends_the_start() -> None:
    assert "ssl_ca_certs: /nowhere.pem: No such file" in await refusal(
        "rediss://127.0.0.1:1?ssl_ca_certs=/nowhere.pem"
    )


async def test_idle_connections_are_kept_alive(guarded: RedisServer) -> None:
    subject = Link(RedisAddress.parse(at(guarded, "alice:wonder")))
    await subject.start()
    connection = subject._connection
    assert isinstance(connection, Connection)
    assert connection._transport is not None
    sock = connection._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await subject.close()
