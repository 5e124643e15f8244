"""Changing the master secret: what is refused, what is done, and that it goes on wherever it was cut off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from databases import data_dir_below

from gateway.accounts import AccountRefusal, Errand, ErrandKind
from gateway.assembly import StartRefused, Stores, open_stores
from gateway.crypto import MasterSecret, SecretUnusable, load_or_create, roots
from gateway.model import Event, EventKind, Reason
from gateway.operations import Rekeyed, Rekeying, operator_at_the_command_line
from gateway.operations.rekey import ADOPTED_SECONDS, HEARD_SECONDS
from gateway.ports import AuditUnavailable, StoreUnavailable
from gateway.settings import Settings
from gateway.stores.sql import SqlRootKeyStore

OWN = MasterSecret(b"a master secret of one's own choice")
OTHER = MasterSecret(b"another master secret of one's own")
GIVEN = "the master secret that a setting has"
MAILS = 5


class Cut(Exception):
    """The command was cut off."""


@dataclass
class KeptEvents:
    """Events in a list; or an audit trail that is away."""

    kept: list[Event] = field(default_factory=list)
    away: bool = False

    async def event(self, event: Event) -> None:
        if self.away:
            raise AuditUnavailable("the disk is full")
        self.kept.append(event)


@dataclass
class House:
    """An installation, opened anew for every command."""

    settings: Settings
    events: KeptEvents = field(default_factory=KeptEvents)
    paused: list[float] = field(default_factory=list)
    cut_at: int = 0
    """The pause in which the command is cut off; 0: none."""
    meanwhile: Callable[[Stores], Awaitable[None]] | None = None
    """What happens in the first pause."""

    @property
    def folder(self) -> Path:
        return self.settings.data_dir

    def secret(self) -> bytes:
        return load_or_create(self.folder / "secret").value

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Stores]:
        async with open_stores(self.settings) as stores:
            yield stores

    def on(self, stores: Stores) -> Rekeying:
        async def pause(seconds: float) -> None:
            self.paused.append(seconds)
            if len(self.paused) == self.cut_at:
                raise Cut
            if self.meanwhile is not None:
                await self.meanwhile(stores)
                self.meanwhile = None

        return Rekeying(
            stores.root_keys,
            stores.sealed_values,
            stores.sealer,
            self.events,
            stores.clock,
            file=stores.secret_file,
            operator=operator_at_the_command_line(),
            pause=pause,
        )

    async def rekey(
        self, new: MasterSecret | None = None, *, keep_old: bool = False
    ) -> Rekeyed | AccountRefusal:
        async with self.opened() as stores:
            return await self.on(stores).change(new, keep_old=keep_old)

    async def rekeyed(self, new: MasterSecret | None = None, *, keep_old: bool = False) -> Rekeyed:
        done = await self.rekey(new, keep_old=keep_old)
        assert isinstance(done, Rekeyed), done
        return done

    async def refused(self, new: MasterSecret | None = None) -> AccountRefusal:
        refusal = await self.rekey(new)
        assert isinstance(refusal, AccountRefusal)
        return refusal

    async def cut_off(self, at: int, new: MasterSecret | None = None) -> None:
        self.paused.clear()
        self.cut_at = at
        with pytest.raises(Cut):
            await self.rekey(new)
        self.cut_at = 0

    async def cancel(self) -> int | AccountRefusal:
        async with self.opened() as stores:
            return await self.on(stores).cancel()

    def steps(self) -> list[tuple[object, object]]:
        assert {event.kind for event in self.events.kept} <= {EventKind.SECRET_CHANGED}
        return [(one.attributes["generation"], one.attributes["step"]) for one in self.events.kept]


async def furnish(house: House) -> None:
    async with house.opened() as stores:
        for number in range(MAILS):
            await stores.mailing.ask(Errand(kind=ErrandKind.RESET, email=f"ada{number}@example.com"))


async def is_whole(house: House, generation: int) -> None:
    """Check that everything is under one generation, opens, and has one master secret."""
    async with house.opened() as stores:
        waiting = await stores.mailing.queue.waiting()
        assert [mail.sealed[0] for mail in waiting] == [generation] * MAILS
        errands = [await stores.mailing.errand_in(mail) for mail in waiting]
        assert {errand.email for errand in errands if errand} == {f"ada{n}@example.com" for n in range(MAILS)}
        assert len(await stores.root_keys.store.all()) == 1
        assert stores.roots.current == generation
    assert sorted(entry.name for entry in house.folder.iterdir() if "secret" in entry.name) == ["secret"]


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """An installation whose master secret is in its data directory."""
    house = House(Settings.model_validate({"data_dir": data_dir_below(tmp_path)}))
    await furnish(house)
    return house


@pytest.fixture
async def given(tmp_path: Path) -> House:
    """One whose master secret a setting has."""
    data_dir = tmp_path / "data"
    house = House(Settings.model_validate({"data_dir": data_dir, "secret": GIVEN}))
    await furnish(house)
    return house


def with_secret(house: House, secret: MasterSecret) -> House:
    """Return the installation with another setting."""
    settings = house.settings.model_copy(update={"secret": secret.value.decode()})
    return House(settings, events=house.events)


async def test_everything_is_under_the_next_generation_and_another_secret(house: House) -> None:
    before = house.secret()
    done = await house.rekeyed()
    assert (done.generation, done.values, done.renewed, list(done.damaged)) == (2, MAILS, MAILS, [])
    assert (done.is_finished, done.is_resumed) == (True, False)
    assert house.secret() != before
    assert house.steps() == [(2, "begun"), (2, "finished")]
    await is_whole(house, 2)


async def test_it_can_be_done_again_and_again(house: House) -> None:
    for generation in range(2, 6):
        assert (await house.rekeyed()).generation == generation
    await is_whole(house, 5)


async def test_a_secret_of_ones_own_takes_the_place_in_the_file(house: House) -> None:
    await house.rekeyed(OWN)
    assert house.secret() == OWN.value
    await is_whole(house, 2)


async def test_a_database_from_before_there_were_roots_is_changed_too(house: House) -> None:
    async with house.opened() as stores:
        secret, store = stores.root_keys.secret, stores.root_keys.store
        stored = await store.all()
        async with stores.database.write() as connection:
            await connection.exec_driver_sql("DELETE FROM root_keys")
            await connection.exec_driver_sql("DELETE FROM mails")
            await connection.exec_driver_sql(
                "INSERT INTO settings (name, value) VALUES ('secret_check', ?)", (secret.check_value(),)
            )
    assert stored
    await furnish(house)
    async with house.opened() as stores:
        assert stores.roots.derive("seal") == secret.derive("seal")
    await house.rekeyed()
    await is_whole(house, 2)


async def test_running_processes_are_given_time_to_hear_of_it(house: House) -> None:
    await house.rekeyed()
    assert house.paused[0] == ADOPTED_SECONDS
    # Some time has passed by itself.
    assert house.paused[-1] == pytest.approx(HEARD_SECONDS, abs=3.0)


async def test_the_old_secret_is_refused_and_told_since_when(house: House) -> None:
    before = house.secret()
    await house.rekeyed()
    (house.folder / "secret").write_bytes(before + b"\n")
    with pytest.raises(StartRefused, match=r"this master secret was changed, and shut out on 2\d{3}-"):
        await house.rekey()
    (house.folder / "secret").write_bytes(OTHER.value + b"\n")
    with pytest.raises(StartRefused, match="not the one this database was made with"):
        await house.rekey()


async def test_the_old_secret_may_stay_good_for_a_while(house: House) -> None:
    before = house.secret()
    done = await house.rekeyed(keep_old=True)
    assert not done.is_finished
    after = house.secret()
    assert before != after
    (house.folder / "secret").write_bytes(before + b"\n")
    async with house.opened() as stores:
        assert stores.roots.current == 2
    (house.folder / "secret").write_bytes(after + b"\n")
    done = await house.rekeyed()
    assert (done.generation, done.renewed, done.is_finished, done.is_resumed) == (2, 0, True, True)
    assert house.steps() == [(2, "begun"), (2, "finished")]
    await is_whole(house, 2)


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_it_goes_on_where_it_was_cut_off(house: House, at: int) -> None:
    await house.cut_off(at)
    async with house.opened() as stores:
        assert len(await stores.root_keys.store.all()) == 2
        assert len(await stores.mailing.queue.waiting()) == MAILS
    done = await house.rekeyed()
    assert (done.generation, done.is_resumed, done.is_finished) == (2, True, True)
    assert house.steps() == [(2, "begun"), (2, "finished")]
    await is_whole(house, 2)


async def test_a_secret_that_waits_and_was_not_used_is_taken_up(house: House) -> None:
    (house.folder / "secret.new").write_bytes(OWN.value + b"\n")
    await house.rekeyed()
    assert house.secret() == OWN.value


async def test_one_that_was_cut_short_is_not(house: House) -> None:
    (house.folder / "secret.new").write_bytes(OWN.value)
    await house.rekeyed()
    assert house.secret() != OWN.value
    await is_whole(house, 2)


async def test_a_waiting_secret_gives_way_to_one_that_is_named(house: House) -> None:
    (house.folder / "secret.new").write_bytes(OTHER.value + b"\n")
    await house.rekeyed(OWN)
    assert house.secret() == OWN.value


async def test_what_has_begun_is_finished_before_the_next(house: House) -> None:
    await house.cut_off(1, OWN)
    refusal = await house.refused(OTHER)
    assert refusal.reason is Reason.CONFLICT
    assert "to another one than this: go on with --new-secret-file" in str(refusal.detail)
    await house.cut_off(3)
    refusal = await house.refused(OTHER)
    assert "is to be finished before the next" in str(refusal.detail)
    assert house.secret() == OWN.value
    await house.rekeyed(OWN)
    await is_whole(house, 2)


async def test_a_next_secret_that_was_lost_can_be_given_up(house: House) -> None:
    present = house.secret()
    await house.cut_off(1)
    (house.folder / "secret.new").unlink()
    refusal = await house.refused()
    assert "to one that is not at hand" in str(refusal.detail)
    assert await house.cancel() == 2
    assert house.secret() == present
    assert house.steps() == [(2, "begun"), (2, "cancelled")]
    assert (await house.rekeyed()).generation == 3
    await is_whole(house, 3)


async def test_a_change_that_is_given_up_leaves_nothing_behind(house: House) -> None:
    await house.cut_off(1, OWN)
    assert await house.cancel() == 2
    assert not (house.folder / "secret.new").exists()
    refusal = await house.refused(OWN)
    assert "was shut out on" in str(refusal.detail)


async def test_there_is_a_time_for_giving_up(house: House) -> None:
    early = await house.cancel()
    assert isinstance(early, AccountRefusal)
    assert early.detail == "No change of the master secret has begun."
    await house.rekeyed(keep_old=True)
    late = await house.cancel()
    assert isinstance(late, AccountRefusal)
    assert "is in use here already" in str(late.detail)


async def test_what_waits_and_was_given_up_is_not_taken_up_again(house: House) -> None:
    await house.cut_off(1, OWN)
    await house.cancel()
    (house.folder / "secret.new").write_bytes(OWN.value + b"\n")
    await house.rekeyed()
    assert house.secret() != OWN.value


async def test_the_present_secret_is_no_new_one(house: House) -> None:
    refusal = await house.refused(MasterSecret(house.secret()))
    assert (refusal.reason, refusal.detail) == (
        Reason.INVALID_REQUEST,
        "The new master secret is the present one: make another.",
    )
    assert house.steps() == []


async def test_a_secret_that_was_shut_out_does_not_come_back(house: House) -> None:
    before = MasterSecret(house.secret())
    await house.rekeyed()
    refusal = await house.refused(before)
    assert refusal.reason is Reason.INVALID_REQUEST
    assert "was shut out on" in str(refusal.detail)


async def test_what_cannot_be_recorded_is_not_begun(house: House) -> None:
    present = house.secret()
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await house.rekey()
    assert house.secret() == present
    async with house.opened() as stores:
        assert stores.roots.newest == 1
    house.events.away = False
    await house.rekeyed()
    await is_whole(house, 2)


async def test_an_old_secret_is_shut_out_only_when_that_can_be_recorded(house: House) -> None:
    async def fills_the_disk(_: Stores) -> None:
        house.events.away = True

    house.meanwhile = fills_the_disk
    refusal = await house.refused()
    assert refusal.reason is Reason.CONFLICT
    assert "shut out could not be recorded: the disk is full. Run the command again." in str(refusal.detail)
    house.events.away = False
    assert (await house.rekeyed()).is_resumed
    await is_whole(house, 2)


async def test_a_database_that_forgot_the_next_secret_keeps_the_present_one(house: House) -> None:
    """As a replica does that took the place of the server, and had not heard of it."""
    present = house.secret()
    async with house.opened() as stores:
        before = await stores.root_keys.store.all()

    async def sets_back(stores: Stores) -> None:
        store = stores.root_keys.store
        assert await store.change(await store.all(), before, at=1.0)

    house.meanwhile = sets_back
    refusal = await house.refused()
    assert "does not know the new master secret any more" in str(refusal.detail)
    assert house.secret() == present
    async with house.opened() as stores:
        assert len(await stores.root_keys.store.all()) == 1


async def test_after_the_last_generation_there_is_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "MOST", 2)
    await house.rekeyed()
    refusal = await house.refused()
    assert refusal.reason is Reason.CONFLICT
    assert "the master secret was changed 1 times" in str(refusal.detail)
    await is_whole(house, 2)


async def test_a_process_whose_secret_file_is_gone_makes_none(house: House) -> None:
    async with house.opened() as stores:
        await house.rekeyed()
        (house.folder / "secret").unlink()
        with pytest.raises(StoreUnavailable, match="start it again with the new one"):
            await stores.root_keys.refresh()
    assert not (house.folder / "secret").exists()


async def test_of_two_at_once_one_says_that_the_other_is_at_it(house: House) -> None:
    async with house.opened() as stores, stores.root_keys.store.alone():
        for refusal in (await house.rekey(), await house.cancel()):
            assert isinstance(refusal, AccountRefusal)
            assert "Another command is changing the master secret" in str(refusal.detail)


async def test_many_that_begin_together_make_one_change_after_the_other_or_none(house: House) -> None:
    done = await asyncio.gather(*(house.rekey() for _ in range(4)), return_exceptions=True)
    made = [one for one in done if isinstance(one, Rekeyed)]
    assert made
    # Whoever opened the roots with a secret that is shut out by now says so.
    assert all(isinstance(one, Rekeyed | AccountRefusal | StoreUnavailable | StartRefused) for one in done)
    await is_whole(house, max(one.generation for one in made))


async def test_a_secret_file_that_cannot_be_written_stops_it_before_anything(house: House) -> None:
    (house.folder / "secret.new").mkdir()
    with pytest.raises(SecretUnusable, match=r"secret\.new"):
        await house.rekey(OWN)
    assert house.steps() == []


async def test_a_secret_in_a_setting_needs_the_new_one_named(given: House) -> None:
    refusal = await given.refused()
    assert refusal.reason is Reason.INVALID_REQUEST
    assert "name the file that has the new one with --new-secret-file" in str(refusal.detail)


async def test_a_secret_in_a_setting_is_changed_without_touching_files(given: House) -> None:
    done = await given.rekeyed(OWN)
    assert (done.generation, done.is_finished) == (2, True)
    assert not [entry for entry in given.folder.iterdir() if "secret" in entry.name]
    with pytest.raises(StartRefused, match="was changed, and shut out"):
        await given.rekey(OTHER)
    async with with_secret(given, OWN).opened() as stores:
        assert {mail.sealed[0] for mail in await stores.mailing.queue.waiting()} == {2}


async def test_a_setting_is_changed_everywhere_before_the_old_one_is_shut_out(given: House) -> None:
    await given.rekeyed(OWN, keep_old=True)
    renewed = with_secret(given, OWN)
    done = await renewed.rekeyed()
    assert (done.generation, done.is_resumed, done.is_finished) == (2, True, True)
    with pytest.raises(StartRefused):
        await given.rekey(OTHER)


async def test_with_the_old_setting_it_is_finished_with_the_file_of_the_new_one_only(given: House) -> None:
    await given.rekeyed(OWN, keep_old=True)
    assert "not at hand" in str((await given.refused()).detail)
    assert "another one than this" in str((await given.refused(OTHER)).detail)
    assert (await given.rekeyed(OWN)).is_finished


async def test_what_was_damaged_before_is_named_and_stops_nothing(house: House) -> None:
    async with house.opened() as stores, stores.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE mails SET sealed = x'01' WHERE id = (SELECT min(id) FROM mails)"
        )
    done = await house.rekeyed()
    assert (done.values, done.renewed) == (MAILS, MAILS - 1)
    (damaged,) = done.damaged
    assert damaged.startswith("mail:mail_")


async def test_rows_that_no_gateway_wrote_stop_it(house: House) -> None:
    async with house.opened() as stores:
        store = SqlRootKeyStore(stores.database)
        assert len(await store.all()) == 1
        async with stores.database.write() as connection:
            for name in (b"x", b"y"):
                await connection.exec_driver_sql(
                    "INSERT INTO root_keys (check_value, sealed, created_at) VALUES (?, ?, 1.0)", (name, b"")
                )
        with pytest.raises(StoreUnavailable, match="root_keys holds what the gateway never wrote"):
            await house.on(stores).change(None, keep_old=False)


async def test_no_secret_is_shown(house: House) -> None:
    async with house.opened() as stores:
        shown = repr(stores.root_keys) + repr(await stores.root_keys.store.all()) + repr(stores.roots)
    assert house.secret().decode() not in shown
