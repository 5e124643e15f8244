"""Authenticator: access tokens that this gateway issued itself."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, TypeVar

from gateway.crypto import Keyring
from gateway.identity.access_token import LEEWAY_SECONDS, TokenRefused, read_access_token
from gateway.identity.base import Answer, Authenticator, Rejected
from gateway.identity.bearer import read_bearer
from gateway.model import Principal, PrincipalKind, RequestHead
from gateway.ports import Clock, Revocations

CACHED_TOKENS = 10_000

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """What a good token said, so that neither its signature nor its claims are read again."""

    principal: Principal
    session: str
    generation: int
    epoch: int
    ends: float


class GatewayJwt(Authenticator):
    """Tokens that the gateway's own login issued, in `Authorization: Bearer`.

    A token whose signature was checked is remembered by its digest, together with what it said. What may
    change while it lives (its expiry, its session, its user's epoch) is asked on every request.
    `seen` is called with session and refresh generation the first time an access token of that generation
    is accepted here: it tells that the client received that pair. It must be quick and must not raise.
    """

    kind: ClassVar[str] = "gateway_jwt"
    fields = frozenset({b"authorization"})

    def __init__(
        self,
        name: str,
        *,
        keyring: Keyring,
        issuer: str,
        audience: str,
        revocations: Revocations,
        clock: Clock,
        seen: Callable[[str, int], None],
    ) -> None:
        self.name = name
        self._keyring = keyring
        self._keys = keyring.verifying
        self._issuer = issuer
        self._audience = audience
        self._revocations = revocations
        self._now = clock.now
        self._seen = seen
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._reported: OrderedDict[tuple[str, int], None] = OrderedDict()

    async def identify(self, head: RequestHead) -> Answer:
        """Say who sent this. Raise `StoreUnavailable` when nobody knows whether the token was revoked."""
        if self._keys is not self._keyring.verifying:
            self._keys = self._keyring.verifying
            self._verified.clear()
        values = head.fields.all(b"authorization")
        # The digest is of the whole field, which was found to be a good credential when it came first. It
        # saves work and decides nothing else: revocation goes by what the token says, not by its bytes.
        digest = sha256(values[0]).digest() if len(values) == 1 else b""
        verified = self._verified.get(digest)
        if verified is not None:
            self._verified.move_to_end(digest)
            return self._as_of_now(verified)
        token = read_bearer(head.fields)
        if not isinstance(token, str):
            return token
        try:
            verified = self._read(token)
        except TokenRefused as refused:
            return Rejected(str(refused), subject=refused.subject)
        answer = self._as_of_now(verified)
        if isinstance(answer, Principal):
            _put(self._verified, digest, verified)
            self._report(verified)
        return answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        """Say whether a token's session or account has changed since. Raise `StoreUnavailable` when nobody
        knows."""
        epoch = (principal.claims or {}).get("ep")
        return self._standing(principal, principal.session or "", epoch if isinstance(epoch, int) else 0)

    def challenge(self, *, rejected: bool) -> str:
        """Return the challenge of RFC 6750 section 3; without any credential it carries no error code."""
        return 'Bearer realm="gateway", error="invalid_token"' if rejected else 'Bearer realm="gateway"'

    def _as_of_now(self, verified: _Verified) -> Answer:
        if self._now() >= verified.ends:
            return Rejected("expired", subject=verified.principal.subject)
        return self._standing(verified.principal, verified.session, verified.epoch)

    def _standing(self, principal: Principal, session: str, epoch: int) -> Principal | Rejected:
        if self._revocations.session_revoked(session):
            return Rejected("the session has been ended", subject=principal.subject)
        if epoch < self._revocations.user_epoch(principal.id):
            return Rejected("the account has changed since", subject=principal.subject)
        # Only an answer that would let the request pass needs the feed to be fresh.
        self._revocations.check_fresh()
        return principal

    def _read(self, token: str) -> _Verified:
        claims = read_access_token(
            token, keys=self._keys, issuer=self._issuer, audience=self._audience, now=self._now()
        )
        return _Verified(
            principal=Principal(
                id=claims.subject,
                kind=PrincipalKind.USER,
                name=claims.name,
                authn=self.name,
                authn_kind=self.kind,
                roles=claims.roles,
                claims=claims.all,
                session=claims.session,
                expires_at=float(claims.expires),
                subject=claims.subject,
            ),
            session=claims.session,
            generation=claims.generation,
            epoch=claims.epoch,
            ends=claims.expires + LEEWAY_SECONDS,
        )

    def _report(self, verified: _Verified) -> None:
        generation = (verified.session, verified.generation)
        if generation not in self._reported:
            _put(self._reported, generation, None)
            self._seen(*generation)


def _put(cache: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    cache[key] = value
    if len(cache) > CACHED_TOKENS:
        cache.popitem(last=False)
