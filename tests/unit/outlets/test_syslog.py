"""Syslog over a stream: what RFC 5424, RFC 6587 and RFC 5425 say, and nothing lost unnoticed."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from support.certificates import Authority
from unit.outlets.receivers import SyslogServer, server_tls
from unit.outlets.sample import record

from gateway.formats import FORMATS
from gateway.outlets import connection, outlet_from
from gateway.outlets.syslog import severity_of
from gateway.ports import Outlet, OutletUnavailable

MESSAGE = re.compile(
    rb"<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) "
    rb"(?P<process>[!-~]{1,128}) (?P<id>[!-~]{1,32}) - (?P<text>.*)",
    re.DOTALL,
)
"""RFC 5424 section 6, without structured data."""


@asynccontextmanager
async def outlet_to(
    server: SyslogServer, options: str = "", *, scheme: str = "syslog"
) -> AsyncIterator[Outlet]:
    outlet = outlet_from(f"{scheme}://127.0.0.1:{server.port}{options}", FORMATS)
    try:
        yield outlet
    finally:
        await outlet.close()


async def test_a_record_is_a_message_of_rfc_5424() -> None:
    async with SyslogServer.running() as server, outlet_to(server) as outlet:
        sent = record(7, path="/a\nb <13>1 \u00fc")
        await outlet.send([sent, record(8, decision="deny", reason="denied")])
        first, second = await server.hear(2)
    fields = MESSAGE.fullmatch(first)
    assert fields is not None
    assert fields["priority"] == b"110"
    assert fields["time"] == b"2026-11-21T14:00:00.000001Z"
    assert fields["host"].decode() == socket.gethostname()
    assert (fields["app"], fields["id"]) == (b"gateway", b"decision")
    assert fields["process"].decode() == sent["writer"]
    assert orjson.loads(fields["text"]) == sent
    assert b"\n" not in first
    assert second.startswith(b"<108>1 ")


@pytest.mark.parametrize(
    ("fields", "id_"),
    [
        ({"kind": "event", "action": "auth.login"}, b"auth.login"),
        ({"kind": "event", "action": "a b\n\u00fc" + "x" * 40}, b"a?b??" + b"x" * 27),
        ({"kind": "completion", "action": "orders:read"}, b"completion"),
        ({"kind": None, "time": None, "writer": ""}, b"-"),
    ],
)
async def test_no_value_can_break_the_head_of_a_message(fields: dict[str, object], id_: bytes) -> None:
    async with SyslogServer.running() as server, outlet_to(server) as outlet:
        await outlet.send([record(1, **fields)])
        (message,) = await server.hear(1)
    found = MESSAGE.fullmatch(message)
    assert found is not None
    assert found["id"] == id_


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({}, 6),
        ({"decision": "deny", "reason": "denied"}, 4),
        ({"kind": "event", "action": "auth.login_failed", "decision": None, "reason": "x"}, 4),
        ({"kind": "event", "action": "audit.gap", "decision": None}, 3),
        ({"reason": None}, 6),
        # Nothing of ours: whoever may write to the database must not stop what follows it.
        ({"reason": ["x"]}, 4),
    ],
)
def test_what_was_refused_is_a_warning_and_a_gap_is_an_error(
    fields: dict[str, object], severity: int
) -> None:
    assert severity_of(record(1, **fields)) == severity


async def test_many_records_arrive_in_order_over_one_connection() -> None:
    async with SyslogServer.running() as server, outlet_to(server, "?as=cef") as outlet:
        for start in range(0, 3000, 1000):
            await outlet.send([record(seq) for seq in range(start, start + 1000)])
        messages = await server.hear(3000)
        assert server.connections == 1
    assert all(b" - CEF:0|" in message for message in messages)


async def test_a_receiver_that_closed_the_connection_gets_everything_again() -> None:
    async with SyslogServer.running() as server, outlet_to(server) as outlet:
        await outlet.send([record(1)])
        await server.hear(1)
        await server.cut()
        await outlet.send([record(2)])
        messages = await server.hear(2)
        assert server.connections == 2
    assert [orjson.loads(message.split(b" - ", 1)[1])["seq"] for message in messages] == [1, 2]


async def test_a_receiver_that_is_not_there_takes_nothing_until_it_is() -> None:
    async with SyslogServer.running() as server:
        port = server.port
    outlet = outlet_from(f"syslog://127.0.0.1:{port}", FORMATS)
    with pytest.raises(OutletUnavailable, match="Connection refused"):
        await outlet.send([record(1)])
    async with SyslogServer.running(port=port) as server:
        await outlet.send([record(1)])
        await server.hear(1)
        await outlet.close()


async def test_what_the_receiver_does_not_confirm_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        outlet = outlet_from(f"syslog://127.0.0.1:{deaf.getsockname()[1]}", FORMATS)
        with pytest.raises(OutletUnavailable, match=r"no answer in time|timed out"):
            await outlet.send([record(seq, path="/" + "x" * 2000) for seq in range(2000)])
        await outlet.close()


async def test_a_send_that_is_cancelled_ends_its_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        outlet = outlet_from(f"syslog://127.0.0.1:{deaf.getsockname()[1]}", FORMATS)
        sending = asyncio.ensure_future(
            outlet.send([record(seq, path="/" + "x" * 2000) for seq in range(5000)])
        )
        accepted, _ = await asyncio.to_thread(deaf.accept)
        with accepted:
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            async with asyncio.timeout(5):
                await outlet.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_tls_shows_who_the_receiver_is(authority: Authority) -> None:
    tls = server_tls(authority.issue("server", "127.0.0.1"))
    async with (
        SyslogServer.running(tls) as server,
        outlet_to(server, f"?ca={authority.file}", scheme="syslog+tls") as outlet,
    ):
        await outlet.send([record(seq) for seq in range(1000)])
        await outlet.send([record(1000)])
        await server.hear(1001)
        assert server.connections == 1
        await server.cut()
        await outlet.send([record(1001)])
        assert len(await server.hear(1002)) == 1002


@pytest.mark.parametrize(
    ("names", "ended", "said"),
    [
        (["other.example"], False, "IP address mismatch"),
        (["127.0.0.1"], True, "certificate has expired"),
    ],
)
async def test_a_receiver_that_is_somebody_else_gets_nothing(
    authority: Authority, names: list[str], ended: bool, said: str
) -> None:
    tls = server_tls(authority.issue("server", *names, ended=ended))
    async with (
        SyslogServer.running(tls) as server,
        outlet_to(server, f"?ca={authority.file}", scheme="syslog+tls") as outlet,
    ):
        with pytest.raises(OutletUnavailable, match=said):
            await outlet.send([record(1)])
        assert server.messages == []


async def test_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    tls = server_tls(authority.issue("server", "127.0.0.1"))
    other = Authority(tmp_path, "Other authority")
    async with (
        SyslogServer.running(tls) as server,
        outlet_to(server, f"?ca={other.file}", scheme="syslog+tls") as outlet,
    ):
        with pytest.raises(OutletUnavailable, match="the certificate cannot be verified"):
            await outlet.send([record(1)])


async def test_a_receiver_that_wants_a_certificate_gets_it_or_takes_nothing(authority: Authority) -> None:
    tls = server_tls(authority.issue("server", "127.0.0.1"), client_ca=str(authority.file))
    pair = authority.issue("client", "gateway.example")
    async with SyslogServer.running(tls) as server:
        async with outlet_to(server, f"?ca={authority.file}", scheme="syslog+tls") as stranger:
            with pytest.raises(OutletUnavailable, match=r"CERTIFICATE_REQUIRED|closed the connection|reset"):
                await stranger.send([record(1)])
        options = f"?ca={authority.file}&cert={pair.certificate}&key={pair.key}"
        async with outlet_to(server, options, scheme="syslog+tls") as known:
            await known.send([record(2)])
            assert len(await server.hear(1)) == 1


@pytest.mark.parametrize("option", ["ca", "cert"])
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, option: str) -> None:
    path = tmp_path / "x.pem"
    async with SyslogServer.running() as server:
        outlet = outlet_from(f"syslog+tls://127.0.0.1:{server.port}?{option}={path}", FORMATS)
        with pytest.raises(OutletUnavailable, match=r"x\.pem cannot be used: No such file"):
            await outlet.send([record(1)])
        path.write_text("no certificate")
        with pytest.raises(OutletUnavailable, match=r"x\.pem cannot be used"):
            await outlet.send([record(1)])
