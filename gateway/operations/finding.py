"""Which account an operator means."""

from gateway.accounts import AccountRefusal
from gateway.model import Reason, canonical_name
from gateway.ports import User, UserStore


async def find_user(users: UserStore, name: str) -> User | AccountRefusal:
    """Return an account by id, user name or e-mail address. Raise `StoreUnavailable`."""
    user = await users.find(name) or await users.find_by_login(canonical_name(name))
    return no_user(name) if user is None else user


def no_user(name: str, *, hint: str = "") -> AccountRefusal:
    """Return the refusal of a name that nobody has."""
    return AccountRefusal(
        reason=Reason.NOT_FOUND, detail=f"There is no user {name!r}{hint}; `gateway users list` shows them."
    )
