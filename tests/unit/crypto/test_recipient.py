"""Encrypting for the owner of a public key, and which keys will do."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, OKPKey

from gateway.crypto import (
    JwkRefused,
    RecipientKey,
    decode_base64url,
    encode_base64url,
    read_recipient,
    read_symmetric_jwk,
)
from gateway.crypto.recipient import concat_kdf

ALGORITHMS = ["ECDH-ES", "A256GCM"]
PAIRS: Mapping[str, ECKey | OKPKey] = {
    "P-256": ECKey.generate_key("P-256"),
    "P-384": ECKey.generate_key("P-384"),
    "P-521": ECKey.generate_key("P-521"),
    "X25519": OKPKey.generate_key("X25519"),
}
EC, OKP = (
    {name: str(value) for name, value in PAIRS[curve].as_dict(private=False).items()}
    for curve in ("P-256", "X25519")
)
WITHOUT_KID = {name: value for name, value in EC.items() if name != "kid"}
SECRET = {"kty": "oct", "k": encode_base64url(bytes(range(32)))}


def header_of(message: bytes) -> Any:
    return json.loads(decode_base64url(message.partition(b".")[0]))


def test_the_key_that_is_derived_is_that_of_the_standard() -> None:
    # RFC 7518 appendix C.
    alice = {
        "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
        "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
        "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
    }
    bob = {
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    }
    numbers = {name: int.from_bytes(decode_base64url(value.encode()), "big") for name, value in alice.items()}
    private = ec.derive_private_key(numbers["d"], ec.SECP256R1())
    assert private.public_key().public_numbers().x == numbers["x"]
    recipient = read_recipient({"kty": "EC", "crv": "P-256", **bob})
    assert isinstance(recipient._public, ec.EllipticCurvePublicKey)
    shared = private.exchange(ec.ECDH(), recipient._public)
    derived = concat_kdf(shared, algorithm="A128GCM", size=16, party_u=b"Alice", party_v=b"Bob")
    assert encode_base64url(derived) == "VqqN6vgjbSBcIijNcacQGg"


@pytest.mark.parametrize("curve", PAIRS)
def test_what_is_encrypted_for_a_key_is_opened_with_its_private_half(curve: str) -> None:
    pair = PAIRS[curve]
    recipient = read_recipient({**pair.as_dict(private=False), "kid": "phone-1"})
    message = recipient.seal_jwe(b'{"total": 17}', content_type="application/json")
    opened = jwe.decrypt_compact(message, pair, algorithms=ALGORITHMS)
    assert opened.plaintext == b'{"total": 17}'
    header = header_of(message)
    assert list(header) == ["alg", "enc", "epk", "kid", "cty"]
    assert (header["alg"], header["enc"]) == ("ECDH-ES", "A256GCM")
    assert (header["kid"], header["cty"]) == ("phone-1", "application/json")
    assert header["epk"]["crv"] == curve


@given(st.binary(max_size=200))
def test_any_value_arrives_as_it_was(plaintext: bytes) -> None:
    message = read_recipient(EC).seal_jwe(plaintext)
    assert jwe.decrypt_compact(message, PAIRS["P-256"], algorithms=ALGORITHMS).plaintext == plaintext


def test_coordinates_have_their_full_length() -> None:
    """One coordinate in 256 begins with a zero byte, and one in two of P-521 with seven zero bits."""
    for curve, size in (("P-256", 32), ("P-521", 66)):
        recipient = read_recipient(PAIRS[curve].as_dict(private=False))
        for _ in range(100):
            epk = header_of(recipient.seal_jwe(b""))["epk"]
            assert [len(decode_base64url(epk[name].encode())) for name in "xy"] == [size, size]


def test_every_message_has_a_key_pair_of_its_own() -> None:
    recipient = read_recipient(EC)
    points = {header_of(recipient.seal_jwe(b"x"))["epk"]["x"] for _ in range(10)}
    assert len(points) == 10


def test_a_name_and_a_content_type_are_in_a_message_only_when_there_are_any() -> None:
    recipient = read_recipient(WITHOUT_KID)
    assert recipient.kid is None
    assert list(header_of(recipient.seal_jwe(b""))) == ["alg", "enc", "epk"]
    assert list(header_of(recipient.seal_jwe(b"", content_type="text/pläin"))) == ["alg", "enc", "epk"]


def test_of_a_key_only_what_makes_it_what_it_is_is_kept() -> None:
    more = {"use": "enc", "alg": "ECDH-ES", "key_ops": [], "ext": True, "x5t": "AAAA", "kid": "k"}
    assert read_recipient({**WITHOUT_KID, **more}).members == {**WITHOUT_KID, "kid": "k"}
    assert read_recipient(WITHOUT_KID).members == WITHOUT_KID
    again: RecipientKey = read_recipient(dict(read_recipient(OKP).members))
    assert again.members == read_recipient(OKP).members
    assert "_public" not in repr(again)


@pytest.mark.parametrize("operations", [[], ["deriveKey"], ["deriveBits", "deriveKey"]])
def test_operations_of_agreement_are_what_a_key_is_for(operations: list[str]) -> None:
    assert read_recipient({**EC, "key_ops": operations}).kid == EC.get("kid")


RSA = {"kty": "RSA", "n": "AQAB" * 90, "e": "AQAB"}
ZERO = encode_base64url(bytes(32))
REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "private": (dict(PAIRS["P-256"].as_dict(private=True)), "private members"),
    "private OKP": (dict(PAIRS["X25519"].as_dict(private=True)), "private members"),
    "a secret": (SECRET, "no public half"),
    "RSA": (RSA, "use an EC key"),
    "no kty": ({}, "use an EC key"),
    "kty a list": ({**EC, "kty": ["EC"]}, "use an EC key"),
    "secp256k1": ({**EC, "crv": "secp256k1"}, "curve is not known"),
    "curve of another": ({**EC, "crv": "P-384"}, "not as long"),
    "curve a list": ({**EC, "crv": ["P-256"]}, "crv is missing or not text"),
    "curve missing": ({"kty": "EC", "x": EC["x"], "y": EC["y"]}, "crv is missing"),
    "Ed25519": ({**OKP, "crv": "Ed25519"}, "use an EC key"),
    "X448": ({**OKP, "crv": "X448"}, "use an EC key"),
    "off its curve": ({**EC, "y": EC["x"]}, "not on its curve"),
    "zero": ({**EC, "x": ZERO, "y": ZERO}, "not on its curve"),
    "too long": ({**EC, "x": EC["x"] * 1000}, "not"),
    "cut": ({**EC, "x": EC["x"][:-2]}, "not"),
    "padded": ({**EC, "x": EC["x"] + "="}, "not base64url"),
    "not base64url": ({**EC, "x": "+" + EC["x"][1:]}, "not base64url"),
    "beyond ASCII": ({**EC, "x": "é" + EC["x"][1:]}, "not base64url"),
    "y missing": ({"kty": "EC", "crv": "P-256", "x": EC["x"]}, "y is missing"),
    "x a number": ({**EC, "x": 7}, "x is missing or not text"),
    "X25519 too short": ({**OKP, "x": encode_base64url(bytes(31))}, "no X25519 key"),
    "X25519 zero": ({**OKP, "x": ZERO}, "no X25519 key"),
    "X25519 one": ({**OKP, "x": encode_base64url(b"\1" + bytes(31))}, "no X25519 key"),
    "X25519 without x": ({"kty": "OKP", "crv": "X25519"}, "x is missing"),
    "use sig": ({**EC, "use": "sig"}, "use is not enc"),
    "use a list": ({**EC, "use": ["enc"]}, "use is not enc"),
    "alg ES256": ({**EC, "alg": "ES256"}, "alg is not ECDH-ES"),
    "alg with key wrapping": ({**EC, "alg": "ECDH-ES+A256KW"}, "alg is not ECDH-ES"),
    "alg null": ({**EC, "alg": None}, "alg is not ECDH-ES"),
    "for verifying": ({**EC, "key_ops": ["verify"]}, "key_ops"),
    "for more than agreeing": ({**EC, "key_ops": ["deriveKey", "verify"]}, "key_ops"),
    "key_ops no list": ({**EC, "key_ops": "deriveKey"}, "key_ops"),
    "key_ops of lists": ({**EC, "key_ops": [["deriveKey"]]}, "key_ops"),
    "kid a number": ({**EC, "kid": 7}, "kid is not printable"),
    "kid empty": ({**EC, "kid": ""}, "kid is not printable"),
    "kid with a line break": ({**EC, "kid": "a\nb"}, "kid is not printable"),
    "kid half a character": ({**EC, "kid": "\ud800"}, "kid is not printable"),
    "kid too long": ({**EC, "kid": "k" * 257}, "kid is not printable"),
}


@pytest.mark.parametrize(("members", "says"), REFUSED.values(), ids=REFUSED)
def test_a_key_that_will_not_do_is_refused_and_nothing_of_it_is_said(
    members: dict[str, Any], says: str
) -> None:
    with pytest.raises(JwkRefused, match=says) as caught:
        read_recipient(members)
    for name in ("x", "y", "d", "k", "n"):
        value = members.get(name)
        assert not isinstance(value, str) or value not in str(caught.value)


def test_a_symmetric_key_is_its_32_bytes() -> None:
    assert read_symmetric_jwk(SECRET) == bytes(range(32))
    full = {**SECRET, "use": "enc", "alg": "A256GCM", "key_ops": ["decrypt", "encrypt"], "kid": "theirs"}
    assert read_symmetric_jwk(full) == bytes(range(32))
    assert read_symmetric_jwk({**SECRET, "alg": "dir"}) == bytes(range(32))
    assert read_symmetric_jwk(OctKey.import_key(bytes(range(32))).as_dict(private=True)) == bytes(range(32))


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "kty is not oct"),
        (EC, "kty is not oct"),
        ({"kty": "oct"}, "k is missing"),
        ({**SECRET, "k": 7}, "k is missing or not text"),
        ({**SECRET, "k": SECRET["k"] + "="}, "not base64url"),
        ({**SECRET, "k": SECRET["k"][:-1]}, "not"),
        ({**SECRET, "k": encode_base64url(bytes(16))}, "has 16 bytes"),
        ({**SECRET, "k": encode_base64url(bytes(64))}, "has 64 bytes"),
        ({**SECRET, "use": "sig"}, "use is not enc"),
        ({**SECRET, "alg": "HS256"}, "alg is neither"),
        ({**SECRET, "alg": "A256KW"}, "alg is neither"),
        ({**SECRET, "alg": ["dir"]}, "alg is neither"),
        ({**SECRET, "key_ops": ["encrypt"]}, "encrypting and decrypting"),
        ({**SECRET, "key_ops": ["wrapKey", "unwrapKey"]}, "encrypting and decrypting"),
        ({**SECRET, "key_ops": {"encrypt": 1, "decrypt": 1}}, "encrypting and decrypting"),
    ],
)
def test_a_symmetric_key_that_will_not_do_is_refused(members: dict[str, Any], says: str) -> None:
    with pytest.raises(JwkRefused, match=says) as caught:
        read_symmetric_jwk(members)
    assert str(members.get("k", "nothing")) not in str(caught.value)
