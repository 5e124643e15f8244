"""What operators do with accounts."""

from collections.abc import Sequence

from gateway.accounts import AccountRefusal, Origin, Registrar
from gateway.model import EventKind, Principal
from gateway.ports import User, UserStore


async def create_user(
    registrar: Registrar,
    *,
    username: str,
    email: str | None,
    password: str,
    roles: frozenset[str],
    min_length: int,
    operator: Principal,
) -> User | AccountRefusal:
    """Make a verified account, recorded as `user.created`. Raise `StoreUnavailable`; then there is none."""
    return await registrar.add(
        username=username,
        email=email,
        password=password,
        roles=roles,
        min_length=min_length,
        verified=True,
        kind=EventKind.USER_CREATED,
        actor=operator,
        origin=Origin(),
    )


async def list_users(users: UserStore) -> Sequence[User]:
    """Return every account, by name. Raise `StoreUnavailable`."""
    return await users.list()
