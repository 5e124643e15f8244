"""Invitations: `gwi_` and 256 random bits, good for one account."""

from dataclasses import dataclass, field

from gateway.accounts.ids import new_id
from gateway.accounts.one_time import hash_of, new_secret
from gateway.model import canonical_name
from gateway.ports import Clock, Invite, InviteStore


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedInvite:
    """A new invitation, and the code that whoever is invited registers with. It is shown once."""

    invite: Invite
    code: str = field(repr=False)


def issue_invite(
    *, roles: frozenset[str], email: str | None, created_by: str, now: float, life: float
) -> IssuedInvite:
    """Return a new invitation that lives for `life` seconds; nothing is stored."""
    code = f"gwi_{new_secret()}"
    invite = Invite(
        id=new_id("inv_"),
        code_hash=hash_of(code),
        roles=roles,
        email=email,
        created_by=created_by,
        created_at=now,
        expires_at=now + life,
    )
    return IssuedInvite(invite=invite, code=code)


async def usable_invite(store: InviteStore, code: str, clock: Clock) -> Invite | None:
    """Return the invitation that a code belongs to; None when it was used, has ended, or never was. Raise
    `StoreUnavailable`."""
    invite = await store.find(hash_of(code))
    if invite is None or invite.used_at is not None or invite.revoked_at is not None:
        return None
    return invite if clock.now() < invite.expires_at else None


def is_for(invite: Invite, email: str) -> bool:
    """Say whether an invitation is good for an address."""
    return invite.email is None or canonical_name(invite.email) == canonical_name(email)
