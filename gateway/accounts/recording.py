"""How the accounts tell the audit trail what happened, and this process what has ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.accounts.origin import Origin
from gateway.model import Event, EventKind, Principal, PrincipalKind, Reason
from gateway.ports import Change, ChangeKind, Clock, Events, User

Attributes = Mapping[str, str | int | bool | list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes events down, and applies changes here before an answer is given, so that this process refuses at
    once what the change feed will announce to the others."""

    events: Events
    clock: Clock
    applied: Callable[[Change], None]

    async def record(
        self,
        kind: EventKind,
        origin: Origin,
        *,
        actor: Principal | None = None,
        reason: Reason = Reason.OK,
        session: str | None = None,
        attributes: Attributes | None = None,
        about: User | None = None,
        subject: str | None = None,
    ) -> None:
        """Return once the event is durable; `about` is the person that it is about, when not the actor, and
        `subject` that person's id, where no more is known.

        Raise `AuditUnavailable`.
        """
        await self.events.event(
            Event(
                kind=kind,
                actor=actor,
                request_id=origin.request_id,
                source_ip=origin.source_ip,
                user_agent=origin.user_agent,
                reason=reason,
                session=session or (None if actor is None else actor.session),
                attributes=attributes or {},
                subject=subject if about is None else about.id,
                personal={} if about is None else {"username": about.username},
            )
        )

    def apply(self, kind: ChangeKind, subject: str, *, epoch: int = 0) -> None:
        """Have this process know of a change at once."""
        # Number 0: it did not come through the feed, whose own numbers go on from where they were.
        self.applied(Change(0, kind, subject, epoch, self.clock.now()))


def principal_of(user: User, *, session: str | None = None) -> Principal:
    """Return an account as the one who acts, vouched for by its password or its refresh token."""
    return Principal(
        id=user.id,
        kind=PrincipalKind.USER,
        name=user.username,
        authn="accounts",
        authn_kind="password",
        roles=user.roles,
        session=session,
        subject=user.id,
    )
