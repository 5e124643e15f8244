from pathlib import Path

import pytest

from gateway.accounts import HashingBusy
from gateway.assembly import at_the_command_line, open_stores
from gateway.model import Event, EventKind
from gateway.ports import AuditQuery, StoreUnavailable
from gateway.settings import Settings, load_settings
from gateway.stores.spool import SpoolBacklog, SpoolWriter


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"GATEWAY_DATA_DIR": str(tmp_path / "data")})


def logs(settings: Settings) -> list[str]:
    return [path.name for path in (settings.data_dir / "spool").iterdir()]


async def test_what_a_command_recorded_is_with_the_others_when_it_ends(settings: Settings) -> None:
    async with at_the_command_line(settings) as stores:
        await stores.events.event(Event(kind=EventKind.AUDIT_READ, actor=None))
    assert logs(settings) == []
    async with open_stores(settings) as stores:
        found = await stores.audit.shipped.find(AuditQuery())
        assert [record.seq for record in found] == [1]
        newest = await stores.audit.checkpoints.newest()
        assert newest is not None
        assert found[0].writer in newest.note


async def test_a_command_that_recorded_nothing_signs_nothing(settings: Settings) -> None:
    async with at_the_command_line(settings):
        pass
    async with open_stores(settings) as stores:
        assert await stores.audit.checkpoints.newest() is None


async def test_a_command_leaves_the_logs_of_others_to_the_gateway(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        await stores.events.event(Event(kind=EventKind.AUDIT_READ, actor=None))
    left = logs(settings)
    async with at_the_command_line(settings) as stores:
        await stores.events.event(Event(kind=EventKind.AUDIT_READ, actor=None))
    assert logs(settings) == left


async def test_a_command_waits_for_its_password_however_busy_the_machine_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.accounts.passwords._LONGEST_WAIT", 0.0)
    async with at_the_command_line(settings) as stores:
        assert not await stores.passwords.verify("x", None)
    async with open_stores(settings) as stores:
        with pytest.raises(HashingBusy):
            await stores.passwords.verify("x", None)


async def test_what_cannot_be_shipped_waits_on_the_disk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_the_command_line(settings) as stores:
        await stores.events.event(Event(kind=EventKind.AUDIT_READ, actor=None))

        async def away(*_: object) -> int:
            raise StoreUnavailable("the database is away")

        monkeypatch.setattr(stores.audit.sink, "cursor", away)
    assert len(logs(settings)) == 1


async def test_a_command_that_fails_tells_of_it_all_the_same(settings: Settings) -> None:
    async def fail() -> None:
        async with at_the_command_line(settings) as stores:
            await stores.events.event(Event(kind=EventKind.AUDIT_READ, actor=None))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert logs(settings) == []


async def test_only_one_log_is_taken_over_when_only_one_is_meant(tmp_path: Path) -> None:
    one, other = SpoolWriter.open(tmp_path), SpoolWriter.open(tmp_path)
    for spool in (one, other):
        spool.append(b"{}")
        spool.close()
    backlog = SpoolBacklog(tmp_path, own=None, only=one.writer)
    assert backlog.writers() == [one.writer]
    backlog.close()
