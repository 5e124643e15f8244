"""The revocation endpoint (RFC 7009): a client gives back what it was issued.

What it takes away does not wait for its record: it holds even when the record fails and the answer is an
error.
"""

from gateway.accounts.access_token import CLIENT_ID
from gateway.accounts.clients import Client, PublicClient, client_principal
from gateway.accounts.oauth_granting import refuse_grant
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, AccountRefusal, Done
from gateway.accounts.recording import Recorder
from gateway.accounts.sessions import Sessions
from gateway.model import EventKind, Principal
from gateway.ports import ChangeKind, Clock, RevokedTokens


class Revoking:
    """Ends single tokens."""

    def __init__(
        self, *, sessions: Sessions, tokens: RevokedTokens, recorder: Recorder, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._recorder = recorder
        self._clock = clock

    async def revoke(
        self, client: Client, token: str, holder: Principal | None, *, origin: Origin
    ) -> Done | AccountRefusal:
        """End a refresh token, with its session and all access tokens of that, or one access token.

        `holder` is whose the token is when it is an access token of this gateway that is good at the moment.
        What is worth nothing is done with (section 2.2); what is another client's is refused. Raise
        `StoreUnavailable`.
        """
        session = await self._sessions.look_up(token)
        if session is not None:
            if (session.client_id or CLIENT_ID) != client.id:
                return _not_yours(session.user_id)
            if await self._sessions.end(session.id):
                self._recorder.apply(ChangeKind.SESSION_REVOKED, session.id)
                await self._record(client, origin, session=session.id, subject=session.user_id)
        elif holder is not None:
            if holder.client_id != client.id:
                return _not_yours(holder.subject)
            id_ = str((holder.claims or {})["jti"])
            await self._tokens.revoke(id_, at=self._clock.now())
            self._recorder.apply(ChangeKind.TOKEN_REVOKED, id_)
            await self._record(client, origin, token=id_, session=holder.session, subject=holder.subject)
        return DONE

    async def _record(
        self,
        client: Client,
        origin: Origin,
        *,
        session: str | None,
        subject: str | None,
        token: str | None = None,
    ) -> None:
        await self._recorder.record(
            EventKind.TOKEN_REVOKED,
            origin,
            actor=None if isinstance(client, PublicClient) else client_principal(client),
            session=session,
            attributes={"client": client.id, **({} if token is None else {"token": token})},
            subject=subject,
        )


def _not_yours(subject: str | None) -> AccountRefusal:
    # RFC 7009 section 2.1: the client is told; RFC 6749 section 5.2 has the code for it.
    return refuse_grant("invalid_grant", "The token was issued to another client.", subject=subject)
