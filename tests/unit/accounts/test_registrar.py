"""Making accounts."""

import asyncio

import pytest
from unit.accounts.house import House

from gateway.accounts import AccountRefusal, Origin
from gateway.accounts.registrar import Registrar
from gateway.model import EventKind, Principal, PrincipalKind, Reason
from gateway.ports import AuditUnavailable, User

OPERATOR = Principal(
    id="uid:0", kind=PrincipalKind.OPERATOR, name="root", authn="command line", authn_kind="operator"
)
ORIGIN = Origin(request_id="r-1", source_ip="203.0.113.7", user_agent="agent")


async def add(registrar: Registrar, **changes: object) -> User | AccountRefusal:
    given: dict[str, object] = {
        "username": "Ada",
        "email": "ada@example.com",
        "password": "correct horse battery",
        "roles": frozenset({"customer"}),
        "min_length": 12,
        "verified": True,
        "kind": EventKind.USER_CREATED,
        "actor": OPERATOR,
        "origin": ORIGIN,
        **changes,
    }
    return await registrar.add(**given)  # type: ignore[arg-type] # every value is of its own type


async def test_an_account_is_stored_and_recorded(house: House) -> None:
    user = await add(house.registrar)
    assert isinstance(user, User)
    assert await house.users.find(user.id) == user
    assert user.verified_at == house.clock.time
    assert user.password_hash is not None
    assert await house.passwords.verify("correct horse battery", user.password_hash)
    (event,) = house.events.kept
    assert (event.kind, event.actor) == (EventKind.USER_CREATED, OPERATOR)
    assert (event.request_id, event.source_ip, event.user_agent) == ("r-1", "203.0.113.7", "agent")
    assert event.attributes == {"user": user.id, "roles": ["customer"]}
    assert (event.subject, event.personal) == (user.id, {"username": "Ada"})


async def test_who_registers_is_the_actor_and_not_verified(house: House) -> None:
    user = await add(house.registrar, actor=None, verified=False, kind=EventKind.REGISTERED)
    assert isinstance(user, User)
    assert user.verified_at is None
    (event,) = house.events.kept
    assert event.actor is not None
    assert (event.actor.id, event.actor.kind) == (user.id, PrincipalKind.USER)


async def test_all_mistakes_come_at_once_and_nothing_is_stored(house: House) -> None:
    refused = await add(house.registrar, username="a b", email="nowhere", password="short")
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.INVALID_REQUEST
    assert [error["field"] for error in refused.errors] == ["username", "email", "password"]
    assert await house.users.list() == []
    assert house.events.kept == []


@pytest.mark.parametrize(
    ("password", "good"),
    [("x" * 11, False), ("x" * 12, True), ("𝒳" * 12, True), ("e\u0301" * 6, False), ("x" * 1024, True),
     ("x" * 1025, False), (" " * 12, True)],
)  # fmt: skip
async def test_length_is_all_that_is_asked_of_a_password(house: House, password: str, good: bool) -> None:
    assert isinstance(await add(house.registrar, password=password), User) is good


async def test_an_empty_password_is_never_one(house: House) -> None:
    assert isinstance(await add(house.registrar, password="", min_length=0), AccountRefusal)


@pytest.mark.parametrize(
    ("username", "email", "field"),
    [("ADA", "x@example.com", "username"), ("bob", "ADA@Example.com", "email")],
)
async def test_a_taken_name_is_a_conflict(house: House, username: str, email: str, field: str) -> None:
    await add(house.registrar)
    refused = await add(house.registrar, username=username, email=email)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.CONFLICT
    assert [error["field"] for error in refused.errors] == [field]
    assert len(house.events.kept) == 1


async def test_of_two_at_once_with_one_name_one_is_made_and_one_is_recorded(house: House) -> None:
    made = await asyncio.gather(*(add(house.registrar) for _ in range(5)))
    refused = [one for one in made if isinstance(one, AccountRefusal)]
    assert [one.reason for one in refused] == [Reason.CONFLICT] * 4
    assert len(await house.users.list()) == len(house.events.kept) == 1


async def test_without_a_record_there_is_no_account(house: House) -> None:
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await add(house.registrar)
    assert await house.users.list() == []
    house.events.away = False
    assert isinstance(await add(house.registrar), User)


async def test_no_event_carries_the_password(house: House) -> None:
    user = await add(house.registrar)
    assert "correct horse" not in repr(house.events.kept)
    assert "v1$" not in repr(user)
