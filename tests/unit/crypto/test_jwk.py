import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.issuer import SECRET, IssuerKey, segment

from gateway.crypto import ALGORITHMS, HMAC_ALGORITHM, JwkRefused, read_jwk, secret_key

SIGNED = b"what was signed"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def signature_of(key: IssuerKey, algorithm: str | None = None) -> bytes:
    import jwt

    made: bytes = jwt.get_algorithm_by_name(algorithm or key.algorithm).sign(SIGNED, key.private)
    return made


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_verifies_what_another_library_signed(algorithm: str) -> None:
    pair = IssuerKey(algorithm)
    key = read_jwk(pair.jwk(), algorithms=[algorithm])
    signature = signature_of(pair)
    assert (key.kid, key.algorithm) == ("k1", algorithm)
    assert key.verifies(SIGNED, signature)
    assert not key.verifies(SIGNED + b".", signature)
    assert not key.verifies(SIGNED, bytes(len(signature)))
    assert not key.verifies(SIGNED, signature[:-1])
    assert not key.verifies(SIGNED, signature + b"\0")
    assert not key.verifies(SIGNED, b"")


def test_a_secret_verifies_what_was_signed_with_it() -> None:
    key = secret_key(SECRET)
    assert (key.kid, key.algorithm) == (None, HMAC_ALGORITHM)
    assert key.verifies(SIGNED, signature_of(IssuerKey("HS256")))
    assert not key.verifies(SIGNED, bytes(32))
    assert not key.verifies(SIGNED, b"")
    assert SECRET.decode() not in repr(key)


def test_a_secret_has_32_bytes_at_least() -> None:
    with pytest.raises(JwkRefused, match="at least 32 bytes, this one 31"):
        secret_key(SECRET[:31])


def test_the_thumbprint_is_that_of_the_standard() -> None:
    # RFC 7638 section 3.1.
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c"
        "7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF4"
        "4-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert read_jwk(jwk, algorithms=["RS256"]).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_key_is_for_the_algorithm_that_it_names_and_else_for_the_first_that_suits_it() -> None:
    rsa, ec = IssuerKey("RS256"), IssuerKey("ES384")
    wanted = ["PS256", "RS256", "ES384"]
    assert read_jwk(rsa.jwk(), algorithms=wanted).algorithm == "RS256"
    assert read_jwk(rsa.jwk(alg=None), algorithms=wanted).algorithm == "PS256"
    assert read_jwk(ec.jwk(alg=None), algorithms=wanted).algorithm == "ES384"
    # RFC 8725 section 3.1: one key, one algorithm.
    assert not read_jwk(rsa.jwk(alg=None), algorithms=wanted).verifies(SIGNED, signature_of(rsa, "RS256"))


def test_both_names_of_the_algorithm_of_edwards_are_one() -> None:
    pair = IssuerKey("EdDSA")
    key = read_jwk(pair.jwk(alg="Ed25519"), algorithms=["EdDSA"])
    assert key.algorithm == "EdDSA"
    assert key.verifies(SIGNED, signature_of(pair))


EC, RSA, OKP = IssuerKey("ES256"), IssuerKey("RS256"), IssuerKey("EdDSA")
SHORT = IssuerKey("RS256", size=1024)


@pytest.mark.parametrize(
    ("jwk", "why"),
    [
        ({}, "its kty is not known"),
        ({"kty": "oct", "alg": "HS256"}, "its kty is not known"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "private members"),
        ({"kty": ["EC"]}, "its kty is not known"),
        ({"kty": "AKP", "alg": "ML-DSA-44"}, "its kty is not known"),
        (EC.private_jwk(), "private members"),
        (RSA.private_jwk(), "private members"),
        (EC.jwk(use="enc"), "not for signatures"),
        (EC.jwk(key_ops=["sign"]), "not for verifying"),
        (EC.jwk(key_ops="verify"), "not for verifying"),
        (EC.jwk(kid=1), "its kid is not text"),
        (EC.jwk(alg="RS256"), "does not fit its kty"),
        (EC.jwk(alg="HS256"), "does not fit its kty"),
        (EC.jwk(alg="none"), "does not fit its kty"),
        (EC.jwk(alg=["ES256"]), "does not fit its kty"),
        (RSA.jwk(alg="ES256"), "does not fit its kty"),
        (RSA.jwk(alg="PS512"), "is not wanted"),
        (OKP.jwk(alg=None), "is not wanted"),
        (EC.jwk(crv="P-384"), "not as long as its curve"),
        (EC.jwk(crv="secp256k1"), "its curve is not known"),
        (EC.jwk(crv=None), "its crv is missing"),
        (EC.jwk(x=segment(bytes(32)).decode()), "not on its curve"),
        (EC.jwk(x="AA"), "not as long as its curve"),
        (EC.jwk(x=EC.jwk()["x"] + "="), "x is not base64url"),  # type: ignore[operator] # it is text
        (EC.jwk(y=5), "its y is missing"),
        (RSA.jwk(e=segment(b"\x01\0\0\0\0\x01").decode()), "exponent is too large"),
        (RSA.jwk(e="Ag"), "no RSA key"),
        (RSA.jwk(n="é"), "n is not base64url"),
        (SHORT.jwk(), "2048 to 8192 bits"),
        (RSA.jwk(n=segment(b"\xff" * 1025).decode()), "2048 to 8192 bits"),
        (OKP.jwk(crv="Ed448"), "its curve is not known"),
        (OKP.jwk(crv="X25519"), "its curve is not known"),
        (OKP.jwk(x="AA"), "no Ed25519 key"),
    ],
)
def test_a_key_that_is_not_wholly_understood_is_refused(jwk: dict[str, Any], why: str) -> None:
    with pytest.raises(JwkRefused, match=why):
        read_jwk(jwk, algorithms=["RS256", "ES256", "ES384"])


def test_the_mirrored_signature_is_valid_so_that_nothing_may_go_by_its_bytes() -> None:
    key = read_jwk(EC.jwk(), algorithms=["ES256"])
    signature = signature_of(EC)
    mirrored = signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    assert key.verifies(SIGNED, mirrored)


def test_a_signature_of_zeros_or_of_the_order_is_wrong() -> None:
    key = read_jwk(EC.jwk(), algorithms=["ES256"])
    order = ORDER.to_bytes(32, "big")
    for signature in (bytes(64), order + order, bytes(32) + order, b"\xff" * 64):
        assert not key.verifies(SIGNED, signature)


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.lists(st.text(max_size=3), max_size=2)
)


@given(
    st.sampled_from([EC.jwk(), RSA.jwk(), OKP.jwk()]),
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid"]),
        _VALUES,
        max_size=4,
    ),
)
def test_whatever_an_issuer_publishes_nothing_but_a_refusal_is_raised(
    sound: dict[str, object], changes: dict[str, object]
) -> None:
    with contextlib.suppress(JwkRefused):
        read_jwk({**sound, **changes}, algorithms=ALGORITHMS)
