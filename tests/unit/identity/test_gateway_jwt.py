import base64
from dataclasses import replace

import pytest
from unit.crypto.rows import START
from unit.identity.world import bearer, claims_of, head_with, open_world

from gateway.crypto import MasterSecret, Sealer, SigningKey, encode_base64url
from gateway.identity import ABSENT, Answer, Rejected
from gateway.identity.gateway_jwt import CACHED_TOKENS
from gateway.model import Principal, PrincipalKind
from gateway.ports import StoreUnavailable

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def why(answer: Answer) -> str:
    assert isinstance(answer, Rejected)
    return answer.diagnosis


async def test_a_good_token_says_who_is_asking() -> None:
    world = await open_world()
    principal = await world.authenticator.identify(bearer(world.token()))
    assert isinstance(principal, Principal)
    assert (principal.id, principal.kind, principal.name) == ("usr_1", PrincipalKind.USER, "anna")
    assert (principal.authn, principal.authn_kind) == ("gateway", "gateway_jwt")
    assert principal.roles == {"customer", "support"}
    assert principal.scope_limit is None
    assert principal.claims == claims_of()
    assert principal.session == "ses_1"
    assert principal.expires_at == START + 600


async def test_without_a_bearer_token_it_is_not_asked() -> None:
    world = await open_world()
    assert await world.authenticator.identify(head_with()) is ABSENT
    assert await world.authenticator.identify(head_with((b"authorization", b"Basic eA=="))) is ABSENT
    assert await world.authenticator.identify(head_with((b"x-api-key", b"abc"))) is ABSENT


async def test_a_repeated_field_is_malformed_even_when_the_token_is_known() -> None:
    world = await open_world()
    value = b"Bearer " + world.token().encode()
    assert isinstance(await world.authenticator.identify(head_with((b"authorization", value))), Principal)
    answer = await world.authenticator.identify(
        head_with((b"authorization", value), (b"Authorization", value))
    )
    assert isinstance(answer, Rejected)
    assert answer.malformed


async def test_a_bad_token_is_rejected_without_being_quoted() -> None:
    world = await open_world()
    token = world.token(aud="orders")
    answer = await world.authenticator.identify(bearer(token))
    assert why(answer) == "aud is not this gateway"
    assert token not in repr(answer)


async def test_a_known_token_still_expires() -> None:
    world = await open_world()
    head = bearer(world.token())
    world.clock.time = START + 604.9
    assert isinstance(await world.authenticator.identify(head), Principal)
    world.clock.time = START + 605
    assert why(await world.authenticator.identify(head)) == "expired"


@pytest.mark.parametrize("known", [False, True])
async def test_whose_a_token_was_is_known_when_the_gateway_has_signed_it(known: bool) -> None:
    world = await open_world()
    token = world.token()
    if known:
        assert isinstance(await world.authenticator.identify(bearer(token)), Principal)
    world.revocations.sessions.add("ses_1")
    ended = await world.authenticator.identify(bearer(token))
    world.clock.time = START + 605
    expired = await world.authenticator.identify(bearer(token))
    for answer in (ended, expired):
        assert isinstance(answer, Rejected)
        assert answer.subject == "usr_1"
    forged = await world.authenticator.identify(bearer(token[:-8] + "AAAAAAAA"))
    assert isinstance(forged, Rejected)
    assert forged.subject is None


@pytest.mark.parametrize("known", [False, True])
async def test_an_ended_session_ends_its_tokens(known: bool) -> None:
    world = await open_world()
    head = bearer(world.token())
    if known:
        assert isinstance(await world.authenticator.identify(head), Principal)
    world.revocations.sessions.add("ses_1")
    assert why(await world.authenticator.identify(head)) == "the session has been ended"


@pytest.mark.parametrize("known", [False, True])
async def test_a_changed_account_ends_tokens_of_an_older_epoch(known: bool) -> None:
    world = await open_world()
    head = bearer(world.token(ep=3))
    if known:
        assert isinstance(await world.authenticator.identify(head), Principal)
    world.revocations.epochs["usr_1"] = 3
    assert isinstance(await world.authenticator.identify(head), Principal)
    world.revocations.epochs["usr_1"] = 4
    assert why(await world.authenticator.identify(head)) == "the account has changed since"
    assert isinstance(await world.authenticator.identify(bearer(world.token(ep=4))), Principal)


@pytest.mark.parametrize("known", [False, True])
async def test_nothing_passes_while_revocations_are_unknown(known: bool) -> None:
    world = await open_world()
    head = bearer(world.token())
    if known:
        assert isinstance(await world.authenticator.identify(head), Principal)
    world.revocations.fresh = False
    with pytest.raises(StoreUnavailable):
        await world.authenticator.identify(head)


async def test_a_bad_token_is_rejected_even_while_revocations_are_unknown() -> None:
    world = await open_world()
    world.revocations.fresh = False
    assert isinstance(await world.authenticator.identify(bearer("a.b.c")), Rejected)


async def test_the_signature_of_a_known_token_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await open_world()
    head = bearer(world.token())
    first = await world.authenticator.identify(head)
    monkeypatch.setattr("gateway.identity.access_token.is_signed_by", None)
    assert await world.authenticator.identify(head) is first


async def test_a_rejected_token_is_not_remembered_as_good() -> None:
    world = await open_world()
    head = bearer(world.token(iat=int(START) + 60))
    assert why(await world.authenticator.identify(head)) == "iat is in the future"
    world.clock.time = START + 60
    assert isinstance(await world.authenticator.identify(head), Principal)


async def test_one_changed_byte_is_another_token() -> None:
    world = await open_world()
    token = world.token()
    assert isinstance(await world.authenticator.identify(bearer(token)), Principal)
    flipped = token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]
    assert why(await world.authenticator.identify(bearer(flipped))) == "the signature is wrong"


async def test_known_tokens_are_forgotten_when_the_keys_change() -> None:
    world = await open_world()
    head = bearer(world.token())
    assert isinstance(await world.authenticator.identify(head), Principal)
    sealer = Sealer(MasterSecret(b"s" * 32))
    world.rows.rows = [SigningKey.generate(created_at=START).to_stored(sealer)]
    await world.keyring.reload()
    assert why(await world.authenticator.identify(head)) == "kid names no key of this gateway"
    assert isinstance(await world.authenticator.identify(bearer(world.token())), Principal)


async def test_tokens_of_a_retired_key_stay_good() -> None:
    world = await open_world()
    head = bearer(world.token())
    sealer = Sealer(MasterSecret(b"s" * 32))
    new = SigningKey.generate(created_at=START).to_stored(sealer)
    world.rows.rows = [new, replace(world.rows.rows[0], state="retired")]
    await world.keyring.reload()
    assert isinstance(await world.authenticator.identify(head), Principal)


async def test_every_spelling_of_a_token_dies_with_its_session() -> None:
    world = await open_world()
    token = world.token()
    body, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    mirrored = raw[:32] + (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    heads = [
        bearer(token),
        bearer(f"{body}.{encode_base64url(mirrored)}"),
        head_with((b"authorization", b"bEARER " + token.encode())),
    ]
    for head in heads:
        assert isinstance(await world.authenticator.identify(head), Principal)
    world.revocations.sessions.add("ses_1")
    for head in heads:
        assert isinstance(await world.authenticator.identify(head), Rejected)


async def test_a_generation_in_use_is_reported_once() -> None:
    world = await open_world()
    for changes in ({}, {}, {"jti": "jti_2"}, {"rg": 1}, {"rg": 1}, {"sid": "ses_2"}):
        assert isinstance(await world.authenticator.identify(bearer(world.token(**changes))), Principal)
    assert world.seen == [("ses_1", 0), ("ses_1", 1), ("ses_2", 0)]


async def test_a_token_that_is_not_accepted_confirms_nothing() -> None:
    world = await open_world()
    world.revocations.sessions.add("ses_1")
    await world.authenticator.identify(bearer(world.token()))
    await world.authenticator.identify(bearer(world.token(aud="orders", sid="ses_2")))
    world.revocations.fresh = False
    with pytest.raises(StoreUnavailable):
        await world.authenticator.identify(bearer(world.token(sid="ses_3")))
    assert world.seen == []
    world.revocations.fresh = True
    await world.authenticator.identify(bearer(world.token(sid="ses_3")))
    assert world.seen == [("ses_3", 0)]


async def test_the_oldest_tokens_are_forgotten_first_and_used_ones_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.identity.gateway_jwt.CACHED_TOKENS", 3)
    world = await open_world()
    heads = [bearer(world.token(jti=f"jti_{number}")) for number in range(4)]
    for head in (*heads[:3], heads[0], heads[3]):
        assert isinstance(await world.authenticator.identify(head), Principal)
    assert len(world.authenticator._verified) == 3
    monkeypatch.setattr("gateway.identity.access_token.is_signed_by", lambda *_: False)
    answers = [await world.authenticator.identify(head) for head in heads]
    assert [isinstance(answer, Principal) for answer in answers] == [True, False, True, True]
    assert CACHED_TOKENS == 10_000


async def test_the_token_itself_is_not_kept() -> None:
    world = await open_world()
    token = world.token()
    await world.authenticator.identify(bearer(token))
    kept = repr(vars(world.authenticator)) + repr(list(world.authenticator._verified.items()))
    assert token not in kept
    assert token.rpartition(".")[2] not in kept


async def test_the_name_in_the_policy_is_the_one_that_vouches() -> None:
    world = await open_world()
    principal = await world.another("staff").identify(bearer(world.token()))
    assert isinstance(principal, Principal)
    assert principal.authn == "staff"


async def test_the_challenge_names_an_error_only_after_a_bad_token() -> None:
    world = await open_world()
    assert world.authenticator.challenge(rejected=False) == 'Bearer realm="gateway"'
    assert world.authenticator.challenge(rejected=True) == 'Bearer realm="gateway", error="invalid_token"'
    assert world.authenticator.fields == {b"authorization"}


async def test_who_was_identified_is_reconsidered_by_what_has_been_revoked_since() -> None:
    world = await open_world()
    principal = await world.authenticator.identify(bearer(world.token(ep=3)))
    assert isinstance(principal, Principal)
    # Whether it has expired is not asked here.
    world.clock.time = START + 10_000
    world.revocations.epochs["usr_1"] = 3
    assert await world.authenticator.reconsider(principal) is principal
    world.revocations.epochs["usr_1"] = 4
    assert why(await world.authenticator.reconsider(principal)) == "the account has changed since"
    world.revocations.epochs.clear()
    world.revocations.sessions.add("ses_1")
    assert why(await world.authenticator.reconsider(principal)) == "the session has been ended"


async def test_nobody_is_reconsidered_while_revocations_are_unknown() -> None:
    world = await open_world()
    principal = await world.authenticator.identify(bearer(world.token()))
    assert isinstance(principal, Principal)
    world.revocations.fresh = False
    with pytest.raises(StoreUnavailable):
        await world.authenticator.reconsider(principal)
