"""Sessions, and the rotation of their refresh tokens by confirmed delivery.

The newest token rotates. The one before it gets the same successor again: within the grace always (two tabs,
a retry), later only while nobody has shown an access token of the newer pair, because then the answer was
lost. Every other token was used up before, so two parties hold copies of it, and the session ends.

Rotation is one conditional update and its result is computed from the counter alone: whoever loses a race,
and whoever repeats a request after a crash, gets the same answer as the winner.

Sessions of a client with a secret keep their one token: it is of no use without the secret, and a rotation
would only add ways to lose it (RFC 9700 section 4.14.2). All others are bound to the first key that is proved
beside their refresh token (RFC 9449 section 5). Whoever comes without that key and with a token from before
holds a copy, like whoever comes with one that was used up.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from gateway.accounts.ids import new_id
from gateway.accounts.origin import Origin
from gateway.accounts.refresh_token import KEY_BYTES, RefreshToken, mint_refresh_token, parse_refresh_token
from gateway.accounts.renewal import Dead, Renewal, Reused
from gateway.accounts.rules import AccountRules
from gateway.crypto import SealBroken, Sealer
from gateway.ports import Clock, Session, SessionStore, User

_REMEMBERED = 100_000
"""Sessions whose generation in use is remembered in memory; forgetting one only lengthens its tolerance."""


class Sessions:
    """Begins, renews, lists and ends sessions."""

    def __init__(self, store: SessionStore, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._in_use: dict[str, int] = {}
        self._unconfirmed: dict[str, int] = {}

    async def begin(
        self,
        user: User,
        rules: AccountRules,
        origin: Origin,
        *,
        client_id: str | None = None,
        amr: tuple[str, ...] = ("pwd",),
        mfa_at: float | None = None,
        jkt: str | None = None,
    ) -> Renewal | None:
        """Store a new session and return it with its first refresh token; None when the account was disabled,
        or got another password or other roles, while its owner was being recognised.

        `client_id` is the client with a secret that the session is to belong to, `jkt` the thumbprint of the
        key that its tokens are to be bound to. Raise `StoreUnavailable`.
        """
        now = self._clock.now()
        id_ = new_id("ses_")
        key = secrets.token_bytes(KEY_BYTES)
        session = Session(
            id=id_,
            user_id=user.id,
            key=self._sealer.seal(key, context=_context(id_)),
            counter=0,
            rotated_at=now,
            confirmed=False,
            created_at=now,
            last_used_at=now,
            expires_at=now + rules.refresh_absolute,
            source_ip=origin.source_ip,
            user_agent=origin.user_agent,
            client_id=client_id,
            amr=amr,
            mfa_at=mfa_at,
            jkt=jkt,
        )
        if not await self._store.add(session, user=user):
            return None
        return _renewal(session, key, generation=0, at=now, rules=rules)

    async def renew(
        self, text: str, rules: AccountRules, *, client_id: str | None = None, jkt: str | None = None
    ) -> Renewal | Dead | Reused:
        """Return what a refresh token is worth now. Raise `StoreUnavailable`; asking again is safe.

        `client_id` is the client with a secret that has proved to be the one who asks, None: none has.
        `jkt` is the thumbprint of a key that whoever asks has proved to hold.
        """
        token = parse_refresh_token(text)
        if token is None:
            return Dead(diagnosis="not a refresh token")
        while True:
            now = self._clock.now()
            session = await self._store.find(token.session)
            key = None if session is None else await self._key_of(session)
            if session is None or key is None or not token.is_signed_with(key):
                return Dead(diagnosis="no session issued this refresh token")
            # So that nobody can use up, or end, what is not theirs.
            fault = _why_ended(session, rules, now) or _why_foreign(session, client_id)
            if fault is not None:
                return Dead(diagnosis=f"{session.id} {fault}", user_id=session.user_id)
            if token.is_bound and _is_stray(session, jkt):
                return _without_key(session, jkt)
            is_newest = token.generation == session.counter and not _is_stray(session, jkt)
            if not is_newest and not self._is_excused(token, session, rules, at=now, jkt=jkt):
                return await self._end_reused(token, session, rules, at=now, jkt=jkt)
            binds = jkt if session.client_id is None and session.jkt is None else None
            advances = is_newest and session.client_id is None
            if advances:
                done = await self._store.advance(session.id, seen=session.counter, at=now, jkt=binds)
            elif binds is not None:
                done = await self._store.bind(session.id, seen=session.counter, jkt=binds, at=now)
            else:
                await self._store.touch(session.id, at=now)
                done = True
            if done:
                return _renewal(
                    session if binds is None else replace(session, jkt=binds),
                    key,
                    generation=session.counter + advances,
                    at=now,
                    rules=rules,
                    jkt=jkt,
                    replayed=not is_newest,
                )
            # Somebody else was first, or has ended the session: look again. The counter only grows, and a key
            # is bound once, so that there is no fourth round.

    def _is_excused(
        self, token: RefreshToken, session: Session, rules: AccountRules, *, at: float, jkt: str | None
    ) -> bool:
        """Say whether there is a good reason for presenting an older token."""
        # A greater generation than the newest exists after a backup was restored; nothing is known of what
        # happened in between, so it is not trusted either.
        if token.generation != session.counter - 1 or _is_stray(session, jkt):
            return False
        delivered = session.confirmed or self._in_use.get(session.id, -1) >= session.counter
        return _in_grace(session, rules, at) or not delivered

    async def _end_reused(
        self, token: RefreshToken, session: Session, rules: AccountRules, *, at: float, jkt: str | None
    ) -> Dead | Reused:
        """End the session of a token that is in two hands."""
        if _is_stray(session, jkt) and _in_grace(session, rules, at):
            # Somebody has just begun to use a key, and a neighbour of theirs has not heard of it.
            return _without_key(session, jkt)
        if not await self._store.revoke(session.id, at=at):
            return Dead(diagnosis=f"{session.id} was ended meanwhile", user_id=session.user_id)
        return Reused(
            session=session.id,
            user_id=session.user_id,
            presented=token.generation,
            newest=session.counter,
        )

    async def look_up(self, text: str) -> Session | None:
        """Return the session that issued a refresh token, ended ones too, whatever the token is worth by now;
        None when none did. Raise `StoreUnavailable`."""
        token = parse_refresh_token(text)
        session = None if token is None else await self._store.find(token.session)
        if token is None or session is None:
            return None
        key = await self._key_of(session)
        return session if key is not None and token.is_signed_with(key) else None

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

    async def live_of(self, user_id: str, rules: AccountRules) -> Sequence[Session]:
        """Return the sessions of an account that can still be renewed, the newest first. Raise
        `StoreUnavailable`."""
        now = self._clock.now()
        found = await self._store.list_of(user_id, now=now)
        return [session for session in found if _why_ended(session, rules, now) is None]

    async def end(self, session_id: str) -> bool:
        """End one session; False when it had ended already. Raise `StoreUnavailable`."""
        return await self._store.revoke(session_id, at=self._clock.now())

    async def end_own(self, session_id: str, user_id: str) -> bool:
        """End a session of this account; False when it has no such session, or it had ended already. Raise
        `StoreUnavailable`."""
        session = await self._store.find(session_id)
        if session is None or session.user_id != user_id:
            return False
        return await self.end(session_id)

    async def end_all(self, user_id: str) -> list[str]:
        """End every session of an account, its access tokens too; return their ids. Raise
        `StoreUnavailable`."""
        return list(await self._store.revoke_all(user_id, at=self._clock.now()))

    async def _key_of(self, session: Session) -> bytes | None:
        await self._sealer.ready_for(session.key)
        try:
            return self._sealer.open(session.key, context=_context(session.id))
        except SealBroken:
            return None


def _renewal(
    session: Session,
    key: bytes,
    *,
    generation: int,
    at: float,
    rules: AccountRules,
    jkt: str | None = None,
    replayed: bool = False,
) -> Renewal:
    return Renewal(
        session=session.id,
        user_id=session.user_id,
        generation=generation,
        refresh_token=mint_refresh_token(session.id, generation, key, bound=session.jkt is not None),
        refresh_ends=min(at + rules.refresh_idle, session.expires_at),
        session_ends=session.expires_at,
        at=at,
        began=session.created_at,
        client_id=session.client_id,
        amr=session.amr,
        mfa_at=session.mfa_at,
        # RFC 9449 section 5: an access token is bound to the key of the proof beside the request for it.
        jkt=session.jkt or jkt,
        scope=session.scope,
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


def _in_grace(session: Session, rules: AccountRules, now: float) -> bool:
    return now - session.rotated_at <= rules.reuse_grace


def _is_stray(session: Session, jkt: str | None) -> bool:
    """Say whether a session is bound to a key, and whoever asks has not proved to hold that one."""
    return session.jkt is not None and session.jkt != jkt


def _why_foreign(session: Session, client_id: str | None) -> str | None:
    return None if session.client_id == client_id else "belongs to another client"


def _without_key(session: Session, jkt: str | None) -> Dead:
    why = "no DPoP proof was sent" if jkt is None else "the DPoP proof is by another"
    return Dead(
        diagnosis=f"{session.id} is bound to a key, and {why}", user_id=session.user_id, lacks_key=True
    )


def _context(session_id: str) -> str:
    return f"session:{session_id}"
