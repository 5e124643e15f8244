import asyncio
import base64
from dataclasses import replace

import pytest
from support.dpop import ProofKey
from unit.crypto.rows import START
from unit.identity.world import ISSUER, bearer, claims_of, client_claims_of, head_with, open_world

from gateway.crypto import MasterSecret, Sealer, SigningKey, encode_base64url
from gateway.identity import ABSENT, FOREIGN, Answer, Rejected
from gateway.model import Principal, PrincipalKind, RequestHead
from gateway.ports import Change, ChangeKind, StoreUnavailable

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
    assert principal.scope_limit == frozenset({"orders:read"})
    assert principal.claims == claims_of()
    assert principal.session == "ses_1"
    assert (principal.client_id, principal.subject) == ("gateway", "usr_1")
    assert principal.expires_at == START + 600


async def test_a_client_that_acts_for_itself_is_a_principal_without_a_session() -> None:
    world = await open_world()
    token = world.keyring.active.sign(client_claims_of(scope=""), typ="at+jwt")
    principal = await world.authenticator.identify(bearer(token))
    assert isinstance(principal, Principal)
    assert (principal.id, principal.kind, principal.name) == ("cli_1", PrincipalKind.CLIENT, "billing")
    assert (principal.session, principal.client_id, principal.subject) == (None, "cli_1", None)
    assert principal.scope_limit == frozenset()
    assert world.seen == []


@pytest.mark.parametrize("known", [False, True])
async def test_a_client_that_was_revoked_ends_its_tokens(known: bool) -> None:
    world = await open_world()
    head = bearer(world.keyring.active.sign(client_claims_of(), typ="at+jwt"))
    if known:
        assert isinstance(await world.authenticator.identify(head), Principal)
    world.revocations.epochs["cli_1"] = 4
    assert why(await world.authenticator.identify(head)) == "the account has changed since"


async def test_when_a_second_factor_was_proved_is_part_of_who_is_asking() -> None:
    world = await open_world()
    principal = await world.authenticator.identify(bearer(world.token(mfa_time=int(START) - 60)))
    assert isinstance(principal, Principal)
    assert principal.mfa_at == START - 60


@pytest.mark.parametrize("known", [False, True])
async def test_a_single_token_can_be_revoked(known: bool) -> None:
    world = await open_world()
    head = bearer(world.token())
    if known:
        assert isinstance(await world.authenticator.identify(head), Principal)
    world.revocations.tokens.add("jti_1")
    assert why(await world.authenticator.identify(head)) == "the token has been revoked"
    assert isinstance(await world.authenticator.identify(bearer(world.token(jti="jti_2"))), Principal)


async def test_what_somebody_shows_is_examined_without_being_used() -> None:
    world = await open_world()
    shown = world.authenticator.examine(world.token(cnf={"jkt": "A" * 43}))
    assert isinstance(shown, Principal)
    assert world.seen == []
    assert why(world.authenticator.examine("x")) == "no token of this gateway: it cannot be decoded"
    world.revocations.sessions.add("ses_1")
    assert why(world.authenticator.examine(world.token())) == "the session has been ended"


async def test_a_token_that_is_bound_to_something_unknown_is_refused() -> None:
    world = await open_world()
    odd: list[object] = [{}, {"jkt": 1}, {"jwk": {}}, "x"]
    for cnf in odd:
        answer = await world.authenticator.identify(bearer(world.token(cnf=cnf)))
        assert isinstance(answer, Rejected)
        assert answer.subject == "usr_1"


@pytest.mark.parametrize("scheme", [b"Bearer", b"DPoP"])
async def test_a_bound_token_is_no_good_without_a_proof(scheme: bytes) -> None:
    world = await open_world()
    token = world.token(cnf={"jkt": "A" * 43}).encode()
    head = head_with((b"Host", b"api.example.com"), (b"Authorization", scheme + b" " + token))
    assert isinstance(await world.authenticator.identify(head), Rejected)
    assert world.seen == []


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
    world.rows.rows = [SigningKey.generate(created_at=START).to_stored(sealer, signs_from=START)]
    await world.keyring.reload()
    assert why(await world.authenticator.identify(head)) == "kid names no key of this gateway"
    assert isinstance(await world.authenticator.identify(bearer(world.token())), Principal)


async def test_keys_that_change_while_a_proof_is_looked_into_leave_nothing_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, client = await open_world(), ProofKey()
    token = world.token(cnf={"jkt": client.thumbprint})
    going_on, may_go_on = asyncio.Event(), asyncio.Event()
    prove = world.authenticator._proofs.prove

    async def slow(head: RequestHead, *, token: str | None = None, key: str | None = None) -> str | None:
        going_on.set()
        await may_go_on.wait()
        return await prove(head, token=token, key=key)

    def head() -> RequestHead:
        proof = client.proof("GET", "http://api.example.com/orders", token=token, at=START)
        return head_with((b"Authorization", f"DPoP {token}".encode()), (b"DPoP", proof.encode()))

    monkeypatch.setattr(world.authenticator._proofs, "prove", slow)
    first = asyncio.create_task(world.authenticator.identify(head()))
    await going_on.wait()
    sealer = Sealer(MasterSecret(b"s" * 32))
    world.rows.rows = [SigningKey.generate(created_at=START).to_stored(sealer, signs_from=START)]
    await world.keyring.reload()
    # Somebody else's request finds the new keys first.
    await world.authenticator.identify(bearer("x"))
    may_go_on.set()
    await first
    assert why(await world.authenticator.identify(head())) == "kid names no key of this gateway"


@pytest.mark.parametrize("issuer", [None, ISSUER])
async def test_a_token_of_another_issuer_is_read_once(
    issuer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world()
    head = bearer(world.token(iss=issuer or "https://login.example.com", aud="x"))
    first = await world.authenticator.identify(head)
    assert (first is FOREIGN) is (issuer is None)
    monkeypatch.setattr("gateway.identity.gateway_jwt.claimed_issuer", lambda _: None)
    assert (await world.authenticator.identify(head) is FOREIGN) is (issuer is None)


async def test_tokens_of_a_retired_key_stay_good() -> None:
    world = await open_world()
    head = bearer(world.token())
    sealer = Sealer(MasterSecret(b"s" * 32))
    new = SigningKey.generate(created_at=START).to_stored(sealer, signs_from=START)
    world.rows.rows = [new, replace(world.rows.rows[0], verifies_until=START + 100)]
    await world.keyring.reload()
    assert world.keyring.active.kid == new.kid
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
    monkeypatch.setattr("gateway.identity.token_memory.MOST_TOKENS", 3)
    world = await open_world()
    heads = [bearer(world.token(jti=f"jti_{number}")) for number in range(4)]
    for head in (*heads[:3], heads[0], heads[3]):
        assert isinstance(await world.authenticator.identify(head), Principal)
    monkeypatch.setattr("gateway.identity.access_token.is_signed_by", lambda *_: False)
    answers = [await world.authenticator.identify(head) for head in heads]
    assert [isinstance(answer, Principal) for answer in answers] == [True, False, True, True]


async def test_the_token_itself_is_not_kept() -> None:
    world = await open_world()
    token = world.token()
    await world.authenticator.identify(bearer(token))
    kept = repr(vars(world.authenticator)) + repr(vars(world.authenticator._known))
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
    assert world.authenticator.fields == {b"authorization", b"dpop"}


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


async def test_who_was_identified_is_reconsidered_by_the_token_and_the_key_that_signed_it() -> None:
    world = await open_world()
    principal = await world.authenticator.identify(bearer(world.token()))
    assert isinstance(principal, Principal)
    world.revocations.tokens.add("jti_1")
    assert why(await world.authenticator.reconsider(principal)) == "the token has been revoked"
    world.revocations.tokens.clear()
    kid = world.keyring.active.kid
    sealer = Sealer(MasterSecret(b"s" * 32))
    world.rows.rows = [SigningKey.generate(created_at=START).to_stored(sealer, signs_from=START)]
    await world.keyring.reload()
    # A key whose time is over takes nothing with it that goes on.
    assert await world.authenticator.reconsider(principal) is principal
    world.keyring.notice(Change(1, ChangeKind.SIGNING_KEYS, kid, 0, START))
    answer = await world.authenticator.reconsider(principal)
    assert why(answer) == "the key that signed the token has been revoked"


async def test_nobody_is_reconsidered_while_revocations_are_unknown() -> None:
    world = await open_world()
    principal = await world.authenticator.identify(bearer(world.token()))
    assert isinstance(principal, Principal)
    world.revocations.fresh = False
    with pytest.raises(StoreUnavailable):
        await world.authenticator.reconsider(principal)
