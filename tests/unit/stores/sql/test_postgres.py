"""One PostgreSQL database, as the gateway uses it, on servers that stop, stall and come back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from databases import create_database, database_url, execute, opened
from sqlalchemy import make_url, text
from support.postgres_tls import tls_in_front
from support.servers import PostgresServer

from gateway.ports import StoreUnavailable
from gateway.stores.sql import Database, DatabaseUnusable, SqlChangeFeed, postgres
from gateway.stores.sql.engine import Lock, engine_of

ONE = text("SELECT 1")
SLEEP = text("SELECT pg_sleep(30)")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Lend a server that tests may disturb."""
    with PostgresServer() as started:
        yield started


@pytest.fixture
async def database(server: PostgresServer) -> AsyncIterator[Database]:
    async with opened(server.url) as database:
        yield database


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with database_url("postgresql", tmp_path) as lent:
        yield lent


async def _ask(database: Database) -> None:
    async with database.read() as connection:
        assert await connection.scalar(ONE) == 1


def _with(url: str, **parts: object) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type] # its own parts


def _asking(url: str, **parameters: str) -> str:
    return make_url(url).update_query_dict(parameters).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": "hunter2"}, 'password authentication failed for user "postgres"'),
        ({"username": "nobody"}, 'password authentication failed for user "nobody"'),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"query": {"nonsense": "hunter2"}}, 'unrecognized configuration parameter "nonsense"'),
        ({"query": {"statement_timeout": "soon"}}, 'invalid value for parameter "statement_timeout": "soon"'),
        ({"query": {"sslmode": "perhaps"}}, "`sslmode` parameter must be one of"),
        ({"query": {"target_session_attrs": "x"}}, "target_session_attrs is expected to be one of"),
    ],
)
async def test_what_waiting_cannot_heal_is_said_and_what_to_do_about_it(
    server: PostgresServer, change: dict[str, object], says: str
) -> None:
    url = _with(server.url, **change)
    async with opened(url) as database:
        with pytest.raises(DatabaseUnusable) as unusable:
            await database.migrate()
    name = change.get("database", "postgres")
    assert str(unusable.value).startswith(
        f"database postgresql 127.0.0.1:{server.port}/{name}: cannot connect: "
    )
    assert says in str(unusable.value)
    if "password" in change:
        assert "hunter2" not in str(unusable.value)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("sslmode=require", "rejected SSL upgrade"),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "cannot connect"),
        ("target_session_attrs=standby", "None of the hosts match"),
    ],
)
async def test_a_server_that_does_not_offer_what_is_asked_for_is_not_used(
    server: PostgresServer, parameters: str, says: str
) -> None:
    async with opened(f"{server.url}?{parameters}") as database:
        with pytest.raises(StoreUnavailable, match=says):
            await database.migrate()


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:hunter2@127.0.0.1:1/name", "postgresql://me:hunter2@/name?host=/nowhere",
     "postgresql://me:hunter2@127.0.0.1:1,127.0.0.1:2/name"],
)  # fmt: skip
async def test_a_server_that_is_away_is_named(url: str) -> None:
    async with opened(url) as database:
        with pytest.raises(StoreUnavailable, match=r"^database postgresql .*/name: cannot connect: ") as away:
            await database.migrate()
    assert "hunter2" not in str(away.value)
    assert not isinstance(away.value, DatabaseUnusable)


async def test_a_socket_and_a_second_host_are_found_as_the_driver_documents(server: PostgresServer) -> None:
    for url in (server.unix_url, server.url.replace("@", "@127.0.0.1:1,")):
        async with opened(url) as database:
            await _ask(database)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that signs itself, for `localhost`, with its key; return the two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "server.crt", folder / "server.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


async def test_the_server_is_verified_as_the_url_asks(server: PostgresServer, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    with tls_in_front(server.port, certificate=certificate, key=key) as port:
        here = server.url.replace(f":{server.port}/", f":{port}/")
        local = here.replace("127.0.0.1", "localhost")
        verified = f"{local}?sslmode=verify-full&sslrootcert={certificate}"
        async with opened(verified) as database, database.read() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
        for url in (
            # The certificate is for another name; nobody that is trusted vouches for it.
            f"{here}?sslmode=verify-full&sslrootcert={certificate}",
            f"{local}?sslmode=verify-full&sslrootcert={_certificate(tmp_path)[0]}",
        ):
            async with opened(url) as database:
                with pytest.raises(StoreUnavailable, match="certificate verify failed"):
                    await _ask(database)


async def test_settings_of_the_url_come_before_those_of_the_gateway(server: PostgresServer) -> None:
    url = f"{server.url}?statement_timeout=1234&search_path=elsewhere"
    async with opened(url) as database, database.read() as connection:
        names = "statement_timeout", "search_path", "application_name"
        found = [await connection.scalar(text(f"SHOW {name}")) for name in names]
    assert found == ["1234ms", "elsewhere", "gateway"]


async def test_transactions_name_their_isolation_whatever_the_server_prefers(url: str) -> None:
    name = make_url(url).database
    await execute(url, f"ALTER DATABASE {name} SET default_transaction_isolation = serializable")
    async with opened(url) as database:
        async with database.read() as connection:
            reads = [
                await connection.scalar(text(f"SHOW transaction_{what}"))
                for what in ("isolation", "read_only")
            ]
        async with database.write() as connection:
            writes = [
                await connection.scalar(text(f"SHOW transaction_{what}"))
                for what in ("isolation", "read_only")
            ]
    await execute(url, f"ALTER DATABASE {name} RESET default_transaction_isolation")
    assert (reads, writes) == (["repeatable read", "on"], ["read committed", "off"])


async def test_a_role_needs_no_more_than_ordinary_rights(server: PostgresServer) -> None:
    url = await create_database(server.url)
    name = make_url(url).database
    await execute(url, "CREATE ROLE plain LOGIN PASSWORD 'plain'", "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    plain = _with(url, username="plain", password="plain")
    async with opened(plain) as database:
        for right in ("USAGE", "CREATE"):
            with pytest.raises(DatabaseUnusable, match="the gateway's role must be allowed to create tables"):
                await database.migrate()
            await execute(url, f"GRANT {right} ON SCHEMA public TO plain")
        await database.migrate()
        async with database.write() as connection:
            await engine_of(connection).lock(connection, Lock.CHANGES)
    await execute(server.url, f"DROP DATABASE {name} WITH (FORCE)", "DROP ROLE plain")


async def test_no_value_that_fits_no_column_gets_into_an_exception(database: Database) -> None:
    with pytest.raises(StoreUnavailable, match="a value does not fit its column") as failed:
        async with database.write() as connection:
            await connection.execute(text("SELECT CAST(:value AS integer)"), {"value": "hunter2"})
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
async def test_a_server_that_was_restarted_fails_no_request_once_it_is_back(
    server: PostgresServer, database: Database, mode: str
) -> None:
    await asyncio.gather(*(_ask(database) for _ in range(20)))
    await asyncio.to_thread(server.stop, mode)
    # Whoever is quick finds a connection where the server has said so and not hung up yet.
    with pytest.raises(StoreUnavailable, match=r"cannot connect|the connection was lost"):
        await _ask(database)
    await asyncio.to_thread(server.start)
    await asyncio.gather(*(_ask(database) for _ in range(20)))


async def test_a_statement_whose_connection_is_cut_fails_and_the_next_does_not(
    server: PostgresServer, database: Database
) -> None:
    async def ask_when_cut() -> None:
        async with database.write() as connection:
            pid = await connection.scalar(text("SELECT pg_backend_pid()"))
            await execute(server.url, f"SELECT pg_terminate_backend({pid})")
            await connection.execute(ONE)

    with pytest.raises(StoreUnavailable):
        await ask_when_cut()
    await _ask(database)


class Between:
    """What lies between a client and its server, and can put words into the server's mouth."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.clients: list[asyncio.StreamWriter] = []
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> int:
        await self._tasks.__aenter__()
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for client in self.clients:
            client.close()
        await self._tasks.__aexit__(None, None, None)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        there, here = await asyncio.open_connection("127.0.0.1", self._port)
        self._tasks.create_task(self._pass_on(reader, here))
        self._tasks.create_task(self._pass_on(there, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


async def test_a_server_that_says_it_goes_and_does_not_hang_up_fails_one_request(
    server: PostgresServer,
) -> None:
    fields = b"SFATAL\0C57P01\0Mterminating connection\0\0"
    farewell = b"E" + (4 + len(fields)).to_bytes(4, "big") + fields
    between = Between(server.port)
    async with between as port, opened(_with(server.url, port=port)) as database:
        await _ask(database)
        for client in between.clients:
            client.write(farewell)
        await asyncio.sleep(0.1)
        with pytest.raises(StoreUnavailable, match="the connection was lost"):
            await _ask(database)
        await _ask(database)


@pytest.mark.parametrize("turns", [*range(0, 24, 2), 60, 200])
async def test_a_statement_may_be_cancelled_at_any_point(database: Database, turns: int) -> None:
    await _ask(database)

    async def hold() -> None:
        async with database.write() as connection:
            await connection.execute(SLEEP)

    for _ in range(postgres.CONNECTIONS + 1):
        task = asyncio.ensure_future(hold())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        began = time.monotonic()
        await asyncio.gather(task, return_exceptions=True)
        assert time.monotonic() - began < 1
    async with asyncio.timeout(4):
        await asyncio.gather(*(_ask(database) for _ in range(20)))


async def test_no_connection_outlives_its_database(server: PostgresServer) -> None:
    mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leak'"
    async with opened(f"{server.url}?application_name=leak") as database:
        tasks = [asyncio.ensure_future(_sleep(database)) for _ in range(4)]
        await asyncio.gather(*(_ask(database) for _ in range(20)))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        while (await execute(server.url, mine))[0][0] > 0:
            await asyncio.sleep(0.05)


async def _sleep(database: Database) -> None:
    async with database.read() as connection:
        await connection.execute(SLEEP)


async def test_what_waits_too_long_for_a_connection_is_unavailable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, held = asyncio.Event(), asyncio.Barrier(postgres.CONNECTIONS + 1)

    async def hold() -> None:
        async with database.read():
            await held.wait()
            await release.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(postgres.CONNECTIONS):
            tasks.create_task(hold())
        await held.wait()
        monkeypatch.setattr(postgres, "PATIENCE", 0.3)
        with pytest.raises(StoreUnavailable, match="no answer"):
            await _ask(database)
        release.set()
    await _ask(database)


async def test_the_feed_is_followed_while_every_connection_waits_for_a_lock(url: str) -> None:
    async with opened(url) as database, opened(url) as other, asyncio.TaskGroup() as tasks:
        waiting = asyncio.Barrier(postgres.CONNECTIONS + 1)

        async def announce_late() -> None:
            async with database.write() as connection:
                await waiting.wait()
                await engine_of(connection).lock(connection, Lock.CHANGES)

        async with other.write() as holding:
            await engine_of(holding).lock(holding, Lock.CHANGES)
            for _ in range(postgres.CONNECTIONS):
                tasks.create_task(announce_late())
            await waiting.wait()
            async with asyncio.timeout(2):
                assert await SqlChangeFeed(database).since(0) == []


async def test_a_database_that_has_not_every_character_is_refused(server: PostgresServer) -> None:
    await execute(server.url, "CREATE DATABASE western TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    async with opened(_with(server.url, database="western")) as database:
        with pytest.raises(DatabaseUnusable, match="its encoding LATIN1 has not all characters"):
            await database.migrate()
    await execute(server.url, "DROP DATABASE western WITH (FORCE)")


async def test_a_lock_that_is_never_released_is_given_up_and_the_connection_kept(url: str) -> None:
    async with (
        opened(_asking(url, statement_timeout="200")) as database,
        opened(url) as other,
        other.write() as holding,
    ):
        await engine_of(holding).lock(holding, Lock.CHANGES)
        with pytest.raises(StoreUnavailable, match="canceling statement due to statement timeout"):
            async with database.write() as connection:
                await engine_of(connection).lock(connection, Lock.CHANGES)
        await _ask(database)


async def test_a_transaction_that_is_forgotten_loses_its_locks(url: str) -> None:
    async with (
        opened(_asking(url, idle_in_transaction_session_timeout="100")) as database,
        opened(url) as other,
    ):

        async def forget() -> None:
            async with database.write() as forgotten:
                await engine_of(forgotten).lock(forgotten, Lock.CHANGES)
                async with other.write() as connection:
                    await engine_of(connection).lock(connection, Lock.CHANGES)

        with pytest.raises(StoreUnavailable):
            await forget()
        await _ask(database)


@pytest.mark.slow
@pytest.mark.parametrize("rested", [0.0, 1.2])
async def test_a_server_that_stalls_is_given_up_in_time_and_used_again_afterwards(
    server: PostgresServer, database: Database, rested: float
) -> None:
    await asyncio.gather(*(_ask(database) for _ in range(20)))
    began = asyncio.Event()

    async def wait_for_long() -> None:
        async with database.write() as connection:
            began.set()
            await connection.execute(SLEEP)

    async def ask_when_it_stalls() -> float:
        start = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await _ask(database)
        return time.monotonic() - start

    running = asyncio.ensure_future(wait_for_long())
    await began.wait()
    await asyncio.sleep(rested)
    await asyncio.to_thread(server.pause)
    try:
        took = await asyncio.gather(*(ask_when_it_stalls() for _ in range(20)))
        assert max(took) < 6
        with pytest.raises(StoreUnavailable):
            await running
        start = time.monotonic()
        await database.close()
        assert time.monotonic() - start < 1
    finally:
        await asyncio.to_thread(server.resume)
    await asyncio.gather(*(_ask(database) for _ in range(20)))
