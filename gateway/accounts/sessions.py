"""Sessions, and the rotation of their refresh tokens by confirmed delivery.

The newest token rotates. The one before it gets the same successor again: within the grace always (two tabs,
a retry), later only while nobody has shown an access token of the newer pair, because then the answer was
lost. Every other token was used up before, so two parties hold copies of it, and the session ends.

Rotation is one conditional update and its result is computed from the counter alone: whoever loses a race,
and whoever repeats a request after a crash, gets the same answer as the winner.
"""

import secrets
from dataclasses import dataclass, field

from gateway.accounts.ids import new_id
from gateway.accounts.origin import Origin
from gateway.accounts.refresh_token import KEY_BYTES, RefreshToken, mint_refresh_token, parse_refresh_token
from gateway.accounts.rules import AccountRules
from gateway.crypto import SealBroken, Sealer
from gateway.ports import Clock, Session, SessionStore

_REMEMBERED = 100_000
"""Sessions whose generation in use is remembered in memory; forgetting one only lengthens its tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A live session with its newest refresh token."""

    session: str
    user_id: str
    generation: int
    refresh_token: str = field(repr=False)
    refresh_ends: float
    """When the token is of no use any more, if it is not used: idle or absolute end."""
    session_ends: float
    replayed: bool = False
    """Whether an older token was answered with its successor again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """The token is worth nothing."""

    diagnosis: str
    user_id: str | None = None
    """Whose it was; None: nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """The token had been used up, and now the session has ended because of it."""

    session: str
    user_id: str
    presented: int
    newest: int


class Sessions:
    """Begins, renews and ends sessions."""

    def __init__(self, store: SessionStore, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._in_use: dict[str, int] = {}
        self._unconfirmed: dict[str, int] = {}

    async def begin(self, user_id: str, rules: AccountRules, origin: Origin) -> Renewal:
        """Store a new session and return it with its first refresh token. Raise `StoreUnavailable`."""
        now = self._clock.now()
        id_ = new_id("ses_")
        key = secrets.token_bytes(KEY_BYTES)
        session = Session(
            id=id_,
            user_id=user_id,
            key=self._sealer.seal(key, context=_context(id_)),
            counter=0,
            rotated_at=now,
            confirmed=False,
            created_at=now,
            last_used_at=now,
            expires_at=now + rules.refresh_absolute,
            source_ip=origin.source_ip,
            user_agent=origin.user_agent,
        )
        await self._store.add(session)
        return _renewal(session, key, generation=0, used_at=now, rules=rules)

    async def renew(self, text: str, rules: AccountRules) -> Renewal | Dead | Reused:
        """Return what a refresh token is worth now. Raise `StoreUnavailable`; asking again is safe."""
        token = parse_refresh_token(text)
        if token is None:
            return Dead(diagnosis="not a refresh token")
        while True:
            session = await self._store.find(token.session)
            key = None if session is None else self._key_of(session)
            if session is None or key is None or not token.is_signed_with(key):
                return Dead(diagnosis="no session issued this refresh token")
            now = self._clock.now()
            ended = _why_ended(session, rules, now)
            if ended is not None:
                return Dead(diagnosis=f"{session.id} {ended}", user_id=session.user_id)
            if token.generation != session.counter:
                return await self._renew_older(token, session, key, rules, now)
            if await self._store.advance(session.id, seen=session.counter, at=now):
                return _renewal(session, key, generation=session.counter + 1, used_at=now, rules=rules)
            # Somebody else was first with the same token, or has ended the session: look again. The counter
            # only grows, so this token is an older one by now and there is no third round.

    async def _renew_older(
        self, token: RefreshToken, session: Session, key: bytes, rules: AccountRules, now: float
    ) -> Renewal | Dead | Reused:
        # A greater generation than the newest exists after a backup was restored; nothing is known of what
        # happened in between, so it is not trusted either.
        delivered = session.confirmed or self._in_use.get(session.id, -1) >= session.counter
        in_grace = now - session.rotated_at <= rules.reuse_grace
        if token.generation == session.counter - 1 and (in_grace or not delivered):
            await self._store.touch(session.id, at=now)
            return _renewal(session, key, generation=session.counter, used_at=now, rules=rules, replayed=True)
        if not await self._store.revoke(session.id, at=now):
            return Dead(diagnosis=f"{session.id} was ended meanwhile", user_id=session.user_id)
        return Reused(
            session=session.id,
            user_id=session.user_id,
            presented=token.generation,
            newest=session.counter,
        )

    def seen(self, session_id: str, generation: int) -> None:
        """Note that an access token of this generation was accepted: its pair has reached the client.

        Quick, and never raises. It is written to the store later, by `flush`.
        """
        if generation > self._in_use.get(session_id, -1):
            if len(self._in_use) >= _REMEMBERED:
                self._in_use.clear()
            self._in_use[session_id] = generation
            self._unconfirmed[session_id] = generation

    async def flush(self) -> None:
        """Write what was `seen` since the last time. Raise `StoreUnavailable`; nothing is forgotten then."""
        while self._unconfirmed:
            session_id, generation = next(iter(self._unconfirmed.items()))
            await self._store.confirm(session_id, counter=generation)
            if self._unconfirmed.get(session_id) == generation:
                del self._unconfirmed[session_id]

    async def end(self, session_id: str) -> bool:
        """End one session; False when it had ended already. Raise `StoreUnavailable`."""
        return await self._store.revoke(session_id, at=self._clock.now())

    async def end_all(self, user_id: str) -> list[str]:
        """End every session of an account, its access tokens too; return their ids. Raise
        `StoreUnavailable`."""
        return list(await self._store.revoke_all(user_id, at=self._clock.now()))

    def _key_of(self, session: Session) -> bytes | None:
        try:
            return self._sealer.open(session.key, context=_context(session.id))
        except SealBroken:
            return None


def _renewal(
    session: Session,
    key: bytes,
    *,
    generation: int,
    used_at: float,
    rules: AccountRules,
    replayed: bool = False,
) -> Renewal:
    return Renewal(
        session=session.id,
        user_id=session.user_id,
        generation=generation,
        refresh_token=mint_refresh_token(session.id, generation, key),
        refresh_ends=min(used_at + rules.refresh_idle, session.expires_at),
        session_ends=session.expires_at,
        replayed=replayed,
    )


def _why_ended(session: Session, rules: AccountRules, now: float) -> str | None:
    if session.revoked_at is not None:
        return "was ended"
    if now >= session.expires_at:
        return "has reached its absolute end"
    if now >= session.last_used_at + rules.refresh_idle:
        return "was idle for too long"
    return None


def _context(session_id: str) -> str:
    return f"session:{session_id}"
