"""Authenticator: access tokens that this gateway issued itself."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final

from gateway.crypto import Keyring, Proofs
from gateway.identity.access_token import LEEWAY_SECONDS, AccessClaims, TokenRefused, read_access_token
from gateway.identity.base import FOREIGN, Answer, Authenticator, Foreign, Rejected
from gateway.identity.bearer import Presented, read_token
from gateway.identity.claimed_issuer import claimed_issuer
from gateway.identity.dpop import Binding, BindingUnknown, read_binding, unproved
from gateway.identity.token_memory import TokenMemory
from gateway.model import Principal, PrincipalKind, RequestHead
from gateway.ports import Clock, Revocations

_REPORTED: Final = 10_000
"""Generations in use that were told of; one that was forgotten is told of again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """What a good token said, so that neither its signature nor its claims are read again."""

    principal: Principal
    binding: Binding | None
    asks_proof: bool
    """Whether more than the token is to be looked at in every request."""
    id: str
    session: str | None
    generation: int
    epoch: int
    ends: float


class GatewayJwt(Authenticator):
    """Tokens that the gateway itself issued, in `Authorization: Bearer`, or `DPoP` with a proof beside it.

    A token whose signature was checked is remembered by its digest, together with what it said. What may
    change while it lives (its expiry, its own revocation, its session, the epoch of its user or client) is
    asked on every request. `seen` is called with session and refresh generation the first time an access
    token of that generation is accepted here: it tells that the client received that pair. It must be quick
    and must not raise. `longest` is the longest life of a token, in seconds, that may be good: for how long
    revocations are remembered.
    """

    kind: ClassVar[str] = "gateway_jwt"
    takes_tokens: ClassVar[bool] = True
    fields = frozenset({b"authorization", b"dpop"})

    def __init__(
        self,
        name: str,
        *,
        keyring: Keyring,
        issuer: str,
        audience: str,
        longest: float,
        revocations: Revocations,
        proofs: Proofs,
        clock: Clock,
        seen: Callable[[str, int], None],
    ) -> None:
        self.name = name
        self._keyring = keyring
        self._keys = keyring.verifying
        self._issuer = issuer
        self._audience = audience
        self._longest = longest
        self._revocations = revocations
        self._proofs = proofs
        self._now = clock.now
        self._seen = seen
        self._known: TokenMemory[_Verified] = TokenMemory()
        self._reported: OrderedDict[tuple[str, int], None] = OrderedDict()

    async def identify(self, head: RequestHead) -> Answer:
        """Say who sent this. Raise `StoreUnavailable` when nobody knows whether the token was revoked."""
        if self._keys is not self._keyring.verifying:
            self._keys = self._keyring.verifying
            self._known.forget_good()
        values = head.fields.all(b"authorization")
        digest = sha256(values[0]).digest() if len(values) == 1 else b""
        verified = self._known.find(digest)
        if isinstance(verified, Foreign):
            return verified
        if verified is not None:
            answer = self._as_of_now(verified)
            if verified.asks_proof and isinstance(answer, Principal):
                return await self._proved(verified, head)
            return answer
        presented = read_token(head.fields)
        if not isinstance(presented, Presented):
            return presented
        keys = self._keys
        try:
            verified = self._read(presented.token, with_proof=presented.with_proof)
        except TokenRefused as refused:
            if claimed_issuer(presented.token) not in {self._issuer, None}:
                self._known.keep_foreign(digest)
                return FOREIGN
            return Rejected(str(refused), subject=refused.subject)
        answer = self._as_of_now(verified)
        if isinstance(answer, Principal) and verified.asks_proof:
            answer = await self._proved(verified, head)
        if isinstance(answer, Principal):
            # The keys may be others since, when a proof was looked into meanwhile.
            if keys is self._keys:
                self._known.keep(digest, verified, length=len(values[0]))
            self._report(verified)
        return answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        """Say whether a token, its key, its session or its account has been revoked or has changed since.
        Raise `StoreUnavailable` when nobody knows."""
        claims = principal.claims or {}
        epoch, id_ = claims.get("ep"), claims.get("jti")
        if principal.signed_by in self._keyring.revoked:
            return Rejected("the key that signed the token has been revoked", subject=principal.subject)
        return self._standing(
            principal,
            id_ if isinstance(id_, str) else "",
            principal.session,
            epoch if isinstance(epoch, int) else 0,
        )

    def examine(self, token: str) -> Principal | Rejected:
        """Say whose a token is that somebody shows without using it, as of now, whatever it is bound to.

        Raise `StoreUnavailable` when nobody knows whether it was revoked.
        """
        try:
            return self._as_of_now(self._read(token, with_proof=False))
        except TokenRefused as refused:
            return Rejected(str(refused), subject=refused.subject)

    def challenge(self, *, rejected: bool) -> str:
        """Return the challenge of RFC 6750 section 3; without any credential it carries no error code."""
        return 'Bearer realm="gateway", error="invalid_token"' if rejected else 'Bearer realm="gateway"'

    async def _proved(self, verified: _Verified, head: RequestHead) -> Principal | Rejected:
        presented = read_token(head.fields)
        if not isinstance(presented, Presented):
            return Rejected("not one token")
        principal = verified.principal
        rejected = await unproved(presented, verified.binding, head, self._proofs, subject=principal.subject)
        # It was ended while the proof was looked into, perhaps.
        return rejected or self._standing(principal, verified.id, verified.session, verified.epoch)

    def _as_of_now(self, verified: _Verified) -> Principal | Rejected:
        if self._now() >= verified.ends:
            return Rejected("expired", subject=verified.principal.subject)
        return self._standing(verified.principal, verified.id, verified.session, verified.epoch)

    def _standing(
        self, principal: Principal, id: str, session: str | None, epoch: int
    ) -> Principal | Rejected:
        revocations = self._revocations
        if session is not None and revocations.session_revoked(session):
            return Rejected("the session has been ended", subject=principal.subject)
        if revocations.token_revoked(id):
            return Rejected("the token has been revoked", subject=principal.subject)
        if epoch < revocations.user_epoch(principal.id):
            return Rejected("the account has changed since", subject=principal.subject)
        # Only an answer that would let the request pass needs the feed to be fresh.
        revocations.check_fresh()
        return principal

    def _read(self, token: str, *, with_proof: bool) -> _Verified:
        claims = read_access_token(
            token,
            keys=self._keys,
            issuer=self._issuer,
            audience=self._audience,
            now=self._now(),
            longest=self._longest,
        )
        try:
            binding = read_binding(claims.all)
        except BindingUnknown as unknown:
            refused = TokenRefused(str(unknown))
            refused.subject = _person(claims)
            raise refused from None
        return _Verified(
            principal=self._principal(claims),
            binding=binding,
            asks_proof=binding is not None or with_proof,
            id=claims.id,
            session=claims.session,
            generation=claims.generation,
            epoch=claims.epoch,
            ends=claims.expires + LEEWAY_SECONDS,
        )

    def _principal(self, claims: AccessClaims) -> Principal:
        is_user = claims.session is not None
        return Principal(
            id=claims.subject,
            kind=PrincipalKind.USER if is_user else PrincipalKind.CLIENT,
            name=claims.name,
            authn=self.name,
            authn_kind=self.kind,
            roles=claims.roles,
            scope_limit=claims.scope,
            claims=claims.all,
            session=claims.session,
            client_id=claims.client_id,
            mfa_at=None if claims.mfa_at is None else float(claims.mfa_at),
            signed_by=claims.kid,
            expires_at=float(claims.expires),
            subject=_person(claims),
        )

    def _report(self, verified: _Verified) -> None:
        if verified.session is None:
            return
        generation = (verified.session, verified.generation)
        if generation not in self._reported:
            self._reported[generation] = None
            if len(self._reported) > _REPORTED:
                self._reported.popitem(last=False)
            self._seen(*generation)


def _person(claims: AccessClaims) -> str | None:
    return None if claims.session is None else claims.subject
