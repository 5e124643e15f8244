"""The round of mails: what is asked for is done, once things work, by one process at a time."""

import asyncio
import contextlib

import pytest
from unit.accounts.post import Post

from gateway.accounts import Errand, ErrandKind, Mailing, MailRound
from gateway.accounts.mailing import CLAIM_SECONDS, GIVE_UP_SECONDS
from gateway.crypto import MasterSecret, Sealer
from gateway.ports import Mail, MailRefused

NOTICE = Errand(kind=ErrandKind.PASSWORD_CHANGED, email="ada@example.com", username="ada")


async def attempts(post: Post, until: float) -> list[float]:
    """Let time pass, five seconds at a time; return when somebody tried to send."""
    begun, times = post.clock.time, []
    while post.clock.time - begun <= until:
        if await post.round.step():
            times.append(post.clock.time - begun)
        post.clock.time += 5.0
    return times


async def test_what_is_asked_for_is_sent_once(post: Post) -> None:
    await post.mailing.ask(NOTICE)
    (mail,) = await post.delivered()
    assert mail.to == "ada@example.com"
    post.clock.time += 86400.0
    assert await post.delivered() == []


async def test_what_waits_tells_nobody_anything(post: Post) -> None:
    await post.mailing.ask(NOTICE)
    (kept,) = await post.queue.claim(now=post.clock.time, until=0.0, limit=9)
    assert b"ada" not in kept.sealed
    assert "ada" not in repr(NOTICE)
    assert await post.mailing.errand_in(kept) == NOTICE


async def test_one_mail_that_nobody_foresaw_does_not_end_the_round(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(mail: Mail) -> None:
        raise IndexError(mail.to)

    with monkeypatch.context() as patch:
        patch.setattr(post.postman, "send", stumble)
        await post.mailing.ask(NOTICE)
        assert await post.round.step()
    assert post.round.failing is not None
    assert post.round.failing.startswith("IndexError in test_mailing.py:")
    post.clock.time += 900.0
    assert len(await post.delivered()) == 1


async def test_a_server_that_is_away_is_tried_again_ever_more_seldom(post: Post) -> None:
    post.postman.refusal = MailRefused("smtp://mail.example:25: connection refused")
    await post.mailing.ask(NOTICE)
    assert await attempts(post, 3000.0) == [0.0, 5.0, 25.0, 105.0, 425.0, 1325.0, 2225.0]
    assert post.round.failing == "smtp://mail.example:25: connection refused"
    post.postman.refusal = None
    post.clock.time += 900.0
    assert len(await post.delivered()) == 1
    assert post.round.failing is None


async def test_after_a_day_nobody_needs_it_any_more(post: Post) -> None:
    post.postman.refusal = MailRefused("away")
    await post.mailing.ask(NOTICE)
    assert await post.round.step()
    post.clock.time += GIVE_UP_SECONDS + 1.0
    assert await post.round.step()
    post.postman.refusal = None
    post.clock.time += GIVE_UP_SECONDS
    assert not await post.round.step()


async def test_a_mail_that_will_never_be_taken_holds_up_nothing(post: Post) -> None:
    post.postman.refusal = MailRefused("refused the recipient: 550", final=True)
    await post.mailing.ask(NOTICE)
    assert await post.round.step()
    post.postman.refusal = None
    post.clock.time += 86400.0
    assert not await post.round.step()
    assert post.round.failing is None


async def test_what_cannot_be_read_is_dropped(post: Post) -> None:
    foreign = Mailing(post.queue, Sealer(MasterSecret(b"another master secret of 32 bytes")), post.clock)
    await foreign.ask(NOTICE)
    await post.mailing.ask(NOTICE)
    assert len(await post.delivered()) == 1


async def test_what_a_process_that_died_had_taken_is_done_by_another(post: Post) -> None:
    await post.mailing.ask(NOTICE)
    taken = await post.queue.claim(now=post.clock.time, until=post.clock.time + CLAIM_SECONDS, limit=1)
    assert len(taken) == 1
    assert await post.delivered() == []
    post.clock.time += CLAIM_SECONDS
    assert len(await post.delivered()) == 1


async def test_several_processes_send_each_mail_once(post: Post) -> None:
    others = [MailRound(post.mailing, post.correspondence, post.postman, post.clock) for _ in range(4)]
    for _ in range(12):
        await post.mailing.ask(NOTICE)

    async def drain(one: MailRound) -> None:
        while await one.step():
            pass

    await asyncio.gather(*map(drain, others))
    assert len(await post.delivered()) == 0
    assert len(post.postman.sent) == 12


@pytest.fixture
def sent(post: Post, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a mail is sent."""
    event, send = asyncio.Event(), post.postman.send

    async def send_and_tell(mail: Mail) -> None:
        await send(mail)
        event.set()

    monkeypatch.setattr(post.postman, "send", send_and_tell)
    return event


async def test_whoever_waits_is_woken_by_the_next_errand(post: Post, sent: asyncio.Event) -> None:
    async with asyncio.timeout(4), asyncio.TaskGroup() as group:
        running = group.create_task(post.round.run())
        for _ in range(3):
            await post.mailing.ask(NOTICE)
            await sent.wait()
            sent.clear()
        running.cancel()
    assert len(post.postman.sent) == 3


async def test_a_database_that_is_away_ends_nothing(
    post: Post, sent: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    await post.mailing.ask(NOTICE)
    pauses: list[float] = []
    async with post.database.write() as connection:
        await connection.exec_driver_sql("ALTER TABLE mails RENAME TO elsewhere")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            async with post.database.write() as connection:
                await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO mails")
        if sent.is_set():
            raise asyncio.CancelledError

    with contextlib.suppress(asyncio.CancelledError):
        await post.round.run(pause=pause)
    assert len(pauses) == 3
    assert len(post.postman.sent) == 1
