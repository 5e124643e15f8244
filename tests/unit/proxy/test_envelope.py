"""What happens in an envelope before an upstream is asked: keys are found, and requests opened."""

import asyncio
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from support.downstream import ALICE, RecordingClient, Tap, head_of, permit_for, upload_head
from unit.proxy.enveloped import BATCH, KEY, Ring

from gateway.crypto import CryptoKey, Opened
from gateway.model import ANONYMOUS, Framing, Principal, PrincipalKind, Reason, RequestHead
from gateway.proxy import BodyTooLarge, ClientLeft, Envelope, EnvelopeRefused, Fault, UpstreamFault
from gateway.proxy.envelope import client_of
from gateway.proxy.envelope_body import PlainBody
from gateway.proxy.held import Held, Memory


@pytest.fixture
async def ring() -> Ring:
    return await Ring.open()


async def refused(envelope: Envelope, client: RecordingClient) -> EnvelopeRefused:
    with pytest.raises(EnvelopeRefused) as caught:
        await envelope.prepare(client, idle=5)
    return caught.value


async def prepared(
    ring: Ring, sealed: bytes, head: RequestHead | None = None, *, name: str = KEY
) -> tuple[Envelope, bytes]:
    """Return the envelope of a request that is opened, and what the upstream gets."""
    envelope = ring.decrypting(name)(permit_for(head or upload_head(len(sealed))))
    await envelope.prepare(RecordingClient([sealed] if sealed else []), idle=5)
    body = b""
    while envelope.body is not None and (piece := await envelope.body.read()):
        body += piece
    return envelope, body


async def test_a_key_that_is_not_there_stops_the_request_before_its_body_is_read(ring: Ring) -> None:
    client = RecordingClient([b"body"])
    envelope = ring.encrypting(key="missing", request=KEY)(permit_for(upload_head(4)))
    problem = await refused(envelope, client)
    assert (problem.reason, problem.detail) == (Reason.RESPONSE_NOT_ENCRYPTABLE, None)
    assert "gateway crypto-keys create missing" in problem.diagnosis
    assert (client.reads, client.continued) == (0, 0)


async def test_a_key_whose_newest_version_is_damaged_encrypts_nothing(ring: Ring) -> None:
    ring.rows.put(KEY, 2)
    ring.rows.damage(KEY, 2)
    ring = await Ring.open(ring.rows)
    problem = await refused(ring.encrypting()(permit_for(head_of())), RecordingClient())
    assert problem.reason is Reason.RESPONSE_NOT_ENCRYPTABLE


EXTERNAL = Principal(
    id="https://idp|cli_batch",
    kind=PrincipalKind.EXTERNAL,
    name="x",
    authn="corporate",
    authn_kind="jwt",
    client_id=BATCH.id,
)


@pytest.mark.parametrize(
    "principal",
    [ANONYMOUS, ALICE, EXTERNAL, replace(BATCH, id="cli_other"), replace(ALICE, client_id="cli_other")],
)
async def test_a_caller_without_a_registered_key_is_refused_and_told(
    ring: Ring, principal: Principal
) -> None:
    envelope = ring.encrypting(key=None)(permit_for(head_of(), principal=principal))
    problem = await refused(envelope, RecordingClient())
    assert problem.reason is Reason.CONDITION_NOT_MET
    assert problem.detail is not None
    assert problem.detail.endswith(".")
    assert "cli_" not in problem.detail


@pytest.mark.parametrize("principal", [BATCH, replace(ALICE, client_id=BATCH.id)])
async def test_a_client_and_whoever_comes_by_it_have_its_key(ring: Ring, principal: Principal) -> None:
    envelope = ring.encrypting(key=None)(permit_for(head_of(), principal=principal))
    await envelope.prepare(RecordingClient(), idle=5)
    assert envelope.sealing is not None


def test_a_client_of_another_issuer_is_not_ours_of_the_same_name() -> None:
    assert client_of(EXTERNAL) is None


async def test_a_store_that_is_away_is_said_to_be(ring: Ring) -> None:
    ring.clients.down = True
    envelope = ring.encrypting(key=None)(permit_for(head_of(), principal=BATCH))
    assert (await refused(envelope, RecordingClient())).reason is Reason.DEPENDENCY_UNAVAILABLE
    ring.rows.down = True
    client = RecordingClient([b"gw:v2:" + b"A" * 40])
    envelope = ring.decrypting()(permit_for(upload_head(46)))
    assert (await refused(envelope, client)).reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_a_request_is_opened_in_either_form(ring: Ring) -> None:
    sealed = ring.key.seal_jwe(b"plain", content_type="text/plain")
    envelope, body = await prepared(ring, sealed)
    assert (body, envelope.bytes_in) == (b"plain", len(sealed))
    assert (envelope.head.framing, envelope.head.content_length) == (Framing.LENGTH, 5)
    assert envelope.head.fields.one(b"content-type") == b"text/plain"
    text = ring.key.seal_text(b"plain").encode()
    envelope, body = await prepared(ring, text, upload_head())
    assert (body, envelope.bytes_in) == (b"plain", len(text))
    assert b"content-type" not in envelope.head.fields


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_000_000])
async def test_a_body_of_any_size_arrives_whole(ring: Ring, size: int) -> None:
    envelope, body = await prepared(ring, ring.key.seal_jwe(b"x" * size))
    assert body == b"x" * size
    assert envelope.head.content_length == size


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_a_version_that_this_process_has_not_heard_of_is_looked_up(ring: Ring, size: int) -> None:
    ring.rows.put(KEY, 2)
    ahead = await Ring.open(ring.rows)
    assert (ring.key.newest, ahead.key.newest) == (1, 2)
    _, body = await prepared(ring, ahead.key.seal_jwe(b"x" * size))
    assert body == b"x" * size


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_whatever_is_wrong_is_one_refusal(ring: Ring, size: int) -> None:
    sealed = ring.key.seal_jwe(b"x" * size)
    wrong = {
        "changed": sealed[:-1] + (b"A" if sealed[-1:] != b"A" else b"Q"),
        "cut": sealed[: len(sealed) // 2],
        "plain": b"x" * size,
        "spaced": sealed + b"\n",
        "newer": ring.key.seal_text(b"x" * size).encode().replace(b"v1", b"v2"),
    }
    told = set()
    for each in wrong.values():
        envelope = ring.decrypting()(permit_for(upload_head(len(each))))
        problem = await refused(envelope, RecordingClient([each]))
        told.add((problem.reason, problem.detail))
        assert problem.diagnosis
        assert envelope.body is None
        assert problem.__context__ is None, "nothing holds on to what was read"
    assert told == {(Reason.DECRYPTION_FAILED, None)}


async def test_a_key_that_does_not_exist_opens_nothing(ring: Ring) -> None:
    sealed = ring.key.seal_jwe(b"x")
    envelope = ring.decrypting("missing")(permit_for(upload_head(len(sealed))))
    problem = await refused(envelope, RecordingClient([sealed]))
    assert (problem.reason, problem.diagnosis) == (
        Reason.DECRYPTION_FAILED,
        "there is no key of this name",
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_a_request_that_needs_no_body_may_come_without_one(ring: Ring, method: str) -> None:
    head = head_of((b"X-A", b"b"), method=method)
    envelope, body = await prepared(ring, b"", head)
    assert (envelope.head, body) == (head, b"")
    empty = head_of((b"Content-Length", b"0"), method=method, length=0)
    assert (await prepared(ring, b"", empty))[0].head == empty
    chunked = head_of((b"Transfer-Encoding", b"chunked"), method=method, framing=Framing.CHUNKED)
    assert (await prepared(ring, b"", chunked))[0].head.framing is Framing.NONE


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "QUERY", "PROPFIND"])
@pytest.mark.parametrize("framing", [Framing.NONE, Framing.LENGTH, Framing.CHUNKED])
async def test_any_other_request_without_a_body_is_refused(ring: Ring, method: str, framing: Framing) -> None:
    head = head_of(method=method, framing=framing, length=0 if framing is Framing.LENGTH else None)
    problem = await refused(ring.decrypting()(permit_for(head)), RecordingClient())
    assert problem.reason is Reason.DECRYPTION_FAILED


async def test_a_body_with_a_get_is_opened_like_any_other(ring: Ring) -> None:
    problem = await refused(ring.decrypting()(permit_for(head_of(length=5))), RecordingClient([b"plain"]))
    assert problem.reason is Reason.DECRYPTION_FAILED


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(ring: Ring) -> None:
    client = RecordingClient([ring.key.seal_jwe(b"x")])
    await ring.decrypting()(permit_for(upload_head())).prepare(client, idle=5)
    assert client.continued == 1


async def test_a_client_that_stops_sending_is_given_up(ring: Ring) -> None:
    tap = Tap()
    tap.let_out(b"eyJ")
    with pytest.raises(UpstreamFault) as caught:
        await ring.decrypting()(permit_for(upload_head())).prepare(RecordingClient(tap), idle=0.02)
    assert caught.value.fault is Fault.REQUEST_BODY_CLIENT


async def test_each_byte_gives_a_client_more_time(ring: Ring) -> None:
    tap = Tap()
    envelope = ring.decrypting()(permit_for(upload_head()))
    preparing = asyncio.ensure_future(envelope.prepare(RecordingClient(tap), idle=0.5))
    for byte in ring.key.seal_jwe(b"x")[:14]:
        tap.let_out(bytes((byte,)))
        await asyncio.sleep(0.05)  # a tenth of what is allowed, and longer together
    assert not preparing.done()
    tap.let_out(None)
    with pytest.raises(EnvelopeRefused):
        await preparing


@pytest.mark.parametrize("problem", [ClientLeft, BodyTooLarge])
async def test_what_is_wrong_with_the_sending_is_told_as_it_is(ring: Ring, problem: type[Exception]) -> None:
    tap = Tap()
    tap.let_out(b"eyJ")
    tap.let_out(problem())
    with pytest.raises(problem):
        await ring.decrypting()(permit_for(upload_head())).prepare(RecordingClient(tap), idle=5)


async def test_a_request_that_finds_no_memory_is_an_overload(ring: Ring) -> None:
    tap = Tap()
    for piece in (b"a" * 10 * 2**20, b"b" * 6 * 2**20, b"c"):
        tap.let_out(piece)
    envelope = ring.decrypting()(permit_for(upload_head()))
    with pytest.raises(UpstreamFault) as caught:
        await envelope.prepare(RecordingClient(tap), idle=5)
    assert caught.value.fault is Fault.MEMORY_FULL
    assert ring.memory.held == 16 * 2**20
    envelope.let_go()
    assert ring.memory.held == 0


async def test_a_long_request_is_opened_beside_everything_else_whatever_its_version(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    open_ = CryptoKey.open

    def opening(key: CryptoKey, sealed: bytes, *, context: str = "") -> Opened:
        threads.add(threading.get_ident())
        return open_(key, sealed, context=context)

    monkeypatch.setattr(CryptoKey, "open", opening)
    ring.rows.put(KEY, 2)
    ahead = await Ring.open(ring.rows)
    for sealed in (ahead.key.seal_jwe(b"x" * 200_000), b"gw:v9:" + b"A" * 200_000):
        with suppress(EnvelopeRefused):
            await prepared(ring, sealed)
    assert threads
    assert threading.get_ident() not in threads


async def test_what_was_decrypted_is_let_go_of_as_it_is_sent() -> None:
    held = Held(Memory())
    held.take(5)
    body = PlainBody(b"x" * 100_000, held)
    assert [len(await body.read()) for _ in range(3)] == [65_536, 34_464, 0]
    assert (body._data, held.size) == (b"", 0)
    assert await body.read() == b""


async def test_nothing_shows_what_it_holds(ring: Ring) -> None:
    envelope, _ = await prepared(ring, ring.key.seal_jwe(b"plain"))
    assert "plain" not in repr(envelope)
    assert "plain" not in repr(envelope.body)
