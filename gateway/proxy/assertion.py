"""The signed statement of who is asking, which upstreams verify with the gateway's public keys."""

from collections.abc import Mapping
from typing import Protocol

from gateway.model import Permit
from gateway.ports import Clock

_TYPE = "gw-assertion+jwt"
_LIFETIME = 60
_FRESH = 20.0
_READ_WITHIN = 5
_MOST = 10_000

_Key = tuple[str, str | None, frozenset[str], frozenset[str], str, str]


class Sign(Protocol):
    """Signs claims with the active key and returns a compact JWS."""

    def __call__(self, claims: Mapping[str, object], *, typ: str) -> str:
        """Return the token; its header carries `typ`, `alg` and `kid`."""


class Assertions:
    """Makes assertions, and keeps each for 20 s: signing costs more than everything else on the way.

    An assertion lives for 60 s at most, so one from the cache has 40 s left; it outlives the credential that
    it is made from by no more than the 5 s in which it is read.
    """

    def __init__(self, *, issuer: str, sign: Sign, clock: Clock) -> None:
        self._issuer = issuer
        self._sign = sign
        self._clock = clock
        # Oldest first: an entry is only ever added at the end, and made anew by removing it first.
        self._kept: dict[_Key, tuple[float, bytes]] = {}

    def __repr__(self) -> str:
        return f"Assertions(issuer={self._issuer!r}, kept={len(self._kept)})"

    def forget(self) -> None:
        """Make all anew: the keys have changed, and one of them may have been revoked."""
        self._kept.clear()

    def about(self, permit: Permit, upstream: str) -> bytes | None:
        """Return the assertion of a permit for one upstream (`typ: gw-assertion+jwt`), None for nobody."""
        principal = permit.principal
        if principal.is_anonymous:
            return None
        scopes = permit.grant.scopes
        key = (principal.id, principal.session, principal.roles, scopes, principal.authn_kind, upstream)
        now = self._clock.now()
        kept = self._kept.get(key)
        if kept is not None and now < kept[0]:
            return kept[1]
        fresh_until = now + _FRESH
        if principal.expires_at is not None:
            fresh_until = min(fresh_until, principal.expires_at)
        token = self._sign(self._claims(permit, upstream, now), typ=_TYPE).encode("ascii")
        self._keep(key, fresh_until, token)
        return token

    def about_request(self, permit: Permit, upstream: str, *, url: str) -> bytes | None:
        """Return an assertion that is about this one request too, so that nobody can use it for another;
        None for nobody.

        It carries the claims `rid` (request id), `htm` (method) and `htu` (`url`: as the upstream gets it,
        without the query), the latter two as in RFC 9449 section 4.2.
        """
        if permit.principal.is_anonymous:
            return None
        head = permit.head
        claims = self._claims(permit, upstream, self._clock.now())
        claims |= {"rid": head.id, "htm": head.method, "htu": url}
        return self._sign(claims, typ=_TYPE).encode("ascii")

    def _claims(self, permit: Permit, upstream: str, now: float) -> dict[str, object]:
        principal = permit.principal
        issued = int(now)
        expires = issued + _LIFETIME
        if principal.expires_at is not None:
            # A credential is taken for some seconds after its end, for clocks differ: an assertion that has
            # ended already would have the upstream refuse what was permitted.
            expires = min(expires, max(int(principal.expires_at), issued + _READ_WITHIN))
        return {
            "iss": self._issuer,
            "aud": upstream,
            "iat": issued,
            "exp": expires,
            "sub": principal.id,
            "scope": " ".join(sorted(permit.grant.scopes)),
            "roles": sorted(principal.roles),
            "auth_kind": principal.authn_kind,
        }

    def _keep(self, key: _Key, fresh_until: float, token: bytes) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= _MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (fresh_until, token)
