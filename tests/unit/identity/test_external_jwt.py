import asyncio
import json
from dataclasses import replace

import pytest
from support.dpop import ProofKey
from support.issuer import AUDIENCE, ISSUER, SECRET, IssuerKey, segment
from unit.crypto.rows import START
from unit.identity.outside import RULES, SHARED, Outside
from unit.identity.world import bearer, head_with, open_world

from gateway.crypto import encode_base64url
from gateway.identity import ABSENT, FOREIGN, Answer, Rejected
from gateway.model import ClientCertificate, Principal, PrincipalKind
from gateway.ports import StoreUnavailable

RSA = IssuerKey("RS256", kid="r1")


def why(answer: Answer) -> str:
    assert isinstance(answer, Rejected), answer
    return answer.diagnosis


async def test_a_good_token_says_who_is_asking() -> None:
    outside = Outside()
    principal = await outside.authenticator.identify(
        bearer(outside.issuer.token(amr=["mfa"], auth_time=START))
    )
    assert isinstance(principal, Principal)
    assert (principal.id, principal.kind, principal.name) == (
        f"{ISSUER}|alice",
        PrincipalKind.EXTERNAL,
        "alice",
    )
    assert (principal.authn, principal.authn_kind) == ("corporate", "jwt")
    assert principal.roles == frozenset()
    assert principal.scope_limit is None
    assert (principal.claims or {})["groups"] == ["finance", "helpdesk"]
    assert principal.expires_at == START + 600
    assert principal.client_id == "web"
    assert principal.mfa_at == START
    assert principal.subject == principal.id
    assert principal.session is None


@pytest.mark.parametrize("key", [RSA, IssuerKey("ES256")], ids=["RS256", "ES256"])
async def test_every_agreed_algorithm_is_verified(key: IssuerKey) -> None:
    outside = Outside(key)
    assert isinstance(await outside.authenticator.identify(bearer(outside.issuer.token())), Principal)


async def test_a_shared_secret_verifies_tokens_without_any_key_being_published() -> None:
    outside = Outside(IssuerKey("HS256", kid=None), rules=SHARED)
    for typ in ("JWT", "at+jwt", None):
        head = bearer(outside.issuer.token(header={"typ": typ}))
        assert isinstance(await outside.authenticator.identify(head), Principal)
    assert outside.issuer.fetched == []


async def test_without_a_bearer_token_it_is_not_asked() -> None:
    outside = Outside()
    assert await outside.authenticator.identify(head_with()) is ABSENT
    assert await outside.authenticator.identify(head_with((b"authorization", b"Basic eA=="))) is ABSENT


async def test_a_repeated_field_is_malformed_even_when_the_token_is_known() -> None:
    outside = Outside()
    value = b"Bearer " + outside.issuer.token().encode()
    assert isinstance(await outside.authenticator.identify(head_with((b"authorization", value))), Principal)
    answer = await outside.authenticator.identify(
        head_with((b"authorization", value), (b"authorization", value))
    )
    assert isinstance(answer, Rejected)
    assert answer.malformed


@pytest.mark.parametrize(
    "issuer",
    [
        f"{ISSUER}/",
        ISSUER.upper(),
        "https://login.example.com.evil.example",
        f"{ISSUER}|alice",
        "",
        None,
        5,
        [ISSUER],
    ],
)
async def test_a_token_of_any_other_issuer_is_somebody_elses_and_no_key_is_asked_for(issuer: object) -> None:
    outside = Outside()
    assert await outside.authenticator.identify(bearer(outside.issuer.token(iss=issuer))) is FOREIGN
    assert outside.keys.asked == 0


async def test_a_token_of_the_gateway_and_one_from_outside_are_each_others_strangers() -> None:
    outside, world = Outside(), await open_world()
    ours, theirs = bearer(world.token()), bearer(outside.issuer.token())
    assert await outside.authenticator.identify(ours) is FOREIGN
    assert await world.authenticator.identify(theirs) is FOREIGN
    assert isinstance(await world.authenticator.identify(ours), Principal)
    assert isinstance(await outside.authenticator.identify(theirs), Principal)


def _none(outside: Outside) -> str:
    token = outside.issuer.keys[0].sign(outside.issuer.header(alg="none"), outside.issuer.claims())
    return token.rpartition(".")[0] + "."


def _public_key_as_secret(outside: Outside) -> str:
    """RS256 taken for HS256: the public key, which everybody knows, would be the secret."""
    import hashlib
    import hmac

    public = json.dumps(outside.issuer.keys[0].jwk()).encode()
    text = segment(json.dumps(outside.issuer.header(alg="HS256")).encode())
    text += b"." + segment(json.dumps(outside.issuer.claims()).encode())
    return (text + b"." + segment(hmac.digest(public, text, hashlib.sha256))).decode()


def _own_key_in_the_header(outside: Outside) -> str:
    mine = IssuerKey(kid="mine")
    header = outside.issuer.header(
        jwk=mine.jwk(), jku="https://evil.example/keys", x5u="https://evil.example/x"
    )
    return mine.sign(header, outside.issuer.claims())


def _own_key_by_the_right_name(outside: Outside) -> str:
    return IssuerKey(kid="k1").sign(outside.issuer.header(), outside.issuer.claims())


def _another_algorithm_of_the_key(outside: Outside) -> str:
    outside.issuer.keys.insert(0, RSA)
    return RSA.sign(outside.issuer.header(alg="PS256"), outside.issuer.claims(), algorithm="PS256")


def _odd_name(kid: str) -> object:
    return lambda outside: outside.issuer.token(header={"kid": kid})


def _nested(outside: Outside) -> str:
    return outside.issuer.keys[0].sign(
        b'{"alg":"ES256","kid":"k1","typ":' + b"[" * 50_000, outside.issuer.claims()
    )


def _claims_twice(outside: Outside) -> str:
    claims = json.dumps(outside.issuer.claims())[:-1] + ', "sub": "admin"}'
    return outside.issuer.keys[0].sign(outside.issuer.header(), claims.encode())


def _header_twice(outside: Outside) -> str:
    header = json.dumps(outside.issuer.header())[:-1] + ', "alg": "none"}'
    return outside.issuer.keys[0].sign(header.encode(), outside.issuer.claims())


@pytest.mark.parametrize(
    "forge",
    [
        _none,
        _public_key_as_secret,
        _own_key_in_the_header,
        _own_key_by_the_right_name,
        _another_algorithm_of_the_key,
        _odd_name("../../../../dev/null"),
        _odd_name("' OR 1=1 --"),
        _odd_name("k1\0"),
        _odd_name("K1"),
        _odd_name("https://evil.example/keys"),
        _odd_name(""),
        lambda outside: outside.issuer.token(header={"kid": 1}),
        lambda outside: outside.issuer.token(header={"crit": ["exp"]}),
        lambda outside: outside.issuer.token(header={"crit": ["b64"], "b64": False}),
        lambda outside: outside.issuer.token(header={"typ": "JWT"}),
        lambda outside: outside.issuer.token(header={"typ": None}),
        lambda outside: outside.issuer.token(header={"typ": "dpop+jwt"}),
        lambda outside: outside.issuer.token(header={"typ": "gw-assertion+jwt"}),
        lambda outside: outside.issuer.token(aud="web"),
        lambda outside: outside.issuer.token(aud=None),
        lambda outside: outside.issuer.token(aud=f"{AUDIENCE},billing-api"),
        lambda outside: outside.issuer.token(exp=None),
        lambda outside: outside.issuer.token(exp="9999999999"),
        lambda outside: outside.issuer.token(exp="٩٩٩٩٩٩٩٩٩٩"),
        lambda outside: outside.issuer.token(exp=10**400),
        lambda outside: outside.issuer.token(nbf=START + 600),
        lambda outside: outside.issuer.token(at_hash="x"),
        lambda outside: outside.issuer.token(x="y" * 20_000),
        lambda outside: outside.issuer.token() + "=",
        lambda outside: outside.issuer.token() + ".",
        lambda outside: outside.issuer.token()[:-2],
        lambda outside: "opaque-token",
        lambda outside: ".".join([*outside.issuer.token().split("."), "AA", "AA"]),
        _nested,
        _claims_twice,
        _header_twice,
    ],
)
async def test_what_attackers_have_tried_is_rejected(forge: object) -> None:
    outside = Outside()
    token = forge(outside)  # type: ignore[operator] # each of them makes a token
    answer = await outside.authenticator.identify(bearer(token))
    assert isinstance(answer, Rejected), answer
    assert not answer.malformed
    assert token not in repr(answer)


async def test_a_byte_beyond_ascii_is_no_token() -> None:
    outside = Outside()
    answer = await outside.authenticator.identify(bearer(outside.issuer.token().encode()[:-1] + b"\xe9"))
    assert isinstance(answer, Rejected)


async def test_a_known_token_still_expires() -> None:
    outside = Outside()
    head = bearer(outside.issuer.token())
    outside.clock.time = START + 629.9
    assert isinstance(await outside.authenticator.identify(head), Principal)
    outside.clock.time = START + 630
    answer = await outside.authenticator.identify(head)
    assert why(answer) == "expired"
    assert isinstance(answer, Rejected)
    assert answer.subject == f"{ISSUER}|alice"


async def test_the_signature_of_a_known_token_is_not_checked_again() -> None:
    outside = Outside()
    head = bearer(outside.issuer.token())
    first = await outside.authenticator.identify(head)
    assert await outside.authenticator.identify(head) is first
    assert outside.keys.asked == 1


async def test_known_tokens_are_forgotten_when_the_keys_change() -> None:
    outside = Outside()
    head = bearer(outside.issuer.token())
    principal = await outside.authenticator.identify(head)
    assert isinstance(principal, Principal)
    outside.issuer.keys[:] = [IssuerKey(kid="k2")]
    # Another process of the issuer's world notices in its own time; this one when the keys were fetched.
    assert await outside.authenticator.identify(head) is principal
    outside.keys.changes += 1
    assert why(await outside.authenticator.identify(head)) == "kid names no key of the issuer for this alg"
    assert why(await outside.authenticator.reconsider(principal)) == "the key that signed the token is gone"


async def test_what_goes_on_goes_on_while_the_key_is_published() -> None:
    outside = Outside()
    principal = await outside.authenticator.identify(bearer(outside.issuer.token()))
    assert isinstance(principal, Principal)
    outside.issuer.keys.insert(0, IssuerKey(kid="k2"))
    assert await outside.authenticator.reconsider(principal) is principal


async def test_a_rejected_token_is_not_remembered_as_good() -> None:
    outside = Outside()
    head = bearer(outside.issuer.token(nbf=START + 100))
    assert why(await outside.authenticator.identify(head)) == "nbf is in the future"
    outside.clock.time = START + 100
    assert isinstance(await outside.authenticator.identify(head), Principal)


async def test_while_no_keys_are_known_nobody_can_say_and_known_tokens_go_on() -> None:
    outside = Outside()
    known, other = bearer(outside.issuer.token()), bearer(outside.issuer.token())
    assert isinstance(await outside.authenticator.identify(known), Principal)
    outside.keys.away = True
    assert isinstance(await outside.authenticator.identify(known), Principal)
    with pytest.raises(StoreUnavailable):
        await outside.authenticator.identify(other)
    # What is no token of this issuer is refused without asking for keys.
    assert isinstance(await outside.authenticator.identify(bearer("a.b.c")), Rejected)


async def test_a_token_that_is_bound_to_a_key_needs_its_proof() -> None:
    outside, key = Outside(), ProofKey()
    token = outside.issuer.token(cnf={"jkt": key.thumbprint})

    def head(scheme: str, signer: ProofKey) -> object:
        proof = signer.proof("GET", "https://gateway.example/orders", token=token, at=START)
        return head_with((b"authorization", f"{scheme} {token}".encode()), (b"dpop", proof.encode()))

    for _ in range(2):
        assert isinstance(await outside.authenticator.identify(head("DPoP", key)), Principal)  # type: ignore[arg-type]
        answer = await outside.authenticator.identify(head("Bearer", key))  # type: ignore[arg-type]
        assert why(answer) == "the token is bound to a key, and came as Bearer"
        assert isinstance(await outside.authenticator.identify(head("DPoP", ProofKey())), Rejected)  # type: ignore[arg-type]
        assert isinstance(
            await outside.authenticator.identify(head_with((b"authorization", f"DPoP {token}".encode()))),
            Rejected,
        )
    assert outside.keys.asked == 2, "once for each scheme"


async def test_a_token_that_is_bound_to_nothing_is_refused_with_a_proof() -> None:
    outside, key = Outside(), ProofKey()
    token = outside.issuer.token()
    proof = key.proof("GET", "https://gateway.example/orders", token=token, at=START).encode()
    head = head_with((b"authorization", f"DPoP {token}".encode()), (b"dpop", proof))
    for _ in range(2):
        assert isinstance(await outside.authenticator.identify(head), Rejected)


async def test_a_token_that_is_bound_to_a_certificate_needs_it() -> None:
    outside = Outside()
    certificate = ClientCertificate(
        subject="CN=robot", issuer="CN=ca", serial="1", fingerprint="ab" * 32, not_after=START + 1000
    )
    token = outside.issuer.token(cnf={"x5t#S256": encode_base64url(bytes.fromhex("ab" * 32))})
    head = bearer(token)
    with_it = replace(head, certificate=certificate)
    other = replace(head, certificate=replace(certificate, fingerprint="cd" * 32))
    for _ in range(2):
        assert isinstance(await outside.authenticator.identify(with_it), Principal)
        assert isinstance(await outside.authenticator.identify(head), Rejected)
        assert isinstance(await outside.authenticator.identify(other), Rejected)


async def test_the_oldest_tokens_are_forgotten_first_and_used_ones_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.identity.token_memory.MOST_TOKENS", 3)
    outside = Outside()
    heads = [bearer(outside.issuer.token()) for _ in range(4)]
    for head in (*heads[:3], heads[0], heads[3]):
        assert isinstance(await outside.authenticator.identify(head), Principal)
    asked = outside.keys.asked
    assert asked == 4
    await outside.authenticator.identify(heads[0])
    assert outside.keys.asked == asked
    await outside.authenticator.identify(heads[1])
    assert outside.keys.asked == asked + 1


async def test_a_token_of_another_issuer_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = Outside()
    head = bearer(outside.issuer.token(iss="https://login.example.org"))
    assert await outside.authenticator.identify(head) is FOREIGN
    monkeypatch.setattr("gateway.identity.external_jwt.read_jws", None)
    assert await outside.authenticator.identify(head) is FOREIGN


async def test_many_at_once_are_each_judged_by_themselves() -> None:
    outside = Outside()
    good = [bearer(outside.issuer.token(sub=f"user-{number}")) for number in range(20)]
    bad = [bearer(outside.issuer.token(sub=f"user-{number}", aud="x")) for number in range(20)]
    answers = await asyncio.gather(*(outside.authenticator.identify(head) for head in (*good, *bad)))
    assert [answer.id for answer in answers[:20] if isinstance(answer, Principal)] == [
        f"{ISSUER}|user-{number}" for number in range(20)
    ]
    assert all(isinstance(answer, Rejected) for answer in answers[20:])


def test_the_secret_and_the_claims_are_in_no_text() -> None:
    assert SECRET.decode() not in repr(SHARED)
    assert "orders-api" in repr(RULES)
