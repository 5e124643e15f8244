"""TLS under a client's connection: its beginning, its end, and what may go wrong with either."""

import asyncio
import ssl
from pathlib import Path

import pytest
from support.listening import Listening, listening
from support.running import soon
from support.secured import Hand, Secured

from gateway.edge import listener as listener_file
from gateway.edge.connection import Connection
from gateway.edge.tls import OUTCOMES
from gateway.model import ClientCertificate

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    return Secured(tmp_path)


@pytest.fixture
def asking(tmp_path: Path) -> Secured:
    return Secured(tmp_path, asks=True)


def only(server: Listening) -> Connection:
    (one,) = server.listener.connections
    return one


async def agreed(server: Listening, context: ssl.SSLContext) -> Hand:
    hand = Hand(await server.connect(), context)
    await hand.shake()
    return hand


def counted(server: Listening) -> dict[str, int]:
    return dict(server.listener.handshakes)


async def test_a_request_is_answered_over_tls_and_the_connection_kept(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        for _ in range(3):
            await hand.send(GET)
            assert (await hand.receive()).endswith(b"/a")
        assert counted(server) == {"ok": 1}
        assert only(server).certificate is None


@pytest.mark.parametrize("piece", [1, 7, 100])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_where_encrypted_bytes_are_cut_does_not_matter(
    secured: Secured, piece: int, version: ssl.TLSVersion
) -> None:
    context = secured.trust()
    context.minimum_version = context.maximum_version = version
    async with listening(tls=secured.tls) as server:
        hand = Hand(await server.connect(), context)
        await hand.shake(piece=piece)
        await hand.send(GET, piece=piece)
        assert (await hand.receive()).endswith(b"/a")
        # Many records in one piece are as good.
        for each in (LAST[:5], LAST[5:20], LAST[20:]):
            hand.tls.write(each)
        hand.client.send(hand.take())
        assert (await hand.rest()).endswith(b"/a")


async def test_http_1_1_is_what_is_agreed_on(secured: Secured) -> None:
    context = secured.trust()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, context)
        assert hand.tls.selected_alpn_protocol() == "http/1.1"
        assert (hand.tls.version(), hand.tls.compression()) == ("TLSv1.3", None)


async def test_the_last_answer_ends_in_order(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        await hand.send(LAST)
        # `rest` fails at an end that is not said: it could be anybody's.
        assert (await hand.rest()).endswith(b"/a")
        await hand.end()
        await soon(lambda: not server.listener.connections)


async def test_an_answer_that_is_broken_off_does_not_end_in_order(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        await hand.send(GET.replace(b"/a", b"/never"))
        await soon(lambda: server.door.asked == ["/never"])
        only(server).end()
        with pytest.raises((EOFError, ConnectionError)):
            await hand.rest()


async def test_a_client_that_still_sends_gets_the_whole_of_an_early_answer(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        await hand.send(b"POST /drop HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
        await soon(lambda: server.door.asked == ["/drop"])
        for _ in range(200):
            await hand.send(b"x" * 16384)
        assert (await hand.rest()).endswith(b"/drop")


async def test_a_client_that_says_its_end_has_left(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        await hand.send(GET)
        await hand.receive()
        await hand.end()
        assert await hand.receive() == b""
        await soon(lambda: not server.listener.connections)
        # So has one whose request is not answered yet.
        hand = await agreed(server, secured.trust())
        await hand.send(GET.replace(b"/a", b"/never"))
        await soon(lambda: server.door.asked[-1] == "/never")
        await hand.end()
        # And what it has got by then does not pass for the whole.
        with pytest.raises((EOFError, ConnectionError)):
            await hand.receive()
        await soon(lambda: not server.listener.connections)


async def test_what_comes_with_the_clients_end_is_answered_before_it(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        hand.tls.write(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        with pytest.raises(ssl.SSLWantReadError):
            hand.tls.unwrap()
        hand.client.send(hand.take() + b"anything")
        await soon(lambda: not server.listener.connections)
        assert server.door.asked == ["/a"]


async def test_a_damaged_record_ends_the_connection_with_an_alert(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        hand.tls.write(GET)
        record = bytearray(hand.take())
        record[-1] ^= 1
        hand.client.send(bytes(record))
        with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
            await hand.rest()
        assert server.door.asked == []
        await soon(lambda: not server.listener.connections)


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (GET, "not_tls"),
        (b"POST /gateway/v1/auth/login HTTP/1.1\r\n\r\n", "not_tls"),
        (b"CONNECT a:443 HTTP/1.1\r\n\r\n", "not_tls"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not_tls"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_tls"),
        (b"\x16\x03\x01\x00\x05hello", "failed"),
    ],
)
async def test_what_is_not_tls_is_closed_and_never_answered(
    secured: Secured, sent: bytes, outcome: str
) -> None:
    async with listening(tls=secured.tls) as server:
        client = await server.connect()
        client.send(sent)
        # At most an alert, which is no status line.
        assert not (await client.reader.read()).startswith(b"HTTP")
        await soon(lambda: not server.listener.connections)
        assert counted(server) == {outcome: 1}
        assert server.door.asked == []
        assert server.listener.silent == 1


async def test_a_client_with_no_version_in_common_is_counted(secured: Secured) -> None:
    context = secured.trust()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with listening(tls=secured.tls) as server:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await agreed(server, context)
        await soon(lambda: counted(server) == {"no_common": 1})


async def test_a_client_with_no_cipher_in_common_is_counted(secured: Secured) -> None:
    context = secured.trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    async with listening(tls=secured.tls) as server:
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await agreed(server, context)
        await soon(lambda: counted(server) == {"no_common": 1})


async def test_a_client_that_does_not_trust_us_is_counted(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = Hand(await server.connect(), ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            await hand.shake()
        hand.client.send(hand.take())
        await soon(lambda: counted(server) == {"distrusted": 1})


async def test_whoever_leaves_in_the_middle_is_counted(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        for _ in range(2):
            client = await server.connect()
            client.send(b"\x16\x03\x01\x02\x00")
            client.close()
        await soon(lambda: counted(server) == {"unfinished": 2})
        assert not server.listener.connections


async def test_whoever_takes_too_long_is_closed_and_has_been_counted_all_the_while(secured: Secured) -> None:
    async with listening(tls=secured.tls, header_timeout=0.2, max_connections=2) as server:
        slow, silent = await server.connect(), await server.connect()
        slow.send(b"\x16\x03")
        await soon(lambda: len(server.listener.connections) == 2)
        third = Hand(await server.connect(), secured.trust())
        await third.shake()
        await third.send(GET)
        assert (await third.rest()).endswith(b"overloaded")
        assert await slow.reader.read() == b""
        assert await silent.reader.read() == b""
        assert counted(server) == {"ok": 1, "unfinished": 2}


async def test_agreeing_does_not_give_more_time_for_a_head(secured: Secured) -> None:
    async with listening(tls=secured.tls, header_timeout=0.3) as server:
        begun = asyncio.get_running_loop().time()
        hand = await agreed(server, secured.trust())
        assert await hand.rest() == b""
        assert asyncio.get_running_loop().time() - begun < 2


async def test_what_clients_hold_is_known_once_they_have_proved_it(asking: Secured) -> None:
    pair = asking.authority.issue("job", "spiffe://example.com/job")
    async with listening(tls=asking.tls) as server:
        hand = await agreed(server, asking.trust(pair))
        await hand.send(GET)
        assert (await hand.receive()).endswith(b"/a")
        certificate = only(server).certificate
        assert isinstance(certificate, ClientCertificate)
        assert certificate.san_uri == ("spiffe://example.com/job",)
        assert certificate.subject == "CN=job"


async def test_a_client_without_a_certificate_is_as_welcome(asking: Secured) -> None:
    async with listening(tls=asking.tls) as server:
        hand = await agreed(server, asking.trust())
        await hand.send(GET)
        assert (await hand.receive()).endswith(b"/a")
        assert only(server).certificate is None


async def _ask(server: Listening, context: ssl.SSLContext) -> bytes:
    """In TLS 1.3 the client has done its part before it learns that this was not good enough."""
    hand = await agreed(server, context)
    await hand.send(GET)
    return await hand.rest()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("flaw", ["ended", "of another authority"])
async def test_a_certificate_that_does_not_hold_ends_the_handshake(
    asking: Secured, tmp_path: Path, flaw: str, version: ssl.TLSVersion
) -> None:
    (tmp_path / "other").mkdir()
    other = Secured(tmp_path / "other").authority
    pair = asking.authority.issue("job", ended=True) if flaw == "ended" else other.issue("job")
    context = asking.trust(pair)
    context.minimum_version = context.maximum_version = version
    async with listening(tls=asking.tls) as server:
        with pytest.raises((ssl.SSLError, EOFError)):
            await _ask(server, context)
        assert counted(server) == {"certificate": 1}
        assert server.door.asked == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_that_is_taken_up_again_still_has_its_certificate(
    asking: Secured, version: ssl.TLSVersion
) -> None:
    context = asking.trust(asking.authority.issue("job", "spiffe://example.com/job"))
    context.minimum_version = context.maximum_version = version
    async with listening(tls=asking.tls) as server:
        first = await agreed(server, context)
        await first.send(LAST)
        await first.rest()
        await first.end()
        await soon(lambda: not server.listener.connections)
        second = Hand(await server.connect(), context, first.tls.session)
        await second.shake()
        assert second.tls.session_reused
        await second.send(GET)
        await second.receive()
        certificate = only(server).certificate
        assert certificate is not None
        assert certificate.san_uri == ("spiffe://example.com/job",)


async def test_a_renewed_certificate_is_for_those_who_come_and_others_go_on(
    secured: Secured, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    renewed = Secured(tmp_path / "new")
    async with listening(tls=secured.tls) as server:
        old = await agreed(server, secured.trust())
        session = old.tls.session
        secured.tls.context = renewed.tls.context
        await old.send(GET)
        assert (await old.receive()).endswith(b"/a")
        new = await agreed(server, renewed.trust())
        await new.send(GET)
        assert (await new.receive()).endswith(b"/a")
        # Nor is a session of the old one taken up again.
        again = Hand(await server.connect(), secured.trust())
        with pytest.raises(ssl.SSLCertVerificationError):
            await again.shake()
        assert session is not None


async def test_a_drain_ends_connections_in_order(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_file, "_LAST_CALL", 0.05)
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        await hand.send(GET)
        await hand.receive()
        server.listener.drain()
        assert await hand.rest() == b""


async def test_a_transport_tells_what_the_socket_knows(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        hand = await agreed(server, secured.trust())
        transport = only(server).transport
        assert transport is not None
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert transport.get_extra_info("peername")[0] == only(server).peer == "127.0.0.1"
        assert transport.get_extra_info("nothing", 5) == 5
        assert transport.get_write_buffer_size() == 0
        assert transport.is_reading()
        assert transport.get_protocol() is only(server)
        assert hand.tls.version() == "TLSv1.3"


async def test_how_handshakes_end_has_a_name(secured: Secured) -> None:
    async with listening(tls=secured.tls) as server:
        await agreed(server, secured.trust())
        assert server.listener.handshakes.keys() <= set(OUTCOMES)
