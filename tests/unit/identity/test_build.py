import pytest
from unit.identity.world import AUDIENCE, ISSUER, KeyTable, open_world

from gateway.identity import (
    KINDS,
    ApiKeyAuthenticator,
    AuthenticatorSpec,
    GatewayJwt,
    Needs,
    build_authenticator,
)


async def needs() -> Needs:
    world = await open_world()
    return Needs(
        keyring=world.keyring,
        issuer=ISSUER,
        audience=AUDIENCE,
        revocations=world.revocations,
        api_keys=KeyTable(),
        clock=world.clock,
        seen=lambda _session, _generation: None,
    )


def test_the_kinds_are_these() -> None:
    assert sorted(KINDS) == ["api_key", "gateway_jwt"]


async def test_every_kind_is_built_under_its_own_name() -> None:
    for kind in KINDS:
        built = build_authenticator(AuthenticatorSpec(name="mine", kind=kind), await needs())
        assert (built.name, built.kind) == ("mine", kind)
        assert built.fields
        assert (built.challenge(rejected=True) or "").isascii()


async def test_tokens_come_in_authorization_and_keys_in_the_field_that_is_named() -> None:
    token = build_authenticator(AuthenticatorSpec(name="gateway", kind="gateway_jwt"), await needs())
    key = build_authenticator(
        AuthenticatorSpec(name="keys", kind="api_key", header="x-service-key"), await needs()
    )
    bare = build_authenticator(AuthenticatorSpec(name="keys", kind="api_key"), await needs())
    assert isinstance(token, GatewayJwt)
    assert isinstance(key, ApiKeyAuthenticator)
    assert token.fields == {b"authorization"}
    assert key.fields == {b"x-service-key"}
    assert bare.fields == {b"x-api-key"}


async def test_an_unknown_kind_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(ValueError, match="'corporate': there is no kind 'jwt', only api_key, gateway_jwt"):
        build_authenticator(AuthenticatorSpec(name="corporate", kind="jwt"), await needs())
