"""What operators do with accounts."""

from dataclasses import dataclass, field

import pytest
from unit.accounts.house import House

from gateway.accounts import AccountRefusal, Errand, ErrandKind, Mailing
from gateway.model import EventKind, Reason
from gateway.operations import (
    DeletedUser,
    EraseLater,
    create_user,
    delete_user,
    list_users,
    operator_at_the_command_line,
)
from gateway.ports import AuditUnavailable, StoreUnavailable, User
from gateway.stores.sql import SqlMailQueue


@dataclass
class Eraser:
    """What was erased; or a store that is away."""

    erased: list[str] = field(default_factory=list)
    away: bool = False

    async def erase(self, subject: str, *, at: float) -> None:
        if self.away:
            raise StoreUnavailable("the database is away")
        self.erased.append(subject)


@pytest.fixture
def eraser() -> Eraser:
    return Eraser()


def mailing_of(house: House) -> Mailing:
    return Mailing(SqlMailQueue(house.database), house.sealer, house.clock)


async def delete(
    house: House, eraser: Eraser, name: str, *, erase: bool = False
) -> DeletedUser | AccountRefusal:
    return await delete_user(
        house.users,
        mailing_of(house),
        eraser,
        house.events,
        house.clock,
        name=name,
        erase=erase,
        operator=operator_at_the_command_line(),
    )


async def make(house: House, name: str, *, email: str | None = None) -> User | AccountRefusal:
    return await create_user(
        house.registrar,
        username=name,
        email=email,
        password="correct horse battery",
        roles=frozenset({"admin"}),
        min_length=12,
        operator=operator_at_the_command_line(),
    )


async def test_an_operator_makes_a_verified_account_and_is_on_record(house: House) -> None:
    user = await make(house, "ada")
    assert isinstance(user, User)
    assert user.verified_at is not None
    assert user.roles == {"admin"}
    (event,) = house.events.kept
    assert event.kind is EventKind.USER_CREATED
    assert event.actor == operator_at_the_command_line()
    assert (event.request_id, event.source_ip) == (None, None)


async def test_accounts_without_an_address_do_not_collide(house: House) -> None:
    await make(house, "bob")
    await make(house, "Ada")
    assert [user.username for user in await list_users(house.users)] == ["Ada", "bob"]


async def test_a_taken_name_is_refused(house: House) -> None:
    await make(house, "ada")
    refused = await make(house, "ADA")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT


async def made(house: House, name: str = "Ada") -> User:
    user = await make(house, name, email=f"{name}@example.com")
    assert isinstance(user, User)
    house.events.kept.clear()
    return user


@pytest.mark.parametrize("by", ["ada", "ADA@example.com", "id"])
async def test_a_user_is_deleted_by_name_address_or_id_and_that_is_on_record(
    house: House, eraser: Eraser, by: str
) -> None:
    user = await made(house)
    deleted = await delete(house, eraser, user.id if by == "id" else by)
    assert deleted == DeletedUser(id=user.id, username="Ada", erased=False)
    assert await list_users(house.users) == []
    (event,) = house.events.kept
    assert (event.kind, event.actor) == (EventKind.USER_DELETED, operator_at_the_command_line())
    assert event.attributes == {"user": user.id, "erased": False}
    assert (event.subject, event.personal) == (user.id, {"username": "Ada"})
    assert eraser.erased == []


async def test_what_is_erased_is_not_written_down_once_more(house: House, eraser: Eraser) -> None:
    user = await made(house)
    assert await delete(house, eraser, "ada", erase=True) == DeletedUser(
        id=user.id, username="Ada", erased=True
    )
    (event,) = house.events.kept
    assert event.attributes == {"user": user.id, "erased": True}
    assert (event.subject, event.personal) == (None, {})
    assert eraser.erased == [user.id]


async def test_what_waits_to_be_written_to_an_erased_person_is_forgotten(
    house: House, eraser: Eraser
) -> None:
    await made(house)
    mailing = mailing_of(house)
    for email in ("ADA@example.com", "bob@example.com"):
        await mailing.ask(Errand(kind=ErrandKind.RESET, email=email))
    await delete(house, eraser, "ada", erase=True)
    left = [await mailing.errand_in(kept) for kept in await mailing.queue.waiting()]
    assert [errand and errand.email for errand in left] == ["bob@example.com"]


async def test_a_user_that_was_deleted_before_is_erased_by_id(house: House, eraser: Eraser) -> None:
    user = await made(house)
    await delete(house, eraser, "ada")
    house.events.kept.clear()
    assert await delete(house, eraser, user.id, erase=True) == DeletedUser(
        id=user.id, username=None, erased=True
    )
    (event,) = house.events.kept
    assert (event.kind, event.attributes) == (EventKind.USER_DELETED, {"user": user.id, "erased": True})
    assert eraser.erased == [user.id]


@pytest.mark.parametrize(
    ("name", "erase", "said"),
    [
        ("bob", False, "There is no user 'bob'; `gateway users list`"),
        ("bob", True, "is erased by its id"),
        ("usr_1", True, "is erased by its id"),
        ("usr_" + "0" * 32, False, "There is no user 'usr_000"),
    ],
)
async def test_who_is_not_there_is_not_deleted(
    house: House, eraser: Eraser, name: str, erase: bool, said: str
) -> None:
    await made(house)
    refused = await delete(house, eraser, name, erase=erase)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.NOT_FOUND
    assert said in str(refused.detail)
    assert (house.events.kept, eraser.erased) == ([], [])


@pytest.mark.parametrize("before", [False, True])
async def test_what_cannot_be_recorded_is_not_done(house: House, eraser: Eraser, before: bool) -> None:
    user = await made(house)
    if before:
        await delete(house, eraser, "ada")
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await delete(house, eraser, user.id, erase=True)
    assert [one.id for one in await list_users(house.users)] == ([] if before else [user.id])
    assert eraser.erased == []


async def test_an_erasure_that_fails_can_be_done_later(house: House, eraser: Eraser) -> None:
    user = await made(house)
    eraser.away = True
    with pytest.raises(EraseLater, match="the database is away") as later:
        await delete(house, eraser, "ada", erase=True)
    assert later.value.id == user.id
    assert await list_users(house.users) == []
    eraser.away = False
    await delete(house, eraser, user.id, erase=True)
    assert eraser.erased == [user.id]
