"""OAuth clients: proving which one asks. Besides those that operators make there is one without a secret, the
gateway's own, to which every login belongs that names no other client.
"""

import hmac
from dataclasses import dataclass

from gateway.accounts.access_token import CLIENT_ID
from gateway.accounts.client_proof import ClientProof, invalid_client
from gateway.accounts.client_secret import client_secret_hash
from gateway.accounts.guard import Guard
from gateway.accounts.ids import ID_BYTES
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal
from gateway.accounts.recording import Recorder
from gateway.accounts.rules import AccountRules
from gateway.model import EventKind, Principal, PrincipalKind, Reason
from gateway.ports import ClientStore, Clock, OAuthClient

CLIENT_PREFIX = "cli_"
_LONGEST_ID = len(CLIENT_PREFIX) + 2 * ID_BYTES
_NEVER = bytes(32)
"""What is compared with where there is nothing to compare with; no SHA-256 is known that is this."""
_MOST_SECRETS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicClient:
    """The gateway's own client, which has no secret."""

    id: str = CLIENT_ID


PUBLIC = PublicClient()
Client = OAuthClient | PublicClient
"""Who has proved to be an OAuth client, as far as it can."""


class Clients:
    """Knows clients by what they send."""

    def __init__(self, store: ClientStore, *, guard: Guard, recorder: Recorder, clock: Clock) -> None:
        self._store = store
        self._guard = guard
        self._recorder = recorder
        self._clock = clock

    async def prove(
        self, proof: ClientProof, *, rules: AccountRules | None, origin: Origin
    ) -> Client | AccountRefusal:
        """Return the client, or the one refusal for all that is wrong: unknown, revoked, no or a bad secret.

        A failure is recorded as `auth.login_failed`, and counts against its address as a wrong password does.
        Raise `StoreUnavailable`.
        """
        known = await self._known(proof, origin)
        if isinstance(known, AccountRefusal) and rules is not None:
            await self._guard.failed(rules=rules, origin=origin)
        return known

    async def _known(self, proof: ClientProof, origin: Origin) -> Client | AccountRefusal:
        if proof.id == CLIENT_ID:
            return PUBLIC if proof.secret is None else await self._failed("has no secret", None, origin)
        presented = client_secret_hash(proof.secret or "") or _NEVER
        client = await self._store.find(proof.id) if len(proof.id) <= _LONGEST_ID else None
        known = [] if client is None else [each.hash for each in client.secrets]
        # As many comparisons for everybody, so that time tells nothing about ids.
        known += [_NEVER] * (_MOST_SECRETS - len(known))
        matches = [hmac.compare_digest(presented, each) for each in known]
        if client is None:
            return await self._failed("unknown", None, origin)
        if presented == _NEVER or not any(matches):
            return await self._failed("the secret is missing or wrong", client, origin)
        now = self._clock.now()
        ends = next(each.expires_at for each, hit in zip(client.secrets, matches, strict=False) if hit)
        if ends is not None and now >= ends:
            return await self._failed("the secret was replaced", client, origin)
        if client.revoked_at is not None:
            return await self._failed("revoked", client, origin)
        return client

    async def _failed(self, diagnosis: str, client: OAuthClient | None, origin: Origin) -> AccountRefusal:
        # What names no client is not written down: now and then it is a secret in the wrong field.
        known: dict[str, str | int | bool | list[str]] = {"known": client is not None}
        if client is not None:
            known |= {"client": client.id, "revoked": client.revoked_at is not None}
        await self._recorder.record(
            EventKind.LOGIN_FAILED, origin, reason=Reason.CREDENTIALS_INVALID, attributes=known
        )
        return invalid_client(diagnosis if client is None else f"{client.id}: {diagnosis}")


def client_principal(client: OAuthClient) -> Principal:
    """Return a client as the one who acts, vouched for by its secret."""
    return Principal(
        id=client.id,
        kind=PrincipalKind.CLIENT,
        name=client.name,
        authn="clients",
        authn_kind="client_secret",
        roles=client.roles,
        client_id=client.id,
    )
