"""Authenticator: access tokens of another issuer."""

from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

from gateway.crypto import JwsMalformed, Proofs, read_jws
from gateway.identity.access_token import MAX_TOKEN_CHARACTERS, TokenRefused
from gateway.identity.base import FOREIGN, Answer, Authenticator, ExternalIssuer, Foreign, Rejected
from gateway.identity.bearer import Presented, read_token
from gateway.identity.dpop import Binding, unproved
from gateway.identity.external_token import LEEWAY_SECONDS, read_claims, read_header
from gateway.identity.issuer_keys import Keys
from gateway.identity.token_memory import TokenMemory
from gateway.model import Principal, PrincipalKind, RequestHead
from gateway.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """What a good token said, so that neither its signature nor its claims are read again."""

    principal: Principal
    binding: Binding | None
    ends: float


class ExternalJwt(Authenticator):
    """Tokens of one other issuer, in `Authorization: Bearer` or, when bound to a key, `DPoP`.

    A token whose signature was checked is remembered by its digest, for as long as it lives and the issuer's
    keys stay the same. Its principal has no roles: they are given by the grants of the policy.
    """

    kind: ClassVar[str] = "jwt"
    takes_tokens: ClassVar[bool] = True
    fields = frozenset({b"authorization", b"dpop"})

    def __init__(self, name: str, *, rules: ExternalIssuer, keys: Keys, proofs: Proofs, clock: Clock) -> None:
        self.name = name
        self._rules = rules
        self._keys = keys
        self._changes = keys.changes
        self._proofs = proofs
        self._now = clock.now
        self._known: TokenMemory[_Verified] = TokenMemory()

    async def identify(self, head: RequestHead) -> Answer:
        """Say who sent this. Raise `StoreUnavailable` when the issuer's keys were never to be had."""
        if self._changes != self._keys.changes:
            self._changes = self._keys.changes
            self._known.forget_good()
        values = head.fields.all(b"authorization")
        digest = sha256(values[0]).digest() if len(values) == 1 else b""
        verified = self._known.find(digest)
        if isinstance(verified, Foreign):
            return verified
        if verified is not None:
            if self._now() >= verified.ends:
                return Rejected("expired", subject=verified.principal.subject)
            if verified.binding is None:
                return verified.principal
        presented = read_token(head.fields)
        if not isinstance(presented, Presented):
            return presented
        if verified is None:
            try:
                found = await self._read(presented.token)
            except TokenRefused as refused:
                return Rejected(str(refused), subject=refused.subject)
            if isinstance(found, Foreign):
                self._known.keep_foreign(digest)
                return found
            verified = found
            if found.binding is not None or not presented.with_proof:
                # What is not bound and came with a proof is refused, and is to be refused again.
                self._known.keep(digest, found, length=len(values[0]))
        principal = verified.principal
        refusal = await unproved(presented, verified.binding, head, self._proofs, subject=principal.subject)
        return refusal or principal

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        """Say whether the issuer still publishes the key of a token; what else it revoked nobody tells."""
        if not self._keys.trusts(principal.signed_by or ""):
            return Rejected("the key that signed the token is gone", subject=principal.subject)
        return principal

    def challenge(self, *, rejected: bool) -> str:
        """Return the challenge of RFC 6750 section 3; without any credential it carries no error code."""
        return 'Bearer realm="gateway", error="invalid_token"' if rejected else 'Bearer realm="gateway"'

    async def _read(self, token: str) -> _Verified | Foreign:
        """Return what a good token says. Raise `TokenRefused`, `StoreUnavailable`."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused("the token is too long")
        try:
            jws = read_jws(token.encode("ascii"))
        except JwsMalformed as flaw:
            raise TokenRefused(f"no token of this issuer: {flaw}") from None
        if jws.payload.get("iss") != self._rules.issuer:
            # Nobody is asked for a key, and nothing is verified, for the sake of somebody else's token.
            return FOREIGN
        kid, algorithm = read_header(jws.header, self._rules)
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise TokenRefused("kid names no key of the issuer for this alg")
        if not key.verifies(jws.signed, jws.signature):
            raise TokenRefused("the signature is wrong")
        claims = read_claims(jws, self._rules, now=self._now())
        principal = Principal(
            id=claims.id,
            kind=PrincipalKind.EXTERNAL,
            name=claims.name,
            authn=self.name,
            authn_kind=self.kind,
            claims=claims.all,
            client_id=claims.client_id,
            mfa_at=claims.mfa_at,
            signed_by=key.thumbprint,
            expires_at=claims.expires,
            subject=claims.id,
        )
        return _Verified(principal=principal, binding=claims.binding, ends=claims.expires + LEEWAY_SECONDS)
