"""TLS under the connection of a client that means harm: what it can have us hold, and do, for how little."""

import asyncio
import ssl
from pathlib import Path

import pytest
from support.listening import Client, Listening, listening
from support.running import soon
from support.secured import Hand, Secured
from support.tls_records import Records

from gateway.edge import connection as connection_file
from gateway.edge.tls import TlsLayer

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
_ASKED = 2000
"""Changes of keys; each costs us as much as a signature costs a client."""


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    return Secured(tmp_path)


async def forging(server: Listening, secured: Secured, tmp_path: Path) -> tuple[Client, Records]:
    """Return a client that has agreed on TLS, and what makes its records from then on."""
    context = secured.trust()
    context.keylog_filename = str(tmp_path / "keys")
    hand = Hand(await server.connect(), context)
    await hand.shake()
    assert hand.tls.cipher()[0] == "TLS_AES_256_GCM_SHA384"  # type: ignore[index] # it is agreed
    return hand.client, Records(tmp_path / "keys")


def layer(server: Listening) -> TlsLayer:
    (one,) = server.listener.connections
    assert isinstance(one.transport, TlsLayer)
    return one.transport


async def test_keys_may_change_between_any_two_records(secured: Secured, tmp_path: Path) -> None:
    async with listening(tls=secured.tls) as server:
        client, records = await forging(server, secured, tmp_path)
        for asks in (False, True, False):
            client.send(records.text(GET[:9]) + records.key_update(asks=asks) + records.text(GET[9:]))
        await soon(lambda: server.door.asked == ["/a"] * 3)
        assert len(server.listener.connections) == 1


@pytest.mark.parametrize("asks", [False, True])
async def test_whoever_does_nothing_but_change_keys_is_cut_off(
    secured: Secured, tmp_path: Path, asks: bool
) -> None:
    async with listening(tls=secured.tls) as server:
        client, records = await forging(server, secured, tmp_path)
        client.send(b"".join(records.key_update(asks=asks) for _ in range(_ASKED)))
        await soon(lambda: not server.listener.connections)
        assert server.door.asked == []


async def test_a_byte_now_and_then_does_not_pay_for_changes_of_keys(secured: Secured, tmp_path: Path) -> None:
    async with listening(tls=secured.tls) as server:
        client, records = await forging(server, secured, tmp_path)
        for _ in range(_ASKED // 100):
            client.send(b"".join(records.key_update(asks=False) for _ in range(100)))
            client.send(records.text(b"\r\n"))
        await soon(lambda: not server.listener.connections)


async def test_what_tls_has_to_say_is_not_piled_up_for_a_client_that_takes_nothing(
    secured: Secured, tmp_path: Path
) -> None:
    async with listening(tls=secured.tls) as server:
        client, records = await forging(server, secured, tmp_path)
        client.send(records.text(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 40))
        client.stop_reading()
        await soon(lambda: layer(server).get_write_buffer_size() > 0)
        most = 0
        for _ in range(_ASKED):
            # Enough text for what it costs, and an answer to each.
            client.send(records.text(b"\r\n") + records.key_update(asks=True))
            await asyncio.sleep(0)
            if not server.listener.connections:
                break
            most = max(most, layer(server).get_write_buffer_size())
        await soon(lambda: not server.listener.connections)
        assert most < 2 * 1024 * 1024


async def test_the_smallest_records_are_no_burden(secured: Secured, tmp_path: Path) -> None:
    async with listening(tls=secured.tls) as server:
        client, records = await forging(server, secured, tmp_path)
        client.send(records.text(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n"))
        client.send(b"".join(records.text(b"x") for _ in range(5000)))
        await soon(lambda: server.door.asked == ["/a"])
        client.send(records.text(GET))
        await soon(lambda: server.door.asked == ["/a", "/a"])


async def test_records_without_text_are_ended_with_an_alert(secured: Secured, tmp_path: Path) -> None:
    async with listening(tls=secured.tls) as server:
        client, records = await forging(server, secured, tmp_path)
        client.send(b"".join(records.text(b"") for _ in range(200)))
        await soon(lambda: not server.listener.connections)


async def test_a_damaged_record_does_not_keep_a_client_that_takes_nothing(
    secured: Secured, tmp_path: Path
) -> None:
    async with listening(tls=secured.tls) as server:
        client, records = await forging(server, secured, tmp_path)
        client.send(records.text(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 40))
        client.stop_reading()
        await soon(lambda: layer(server).get_write_buffer_size() > 0)
        client.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        await soon(lambda: not server.listener.connections)


class Watched:
    """A buffer of TLS that remembers how much it has held: that is how large it stays."""

    def __init__(self, inner: ssl.MemoryBIO) -> None:
        self._inner = inner
        self.most = 0

    @property
    def pending(self) -> int:
        return self._inner.pending

    def write(self, data: bytes) -> int:
        done = self._inner.write(data)
        self.most = max(self.most, self.pending)
        return done

    def read(self) -> bytes:
        self.most = max(self.most, self.pending)
        return self._inner.read()


async def test_what_a_connection_has_carried_it_does_not_keep_in_memory(secured: Secured) -> None:
    async with listening(tls=secured.tls, trust=secured.trust()) as server:
        client = await server.connect()
        client.send(GET)
        assert await client.answer() == "/a"
        tls = layer(server)
        incoming = tls._incoming = Watched(tls._incoming)  # type: ignore[assignment] # as much as is used
        outgoing = tls._outgoing = Watched(tls._outgoing)  # type: ignore[assignment]
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        answer = await client.answer()
        assert answer is not None
        assert len(answer) == 3_000_002
    # One piece, and the part of a record before it.
    assert incoming.most <= (32 + 17) * 1024
    assert outgoing.most <= 33 * 1024


@pytest.mark.parametrize("over_tls", [False, True])
async def test_a_half_close_does_not_keep_a_connection_whose_client_takes_nothing(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, over_tls: bool
) -> None:
    monkeypatch.setattr(connection_file, "_STUCK", 0.1)
    async with listening(tls=secured.tls if over_tls else None) as server:
        server.listener.linger = 0.1
        client = await server.connect(receives=4096)
        hand = None
        if over_tls:
            hand = Hand(client, secured.trust())
            await hand.shake()
        # Answers that wait in the system and in the transport, and not one more is asked for.
        asked = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 3
        server.door.BIG = 2_000_000
        client.stop_reading()
        client.send(asked if hand is None else hand.sealed(asked))
        await soon(lambda: _waiting(server) > 0)
        client.writer.write_eof()
        await soon(lambda: not server.listener.connections)


def _waiting(server: Listening) -> int:
    (one,) = server.listener.connections
    return 0 if one.transport is None else one.transport.get_write_buffer_size()
