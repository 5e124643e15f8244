"""An operator takes a second factor away from an account whose owner has lost it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from unit.accounts.factored import Factored, open_factored

from gateway.accounts import AccountRefusal, ErrandKind
from gateway.accounts.second_factor import PASSWORD_ONLY
from gateway.model import EventKind, Reason
from gateway.operations import operator_at_the_command_line, remove_second_factor
from gateway.ports import AuditUnavailable, User


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Factored]:
    async with open_factored(tmp_path) as opened:
        yield opened


async def remove(one: Factored, name: str) -> User | AccountRefusal:
    return await remove_second_factor(
        one.users,
        one.factors,
        one.events,
        one.mailing,
        name=name,
        operator=operator_at_the_command_line(),
    )


@pytest.mark.parametrize("name", ["usr_1", "ANNA"])
async def test_it_is_removed_by_name_or_id_and_that_is_on_record(one: Factored, name: str) -> None:
    codes = await one.enrol()
    one.events.kept.clear()
    await one.told()
    assert await remove(one, name) == one.user
    assert await one.second.check(one.user, None) == PASSWORD_ONLY
    assert await one.second.check(one.user, codes[0]) == PASSWORD_ONLY
    assert await one.told() == [ErrandKind.FACTOR_REMOVED]
    (event,) = one.events.kept
    assert (event.kind, event.actor) == (EventKind.MFA_REMOVED, operator_at_the_command_line())
    assert (event.subject, event.attributes, event.personal) == (
        "usr_1",
        {"user": "usr_1"},
        {"username": "anna"},
    )


async def test_what_cannot_be_recorded_is_not_done(one: Factored) -> None:
    await one.enrol()
    one.events.away = True
    with pytest.raises(AuditUnavailable):
        await remove(one, "anna")
    assert isinstance(await one.second.check(one.user, None), AccountRefusal)


async def test_where_there_is_nothing_to_remove_it_says_so(one: Factored) -> None:
    refused = await remove(one, "anna")
    assert isinstance(refused, AccountRefusal)
    assert (refused.reason, refused.detail) == (Reason.CONFLICT, "The user 'anna' has no second factor.")
    refused = await remove(one, "bob")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.NOT_FOUND
    assert one.events.kept == []
