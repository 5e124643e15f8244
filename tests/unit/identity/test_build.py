import pytest
from support.issuer import Issuer
from unit.identity.outside import RULES, SHARED
from unit.identity.world import AUDIENCE, ISSUER, LONGEST, KeyTable, open_world

from gateway.crypto import Proofs
from gateway.identity import (
    KINDS,
    ApiKeyAuthenticator,
    AuthenticatorSpec,
    ExternalJwt,
    GatewayJwt,
    Issuers,
    KeyUses,
    Needs,
    build_authenticator,
)
from gateway.stores.memory import MemoryCounters

SPECS = {
    "gateway_jwt": AuthenticatorSpec(name="mine", kind="gateway_jwt"),
    "api_key": AuthenticatorSpec(name="mine", kind="api_key"),
    "jwt": AuthenticatorSpec(name="mine", kind="jwt", external=RULES),
    "mtls": AuthenticatorSpec(name="mine", kind="mtls", subject="san_uri"),
}


async def needs() -> Needs:
    world = await open_world()
    return Needs(
        keyring=world.keyring,
        issuer=ISSUER,
        audience=AUDIENCE,
        longest_access=LONGEST,
        proofs=Proofs(public_url=ISSUER, counters=MemoryCounters(world.clock), clock=world.clock),
        revocations=world.revocations,
        api_keys=KeyTable(),
        key_uses=KeyUses(KeyTable()),
        issuers=Issuers(Issuer(), world.clock),
        clock=world.clock,
        seen=lambda _session, _generation: None,
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_is_built_under_its_own_name(kind: str) -> None:
    built = build_authenticator(SPECS[kind], await needs())
    assert (built.name, built.kind) == ("mine", kind)
    assert (built.challenge(rejected=True) or "").isascii()


async def test_tokens_come_in_authorization_and_keys_in_the_field_that_is_named() -> None:
    token = build_authenticator(AuthenticatorSpec(name="gateway", kind="gateway_jwt"), await needs())
    key = build_authenticator(
        AuthenticatorSpec(name="keys", kind="api_key", header="x-service-key"), await needs()
    )
    bare = build_authenticator(AuthenticatorSpec(name="keys", kind="api_key"), await needs())
    assert isinstance(token, GatewayJwt)
    assert isinstance(key, ApiKeyAuthenticator)
    assert token.fields >= {b"authorization"}
    assert key.fields == {b"x-service-key"}
    assert bare.fields == {b"x-api-key"}


async def test_the_keys_of_an_issuer_are_followed_and_a_secret_is_not() -> None:
    around = await needs()
    external = build_authenticator(SPECS["jwt"], around)
    assert isinstance(external, ExternalJwt)
    assert list(around.issuers.keys) == ["mine"]
    shared = AuthenticatorSpec(name="shared", kind="jwt", external=SHARED)
    assert isinstance(build_authenticator(shared, around), ExternalJwt)
    assert list(around.issuers.keys) == ["mine"]


async def test_an_issuer_that_nobody_named_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="'corporate': nothing says whose tokens it takes"):
        build_authenticator(AuthenticatorSpec(name="corporate", kind="jwt"), await needs())


async def test_an_unknown_kind_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(
        ValueError, match="'odd': there is no kind 'odd', only api_key, gateway_jwt, jwt, mtls"
    ):
        build_authenticator(AuthenticatorSpec(name="odd", kind="odd"), await needs())
