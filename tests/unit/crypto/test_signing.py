import base64
import hashlib
import json
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from gateway.crypto import MasterSecret, SealBroken, Sealer, SigningKey, decode_base64url, is_signed_by

SEALER = Sealer(MasterSecret(b"s" * 32))
KEY = SigningKey.generate(created_at=5.0)
CLAIMS = {"sub": "usr_1", "aud": "gateway", "roles": ["é"], "exp": 4_000_000_000}


def test_an_independent_library_verifies_a_signed_token() -> None:
    token = KEY.sign(CLAIMS, typ="at+jwt")
    assert jwt.decode(token, jwt.PyJWK(KEY.jwk()), algorithms=["ES256"], audience="gateway") == CLAIMS
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}


def test_every_signature_has_its_full_length() -> None:
    # About one `r` in 256 begins with a zero byte, which a careless encoding loses.
    for number in range(300):
        token = KEY.sign({"n": number}, typ="x")
        signed, _, signature = token.encode().rpartition(b".")
        assert len(signature) == 86
        assert is_signed_by(KEY.public, signed, decode_base64url(signature))


def test_tokens_of_another_type_say_so() -> None:
    first = KEY.sign(CLAIMS, typ="at+jwt")
    second = KEY.sign(CLAIMS, typ="gw-assertion+jwt")
    assert jwt.get_unverified_header(first)["typ"] == "at+jwt"
    assert jwt.get_unverified_header(second)["typ"] == "gw-assertion+jwt"


def test_claims_that_json_cannot_express_are_refused() -> None:
    with pytest.raises(TypeError):
        KEY.sign({"roles": frozenset({"a"})}, typ="at+jwt")


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_wrong(length: int) -> None:
    assert not is_signed_by(KEY.public, b"text", b"\x01" * length)


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(32) + b"\x01" * 32])
def test_signatures_out_of_range_are_wrong(signature: bytes) -> None:
    # All zeros passed in Java for years: CVE-2022-21449.
    assert not is_signed_by(KEY.public, b"text", signature)


def test_another_key_did_not_sign_it() -> None:
    signed, _, signature = KEY.sign(CLAIMS, typ="at+jwt").encode().rpartition(b".")
    other = SigningKey.generate(created_at=5.0)
    assert not is_signed_by(other.public, signed, decode_base64url(signature))
    assert not is_signed_by(KEY.public, signed + b"x", decode_base64url(signature))


def test_the_key_id_is_the_thumbprint_of_rfc_7638() -> None:
    jwk = KEY.jwk()
    text = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    expected = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    assert KEY.kid == jwk["kid"] == expected


def test_no_id_looks_like_an_option_of_a_command() -> None:
    assert not [kid for _ in range(300) if (kid := SigningKey.generate(created_at=0.0).kid)[0] == "-"]


def test_the_published_key_has_no_private_member() -> None:
    assert set(KEY.jwk()) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert (KEY.jwk()["use"], KEY.jwk()["alg"]) == ("sig", "ES256")


def test_a_stored_key_comes_back_and_its_private_half_is_sealed() -> None:
    stored = KEY.to_stored(SEALER, signs_from=7.0)
    assert b"PRIVATE" not in stored.sealed_private
    assert b"BEGIN PUBLIC KEY" in stored.public_pem
    assert load_pem_public_key(stored.public_pem) == KEY.public
    assert (stored.created_at, stored.signs_from, stored.kid) == (5.0, 7.0, KEY.kid)
    again = SigningKey.from_stored(stored, SEALER)
    assert again.jwk() == KEY.jwk()
    assert (
        jwt.decode(again.sign(CLAIMS, typ="x"), KEY.public, algorithms=["ES256"], audience="gateway")
        == CLAIMS
    )


def test_a_public_key_that_somebody_wrote_into_the_row_is_not_believed() -> None:
    theirs = SigningKey.generate(created_at=5.0).to_stored(SEALER, signs_from=7.0)
    row = replace(KEY.to_stored(SEALER, signs_from=7.0), public_pem=theirs.public_pem)
    assert SigningKey.from_stored(row, SEALER).public == KEY.public


def test_a_sealed_key_under_another_id_is_refused() -> None:
    other = SigningKey.generate(created_at=5.0)
    with pytest.raises(SealBroken, match=other.kid):
        SigningKey.from_stored(replace(KEY.to_stored(SEALER, signs_from=7.0), kid=other.kid), SEALER)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        generate_private_key(SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        SigningKey.generate(created_at=1.0).private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    ],
    ids=["empty", "noise", "another algorithm", "another curve", "another key"],
)
def test_a_sealed_value_that_is_not_this_key_is_refused(content: bytes) -> None:
    sealed = SEALER.seal(content, context=f"signing-key:{KEY.kid}")
    with pytest.raises(SealBroken):
        SigningKey.from_stored(replace(KEY.to_stored(SEALER, signs_from=7.0), sealed_private=sealed), SEALER)


def test_a_key_shows_no_secret() -> None:
    secret = KEY.private.private_numbers().private_value
    shown = repr(KEY) + repr(KEY.to_stored(SEALER, signs_from=7.0))
    assert str(secret) not in shown
    assert "PRIVATE" not in shown
    assert json.dumps(KEY.jwk())
