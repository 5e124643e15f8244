"""From an authenticator as the policy names it to one that works. A new kind is one line in the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.crypto import Keyring
from gateway.identity.api_key import ApiKeyAuthenticator
from gateway.identity.base import Authenticator, AuthenticatorSpec
from gateway.identity.gateway_jwt import GatewayJwt
from gateway.ports import ApiKeyStore, Clock, Revocations

DEFAULT_KEY_HEADER = "x-api-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What authenticators need from outside."""

    keyring: Keyring
    issuer: str
    audience: str
    revocations: Revocations
    api_keys: ApiKeyStore
    clock: Clock
    seen: Callable[[str, int], None] = field(repr=False)
    """Told which generation of which session is in use; see `GatewayJwt`."""


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


def _gateway_jwt(spec: AuthenticatorSpec, needs: Needs) -> Authenticator:
    return GatewayJwt(
        spec.name,
        keyring=needs.keyring,
        issuer=needs.issuer,
        audience=needs.audience,
        revocations=needs.revocations,
        clock=needs.clock,
        seen=needs.seen,
    )


def _api_key(spec: AuthenticatorSpec, needs: Needs) -> Authenticator:
    return ApiKeyAuthenticator(
        spec.name,
        header=spec.header or DEFAULT_KEY_HEADER,
        store=needs.api_keys,
        revocations=needs.revocations,
        clock=needs.clock,
    )


KINDS: Mapping[str, Callable[[AuthenticatorSpec, Needs], Authenticator]] = {
    GatewayJwt.kind: _gateway_jwt,
    ApiKeyAuthenticator.kind: _api_key,
}
"""Every kind there is."""
