"""What operators do with accounts."""

from unit.accounts.house import House

from gateway.accounts import AccountRefusal
from gateway.model import EventKind, Reason
from gateway.operations import create_user, list_users, operator_at_the_command_line
from gateway.ports import User


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
