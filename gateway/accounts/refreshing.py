"""Exchanging refresh tokens for new pairs.

A rotation is only useful with an answer, so that it comes before its record, and both before the answer: a
failure in between leaves nothing in anybody's hands, and the token before it is answered again. The end of a
session does not wait for its record: it holds even when the record fails and the answer is an error.
"""

from gateway.accounts.issuing import Issuing, ScopesOf
from gateway.accounts.networks import outside_networks
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal, TokenPair, no_longer
from gateway.accounts.recording import Recorder, principal_of
from gateway.accounts.renewal import Dead, Renewal, Reused
from gateway.accounts.rules import AccountRules
from gateway.accounts.sessions import Sessions
from gateway.model import EventKind, Reason
from gateway.ports import ChangeKind, StoreUnavailable, UserStore


class Refreshing:
    """Renews sessions."""

    def __init__(self, *, users: UserStore, sessions: Sessions, issuing: Issuing, recorder: Recorder) -> None:
        self._users = users
        self._sessions = sessions
        self._issuing = issuing
        self._recorder = recorder

    async def refresh(
        self,
        refresh_token: str,
        *,
        rules: AccountRules,
        scopes_of: ScopesOf,
        origin: Origin,
        client_id: str | None = None,
        jkt: str | None = None,
        wanted: frozenset[str] | None = None,
    ) -> TokenPair | AccountRefusal:
        """Exchange a refresh token for a new pair. Raise `StoreUnavailable`; asking again is safe.

        `client_id` is the client with a secret that has proved to be the one who asks, `jkt` the thumbprint
        of the key that it has proved to hold; None: neither. `wanted` narrows the access token.
        """
        outside = outside_networks(rules, origin)
        if outside is not None:
            return outside
        match await self._sessions.renew(refresh_token, rules, client_id=client_id, jkt=jkt):
            case Dead(diagnosis=diagnosis, user_id=user_id, lacks_key=True):
                return AccountRefusal(
                    reason=Reason.CREDENTIALS_INVALID,
                    diagnosis=diagnosis,
                    detail="Send a DPoP proof by the key that this session is bound to.",
                    subject=user_id,
                    # RFC 9449 section 5.
                    oauth_error="invalid_dpop_proof",
                )
            case Dead(diagnosis=diagnosis, user_id=user_id):
                return no_longer(diagnosis, subject=user_id)
            case Reused() as reused:
                return await self._reuse_detected(reused, origin)
            case Renewal() as renewal:
                return await self._renewed(renewal, rules, scopes_of, origin, wanted)

    async def _renewed(
        self,
        renewal: Renewal,
        rules: AccountRules,
        scopes_of: ScopesOf,
        origin: Origin,
        wanted: frozenset[str] | None,
    ) -> TokenPair | AccountRefusal:
        user = await self._users.find(renewal.user_id)
        if user is None or user.disabled_at is not None:
            diagnosis = f"the account of {renewal.session} is gone or disabled"
            return no_longer(diagnosis, subject=renewal.user_id)
        if rules.verifies_email and user.verified_at is None:
            return no_longer(f"the address of {user.id} is not confirmed", subject=user.id)
        pair = self._issuing.pair(user, renewal, rules, scopes_of, wanted=wanted)
        if wanted and not pair.scope:
            # What was rotated for it is answered again.
            return AccountRefusal(
                reason=Reason.INVALID_REQUEST,
                diagnosis="none of the scopes that were asked for may be had",
                detail="None of these scopes may be had with this token.",
                oauth_error="invalid_scope",
                subject=user.id,
            )
        await self._recorder.record(
            EventKind.REFRESH,
            origin,
            actor=principal_of(user, session=renewal.session),
            attributes={
                "generation": renewal.generation,
                "replayed": renewal.replayed,
                **({} if renewal.client_id is None else {"client": renewal.client_id}),
            },
        )
        return pair

    async def _reuse_detected(self, reused: Reused, origin: Origin) -> AccountRefusal:
        self._recorder.apply(ChangeKind.SESSION_REVOKED, reused.session)
        try:
            user = await self._users.find(reused.user_id)
        except StoreUnavailable:
            # The session has ended, and there is no second time to tell.
            user = None
        await self._recorder.record(
            EventKind.REUSE_DETECTED,
            origin,
            # Whether the owner or a thief came late with the token, nobody can tell.
            actor=None if user is None else principal_of(user, session=reused.session),
            subject=reused.user_id,
            reason=Reason.CREDENTIALS_INVALID,
            session=reused.session,
            attributes={"generation": reused.presented, "newest": reused.newest},
        )
        diagnosis = f"generation {reused.presented} of {reused.session} was used again"
        return no_longer(diagnosis, subject=reused.user_id)
