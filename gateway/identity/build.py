"""From an authenticator as the policy names it to one that works. A new kind is one line in the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.crypto import Keyring, Proofs, secret_key
from gateway.identity.api_key import ApiKeyAuthenticator
from gateway.identity.base import Authenticator, AuthenticatorSpec
from gateway.identity.external_jwt import ExternalJwt
from gateway.identity.gateway_jwt import GatewayJwt
from gateway.identity.issuer_keys import SecretKey
from gateway.identity.issuers import Issuers
from gateway.identity.key_uses import KeyUses
from gateway.identity.mtls import Mtls
from gateway.ports import ApiKeyStore, Clock, Revocations

DEFAULT_KEY_HEADER = "x-api-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What authenticators need from outside."""

    keyring: Keyring
    issuer: str
    audience: str
    longest_access: float
    """Seconds: no token of the gateway lives for longer, or revocations would be forgotten before it."""
    proofs: Proofs
    revocations: Revocations
    api_keys: ApiKeyStore
    key_uses: KeyUses
    issuers: Issuers
    clock: Clock
    seen: Callable[[str, int], None] = field(repr=False)
    """Told which generation of which session is in use; see `GatewayJwt`."""
    resource_metadata: str = ""
    """URL of the metadata that says whose tokens are taken (RFC 9728); empty: there is none."""


def build_authenticator(spec: AuthenticatorSpec, needs: Needs) -> Authenticator:
    """Return the authenticator. Raise `ValueError` for a kind that there is not.

    It remembers tokens and keys, so keep it for as long as the specification stays equal, across reloads too.
    """
    build = KINDS.get(spec.kind)
    if build is None:
        raise ValueError(
            f"authenticator {spec.name!r}: there is no kind {spec.kind!r}, only {', '.join(sorted(KINDS))}"
        )
    return build(spec, needs)


def own_tokens(name: str, needs: Needs) -> GatewayJwt:
    """Return what reads the gateway's own tokens, whether a policy names it or not."""
    tokens = GatewayJwt(
        name,
        keyring=needs.keyring,
        issuer=needs.issuer,
        audience=needs.audience,
        longest=needs.longest_access,
        revocations=needs.revocations,
        proofs=needs.proofs,
        clock=needs.clock,
        seen=needs.seen,
    )
    tokens.resource_metadata = needs.resource_metadata
    return tokens


def _gateway_jwt(spec: AuthenticatorSpec, needs: Needs) -> Authenticator:
    return own_tokens(spec.name, needs)


def _api_key(spec: AuthenticatorSpec, needs: Needs) -> Authenticator:
    return ApiKeyAuthenticator(
        spec.name,
        header=spec.header or DEFAULT_KEY_HEADER,
        store=needs.api_keys,
        uses=needs.key_uses,
        revocations=needs.revocations,
        clock=needs.clock,
    )


def _jwt(spec: AuthenticatorSpec, needs: Needs) -> Authenticator:
    rules = spec.external
    if rules is None:
        raise ValueError(f"authenticator {spec.name!r}: nothing says whose tokens it takes")
    keys = (
        needs.issuers.follow(spec.name, rules)
        if rules.secret is None
        else SecretKey(secret_key(rules.secret))
    )
    tokens = ExternalJwt(spec.name, rules=rules, keys=keys, proofs=needs.proofs, clock=needs.clock)
    tokens.resource_metadata = needs.resource_metadata
    return tokens


def _mtls(spec: AuthenticatorSpec, needs: Needs) -> Authenticator:
    if spec.subject is None:
        raise ValueError(
            f"authenticator {spec.name!r}: nothing says which part of a certificate names callers"
        )
    return Mtls(spec.name, subject=spec.subject, clock=needs.clock)


KINDS: Mapping[str, Callable[[AuthenticatorSpec, Needs], Authenticator]] = {
    GatewayJwt.kind: _gateway_jwt,
    ApiKeyAuthenticator.kind: _api_key,
    ExternalJwt.kind: _jwt,
    Mtls.kind: _mtls,
}
"""Every kind there is."""
