"""The hostile tokens of RFC 8725, and those that its readers learned about later."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from unit.crypto.rows import START
from unit.identity.world import AUDIENCE, ISSUER, LONGEST, claims_of, client_claims_of, signed

from gateway.crypto import SigningKey, encode_base64url
from gateway.identity.access_token import AccessClaims, TokenRefused, read_access_token

KEY = SigningKey.generate(created_at=START)
OTHER = SigningKey.generate(created_at=START)
HEADER = {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def read(token: str, now: float = START) -> AccessClaims:
    keys = {KEY.kid: KEY.public, OTHER.kid: OTHER.public}
    return read_access_token(token, keys=keys, issuer=ISSUER, audience=AUDIENCE, now=now, longest=LONGEST)


def refusal(token: str, now: float = START) -> str:
    with pytest.raises(TokenRefused) as caught:
        read(token, now)
    text = str(caught.value)
    assert all(part not in text for part in token.split(".") if len(part) > 3)
    return text


def good(**changes: object) -> str:
    return KEY.sign(claims_of(**changes), typ="at+jwt")


def of_a_client(**changes: object) -> str:
    return KEY.sign(client_claims_of(**changes), typ="at+jwt")


def test_a_good_token_says_everything() -> None:
    claims = read(good())
    assert claims.subject == "usr_1"
    assert claims.name == "anna"
    assert claims.session == "ses_1"
    assert (claims.generation, claims.epoch) == (0, 3)
    assert claims.roles == {"customer", "support"}
    assert claims.scope == {"orders:read"}
    assert (claims.client_id, claims.id, claims.kid) == ("gateway", "jti_1", KEY.kid)
    assert claims.mfa_at is None
    assert claims.expires == int(START) + 600
    assert claims.all == claims_of()


def test_when_a_second_factor_was_proved_is_read() -> None:
    assert read(good(amr=["otp", "pwd"], mfa_time=int(START) - 60)).mfa_at == START - 60


def test_a_good_token_of_a_client_has_no_session() -> None:
    claims = read(of_a_client())
    assert (claims.subject, claims.client_id, claims.name) == ("cli_1", "cli_1", "billing")
    assert (claims.session, claims.generation, claims.epoch, claims.mfa_at) == (None, 0, 3, None)


@pytest.mark.parametrize(
    "claim", [{"sid": "ses_1"}, {"rg": 0}, {"auth_time": 1}, {"amr": ["pwd"]}, {"mfa_time": 1}], ids=str
)
def test_a_client_has_no_claims_about_a_user(claim: dict[str, object]) -> None:
    assert refusal(of_a_client(**claim)) == "sub is a client, and there are claims about a user"


@pytest.mark.parametrize("client_id", ["gateway", "cli_2", "CLI_1"])
def test_a_client_acts_for_itself_alone(client_id: str) -> None:
    assert refusal(of_a_client(client_id=client_id)) == "sub is a client, and client_id another one"


@pytest.mark.parametrize("claim", ["client_id", "name", "jti", "ep", "roles", "scope"])
def test_a_token_of_a_client_needs_its_claims(claim: str) -> None:
    assert claim in refusal(of_a_client(**{claim: None}))


def test_what_it_says_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        read(good()).all["roles"] = ["admin"]  # type: ignore[index] # that it cannot is what is tested


def test_a_token_made_by_an_independent_library_is_read() -> None:
    token = jwt.encode(claims_of(), KEY.private, algorithm="ES256", headers={"kid": KEY.kid, "typ": "at+jwt"})
    assert read(token).subject == "usr_1"


def with_header(header: object) -> str:
    return signed(KEY, header, claims_of())


def unsigned(header: object, signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims_of()).encode(), signature)
    return ".".join(encode_base64url(part) for part in parts)


def hs256(secret: bytes) -> str:
    text = unsigned({**HEADER, "alg": "HS256"}).rpartition(".")[0]
    return f"{text}.{encode_base64url(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def public_forms() -> list[bytes]:
    return [
        KEY.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        KEY.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        KEY.public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        json.dumps(KEY.jwk()).encode(),
        b"",
    ]


@pytest.mark.parametrize(
    "alg",
    [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "RS256",
        "ES384",
        "es256",
        "ES256 ",
        None,
        1,
        True,
        ["ES256"],
        {},
    ],
)
@pytest.mark.parametrize("signature", [b"", b"\x01" * 64])
def test_no_algorithm_but_the_keys_own_is_taken(alg: object, signature: bytes) -> None:
    assert refusal(unsigned({**HEADER, "alg": alg}, signature)) == "alg is not ES256"
    assert refusal(with_header({**HEADER, "alg": alg})) == "alg is not ES256"


@pytest.mark.parametrize("secret", public_forms())
def test_the_public_key_is_no_shared_secret(secret: bytes) -> None:
    assert refusal(hs256(secret)) == "alg is not ES256"


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"zip": "DEF"},
        {"jwk": OTHER.jwk()},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"cty": "JWT"},
        {"enc": "A256GCM"},
    ],
    ids="+".join,
)
def test_no_other_member_is_taken_in_the_header(extra: dict[str, object]) -> None:
    assert refusal(with_header({**HEADER, **extra})) == "the header has other members than alg, kid and typ"


def test_a_key_inside_the_header_is_not_used() -> None:
    mallory = SigningKey.generate(created_at=START)
    assert refusal(signed(mallory, {**HEADER, "jwk": mallory.jwk(), "kid": mallory.kid}, claims_of()))
    assert refusal(signed(mallory, HEADER, claims_of())) == "the signature is wrong"


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "jwt",
        "gw-assertion+jwt",
        "AT+JWT",
        "application/at+jwt",
        "at+jwt ",
        "",
        None,
        1,
        ["at+jwt"],
        "id_token",
    ],
)
def test_a_token_of_another_type_is_refused(typ: object) -> None:
    assert refusal(with_header({**HEADER, "typ": typ})) == "typ is not at+jwt"


def test_an_assertion_for_an_upstream_is_no_access_token() -> None:
    assert refusal(KEY.sign(claims_of(), typ="gw-assertion+jwt")) == "typ is not at+jwt"


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "unknown",
        "../../etc/passwd",
        "' OR 1=1 --",
        "\x00",
        "\ud800",
        None,
        1,
        True,
        [],
        {},
        [KEY.kid],
        "A" * 5000,
    ],
)
def test_the_key_id_is_hostile_input(kid: object) -> None:
    assert "kid" in refusal(with_header({**HEADER, "kid": kid}))


@pytest.mark.parametrize("missing", ["alg", "kid", "typ"])
def test_every_member_of_the_header_is_needed(missing: str) -> None:
    assert refusal(with_header({name: value for name, value in HEADER.items() if name != missing}))


def test_the_key_that_is_named_must_have_signed() -> None:
    assert refusal(with_header({**HEADER, "kid": OTHER.kid})) == "the signature is wrong"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b'"ES256"',
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + json.dumps(HEADER).encode(),
        json.dumps(HEADER).encode("utf-16"),
        b'{"alg":"none",' + json.dumps(HEADER).encode()[1:],
        json.dumps(HEADER).encode()[:-1] + b',"alg":"ES256"}',
        b"[" * 3000,
        b'{"a":' * 1000,
        b'{"alg":' + b"9" * 5000 + b"}",
        b'{"alg":NaN}',
        json.dumps(HEADER).encode() + b"{}",
    ],
)
def test_a_broken_header_is_refused(header: bytes) -> None:
    assert refusal(signed(KEY, header, claims_of()))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b"{",
        b"\xff",
        b"[" * 3000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        json.dumps(claims_of(sub="usr_admin")).encode()[:-1] + b',"sub":"usr_1"}',
        json.dumps(claims_of()).encode()[:-1] + b',"exp":4102444800}',
        json.dumps(claims_of()).encode()[:-1] + b',"\\u0065xp":4102444800}',
        json.dumps(claims_of()).encode()[:-1] + b',"x":{"a":1,"a":2}}',
        json.dumps(claims_of()).encode()[:-1] + b',"x":Infinity}',
        json.dumps(claims_of()).encode()[:-1] + b',"x":' + b"9" * 4400 + b"}",
        json.dumps(claims_of()).encode() + b"x",
        json.dumps(claims_of()).encode("utf-16"),
    ],
)
def test_a_broken_payload_is_refused_though_it_is_signed(payload: bytes) -> None:
    assert refusal(signed(KEY, HEADER, payload))


@pytest.mark.parametrize(
    "iss",
    [
        None,
        "",
        ISSUER + "/",
        ISSUER.upper(),
        "http://gateway.example",
        " " + ISSUER,
        ISSUER + ".evil.example",
        [ISSUER],
        1,
        True,
    ],
)
def test_the_issuer_must_be_exactly_this_gateway(iss: object) -> None:
    assert refusal(good(iss=iss)) == "iss is not this gateway"


@pytest.mark.parametrize(
    "aud",
    [
        None,
        "",
        "Gateway",
        "gateway ",
        "gateway2",
        "orders",
        ["gateway"],
        ["orders", "gateway"],
        {"gateway": 1},
        1,
    ],
)
def test_the_audience_must_be_exactly_this_gateway(aud: object) -> None:
    assert refusal(good(aud=aud)) == "aud is not this gateway"


ODD_NUMBERS: list[object] = [
    None,
    "9999999999",
    "٩٩٩٩٩٩٩٩٩٩",
    9999999999.0,
    1e10,
    True,
    False,
    [],
    {},
    -1,
    2**53 + 1,
    "",
]


@pytest.mark.parametrize("value", ODD_NUMBERS)
@pytest.mark.parametrize("claim", ["exp", "iat", "rg", "ep", "auth_time"])
def test_numbers_must_be_whole_and_there(claim: str, value: object) -> None:
    assert claim in refusal(good(**{claim: value}))


@pytest.mark.parametrize("value", ODD_NUMBERS[1:])
def test_a_time_not_to_be_used_before_must_be_whole(value: object) -> None:
    assert "nbf" in refusal(good(nbf=value))


def test_null_is_not_absence() -> None:
    assert "nbf" in refusal(signed(KEY, HEADER, {**claims_of(), "nbf": None}))
    assert "scope" in refusal(signed(KEY, HEADER, {**claims_of(), "scope": None}))


def test_infinity_is_no_time() -> None:
    assert refusal(signed(KEY, HEADER, json.dumps({**claims_of(), "exp": float("inf")}).encode()))


def test_a_token_ends_five_seconds_after_its_expiry() -> None:
    token = good()
    assert read(token, START + 604.999).subject
    assert refusal(token, START + 605) == "expired"
    assert refusal(token, START + 10**9) == "expired"


def test_a_token_may_come_from_a_clock_five_seconds_ahead() -> None:
    assert read(good(iat=int(START) + 5, nbf=int(START) + 5)).subject
    assert refusal(good(iat=int(START) + 6)) == "iat is in the future"
    assert refusal(good(nbf=int(START) + 6)) == "not valid yet"


@pytest.mark.parametrize("value", [None, "", 1, True, [], {}, ["x"], "\ud800"])
@pytest.mark.parametrize("claim", ["sub", "client_id", "jti", "sid", "name"])
def test_names_must_be_strings_and_there(claim: str, value: object) -> None:
    assert refusal(signed(KEY, HEADER, claims_of(**{claim: value})))


@pytest.mark.parametrize("sub", ["key_1", "usr", "USR_1", " usr_1", " cli_1", "https://login.example|usr_1"])
def test_only_users_and_clients_have_tokens_of_this_kind(sub: str) -> None:
    assert refusal(good(sub=sub)) == "sub is neither a user nor a client"


def test_a_token_of_a_user_is_none_of_a_client() -> None:
    assert refusal(good(sub="cli_1")) == "sub is a client, and client_id another one"


def test_a_token_that_would_outlive_what_is_known_of_revocations_is_refused() -> None:
    assert read(good(exp=int(START + LONGEST))).subject
    assert (
        refusal(good(exp=int(START + LONGEST) + 1)) == "it lives for longer than revocations are remembered"
    )
    late = good(iat=int(START) - 7200, exp=int(START) + 1)
    assert refusal(late) == "it lives for longer than revocations are remembered"


@pytest.mark.parametrize(
    "roles", [None, "admin", "", {"admin": True}, 1, [1], [None], [["admin"]], ["customer", 1]]
)
def test_roles_must_be_a_list_of_strings(roles: object) -> None:
    assert "roles" in refusal(good(roles=roles))


def test_no_roles_are_roles_too() -> None:
    assert read(good(roles=[])).roles == frozenset()


@pytest.mark.parametrize("amr", [None, "pwd", [], [1], {"pwd": 1}, [["pwd"]]])
def test_how_a_user_proved_to_be_that_user_must_be_said(amr: object) -> None:
    assert "amr" in refusal(good(amr=amr))


@pytest.mark.parametrize("value", ODD_NUMBERS[1:])
def test_when_a_second_factor_was_proved_must_be_whole(value: object) -> None:
    assert "mfa_time" in refusal(good(mfa_time=value))


@pytest.mark.parametrize("scope", [None, ["orders:read"], 1, True, {}])
def test_scope_must_be_a_string(scope: object) -> None:
    assert refusal(good(scope=scope)) == "scope is missing or not a string"


@pytest.mark.parametrize("scope", [" ", " a", "a ", "a  b"])
def test_a_scope_is_never_the_empty_string(scope: str) -> None:
    assert refusal(good(scope=scope)) == "scope has more spaces than scopes need"


def test_scopes_are_whole_words() -> None:
    assert read(good(scope="")).scope == frozenset()
    assert read(good(scope="orders:read orders:readall")).scope == {"orders:read", "orders:readall"}


SPELLINGS: dict[str, Callable[[str], str]] = {
    "padding": lambda token: token + "=",
    "two paddings": lambda token: token + "==",
    "padded payload": lambda token: token.replace(".", "=.", 1),
    "unused bits of the signature": lambda token: token[:-1] + _next_in_alphabet(token[-1]),
    "trailing dot": lambda token: token + ".",
    "leading dot": lambda token: "." + token,
    "fourth part": lambda token: token + "." + token.rpartition(".")[2],
    "trailing line break": lambda token: token + "\n",
    "leading space": lambda token: " " + token,
    "cut": lambda token: token[:-1],
    "no signature": lambda token: token.rpartition(".")[0] + ".",
    "two parts": lambda token: token.rpartition(".")[0],
    "one part": lambda token: token.partition(".")[0],
    "standard alphabet": lambda token: token.rpartition(".")[0] + "." + "+/" * 43,
    "non-ASCII": lambda token: token + "é",
    "wide letter": lambda token: "\uff25" + token[1:],
    "surrogate": lambda token: token + "\ud800",
    "nothing": lambda _: "",
    "dots": lambda _: "..",
    "many dots": lambda _: "." * 8000,
    "JSON serialisation": lambda token: json.dumps(
        dict(zip(("protected", "payload", "signature"), token.split("."), strict=True))
    ),
}


def _next_in_alphabet(letter: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(letter) + 1]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_of_a_good_token_are_refused(spelling: str) -> None:
    token = good()
    assert read(token).subject
    assert refusal(SPELLINGS[spelling](token))


def test_a_signature_in_the_form_of_asn1_is_refused() -> None:
    signed_part = good().rpartition(".")[0]
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    der = KEY.private.sign(signed_part.encode(), ECDSA(SHA256()))
    assert refusal(f"{signed_part}.{encode_base64url(der)}") == "the signature is wrong"


def test_the_mirrored_signature_gives_the_same_claims() -> None:
    # ECDSA allows (r, n-s): another text for one token. So nothing may go by the text of a token.
    token = good()
    body, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    mirrored = raw[:32] + (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    assert read(f"{body}.{encode_base64url(mirrored)}") == read(token)


def test_a_token_of_more_than_16_kib_is_not_even_decoded() -> None:
    long = good(name="n" * 12_000)
    assert len(long) > 16_384
    assert refusal(long) == "the token is too long"


def test_somebody_who_may_do_everything_in_a_large_house_has_a_token_that_is_read() -> None:
    scopes = [f"department-{number}:write" for number in range(500)]
    assert read(good(scope=" ".join(scopes))).scope == frozenset(scopes)


def test_a_token_signed_by_a_key_that_is_gone_is_refused() -> None:
    with pytest.raises(TokenRefused, match="kid"):
        read_access_token(
            good(),
            keys={OTHER.kid: OTHER.public},
            issuer=ISSUER,
            audience=AUDIENCE,
            now=START,
            longest=LONGEST,
        )
