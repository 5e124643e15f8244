"""Records posted to an endpoint that answers, fails, hangs and refuses."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web
from support.certificates import Authority
from unit.outlets.receivers import Posted, Webhook, server_tls
from unit.outlets.sample import record

from gateway.formats import FORMATS
from gateway.outlets import checkpoint_outlet_from, outlet_from, webhook
from gateway.ports import OutletUnavailable, RecordRefused


def numbers(posted: Posted) -> list[int]:
    return [orjson.loads(line)["seq"] for line in posted.body.splitlines()]


async def test_records_are_posted_as_lines_over_one_connection() -> None:
    async with Webhook.running() as hook:
        outlet = outlet_from(hook.url, FORMATS)
        await outlet.send([record(1), record(2)])
        await outlet.send([record(3)])
        await outlet.close()
    assert [numbers(posted) for posted in hook.posted] == [[1, 2], [3]]
    headers = hook.posted[0].headers
    assert headers["Content-Type"].startswith("application/")
    assert headers["User-Agent"].startswith("gateway/")
    assert "Authorization" not in headers
    assert len(hook.connections) == 1


@pytest.mark.parametrize("format", ["csv", "ecs", "ocsf", "cef"])
async def test_a_format_says_what_it_is(format: str) -> None:
    async with Webhook.running() as hook:
        outlet = outlet_from(f"{hook.url}?as={format}", FORMATS)
        await outlet.send([record(1)])
        await outlet.send([record(2)])
        await outlet.close()
    for posted in hook.posted:
        assert posted.headers["Content-Type"] == FORMATS[format].media_type
        header = FORMATS[format].header()
        assert posted.body.startswith(header)
        assert posted.body.count(b"\n") == (2 if header else 1)


@pytest.mark.parametrize(
    ("text", "sent"), [("abc.def\n", "Bearer abc.def"), ("Splunk 1-2-3", "Splunk 1-2-3")]
)
async def test_a_token_is_read_at_every_request(tmp_path: Path, text: str, sent: str) -> None:
    token = tmp_path / "token"
    token.write_text(text)
    async with Webhook.running() as hook:
        outlet = outlet_from(f"{hook.url}?token=file:{token}&query=channel%3D1%26x", FORMATS)
        await outlet.send([record(1)])
        token.write_text("newer")
        await outlet.send([record(2)])
        await outlet.close()
    assert [posted.headers["Authorization"] for posted in hook.posted] == [sent, "Bearer newer"]
    assert hook.posted[0].path == "/in?channel=1&x"


@pytest.mark.parametrize("text", [None, "", "a\nb", "\xff"])
async def test_a_token_that_is_none_is_said_without_it(tmp_path: Path, text: str | None) -> None:
    token = tmp_path / "token"
    if text is not None:
        token.write_text(text)
    async with Webhook.running() as hook:
        outlet = outlet_from(f"{hook.url}?token=file:{token}", FORMATS)
        with pytest.raises(OutletUnavailable, match=r"token cannot be read|holds no token"):
            await outlet.send([record(1)])
        await outlet.close()
    assert hook.posted == []


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 405, 408, 409, 415, 429, 500, 502, 503])
async def test_what_may_be_over_later_is_not_taken_and_nothing_is_passed_over(status: int) -> None:
    async def answer(posted: Posted) -> web.Response:
        return web.Response(status=status, text="s3cret of the receiver", headers={"Location": "/elsewhere"})

    async with Webhook.running() as hook:
        hook.answer = answer
        outlet = outlet_from(hook.url, FORMATS)
        with pytest.raises(OutletUnavailable) as unavailable:
            await outlet.send([record(1)])
        await outlet.close()
    assert str(unavailable.value) == f"the receiver answered {status}"
    assert len(hook.posted) == 1


@pytest.mark.parametrize("status", [400, 422, 413])
async def test_a_record_that_is_not_wanted_is_refused(status: int) -> None:
    async def answer(posted: Posted) -> web.Response:
        return web.Response(status=status)

    async with Webhook.running() as hook:
        hook.answer = answer
        outlet = outlet_from(hook.url, FORMATS)
        with pytest.raises(RecordRefused, match=f"the receiver answered {status}"):
            await outlet.send([record(1)])
        await outlet.close()


async def test_a_receiver_of_small_bodies_gets_smaller_ones_from_then_on() -> None:
    async def answer(posted: Posted) -> web.Response:
        return web.Response(status=413 if len(posted.body) > 5000 else 200)

    async with Webhook.running() as hook:
        hook.answer = answer
        outlet = outlet_from(hook.url, FORMATS)
        await outlet.send([record(seq) for seq in range(100)])
        taken = [posted for posted in hook.posted if len(posted.body) <= 5000]
        assert [seq for posted in taken for seq in numbers(posted)] == list(range(100))
        refusals = len(hook.posted) - len(taken)
        await outlet.send([record(seq) for seq in range(100)])
        assert sum(len(posted.body) > 5000 for posted in hook.posted) == refusals
        await outlet.close()


async def test_a_receiver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_PATIENCE", aiohttp.ClientTimeout(total=0.1))
    released = asyncio.Event()

    async def answer(posted: Posted) -> web.Response:
        await released.wait()
        return web.Response()

    async with Webhook.running() as hook:
        hook.answer = answer
        outlet = outlet_from(hook.url, FORMATS)
        with pytest.raises(OutletUnavailable, match="no answer in time"):
            await outlet.send([record(1)])
        released.set()
        hook.answer = None
        await outlet.send([record(1)])
        await outlet.close()


async def test_a_long_answer_is_not_read() -> None:
    async def answer(posted: Posted) -> web.StreamResponse:
        return web.Response(body=b"x" * (1 << 20))

    async with Webhook.running() as hook:
        hook.answer = answer
        outlet = outlet_from(hook.url, FORMATS)
        await outlet.send([record(1)])
        await outlet.send([record(2)])
        await outlet.close()
    assert len(hook.posted) == 2


async def test_a_receiver_that_is_not_there_or_speaks_nonsense_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def talk() -> None:
            accepted, _ = server.accept()
            accepted.recv(65536)
            accepted.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
            accepted.close()

        outlet = outlet_from(f"http://127.0.0.1:{port}/in", FORMATS)
        talking = asyncio.to_thread(talk)
        results = await asyncio.gather(outlet.send([record(1)]), talking, return_exceptions=True)
    assert isinstance(results[0], OutletUnavailable)
    assert "cannot be read" in str(results[0])
    with pytest.raises(OutletUnavailable, match="Connect"):
        await outlet.send([record(1)])
    await outlet.close()


async def test_https_shows_who_the_receiver_is(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "Other authority")
    async with Webhook.running(server_tls(authority.issue("server", "127.0.0.1"))) as hook:
        trusting = outlet_from(f"{hook.url}?ca={authority.file}", FORMATS)
        await trusting.send([record(1)])
        await trusting.close()
        for options in ("", f"?ca={other.file}"):
            wary = outlet_from(f"{hook.url}{options}", FORMATS)
            with pytest.raises(OutletUnavailable, match="the certificate cannot be verified"):
                await wary.send([record(2)])
            await wary.close()
    assert [numbers(posted) for posted in hook.posted] == [[1]]


async def test_a_certificate_that_was_replaced_is_found_at_the_next_attempt(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "Other authority")
    path = tmp_path / "ca.pem"
    path.write_bytes(other.file.read_bytes())
    async with Webhook.running(server_tls(authority.issue("server", "127.0.0.1"))) as hook:
        outlet = outlet_from(f"{hook.url}?ca={path}", FORMATS)
        with pytest.raises(OutletUnavailable):
            await outlet.send([record(1)])
        path.write_bytes(authority.file.read_bytes())
        await outlet.send([record(1)])
        await outlet.close()


async def test_a_checkpoint_is_posted_as_it_is_and_never_refused_for_good() -> None:
    note = "gateway audit checkpoint 1\nnumber 1\n\n\u2014 gateway-audit one\n"
    async with Webhook.running() as hook:
        outlet = checkpoint_outlet_from(hook.url)
        await outlet.publish(note)

        async def answer(posted: Posted) -> web.Response:
            return web.Response(status=400)

        hook.answer = answer
        with pytest.raises(OutletUnavailable, match="answered 400"):
            await outlet.publish(note)
        await outlet.close()
    assert hook.posted[0].body == note.encode()
    assert hook.posted[0].headers["Content-Type"] == "text/plain; charset=utf-8"
