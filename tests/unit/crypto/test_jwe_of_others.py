"""Messages that other libraries write are opened here, and ours there."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe as joserfc
from joserfc.jwk import ECKey, OctKey
from jwcrypto import jwe as jwcrypto
from jwcrypto.jwk import JWK
from unit.crypto.messages import MATERIAL, key_of

from gateway.crypto import encode_base64url, read_recipient, read_symmetric_jwk

KEY = key_of(1, 2)
ALGORITHMS = ["dir", "ECDH-ES", "A256GCM"]
OCTETS = {"kty": "oct", "k": encode_base64url(MATERIAL[2])}
HEADERS: list[dict[str, Any]] = [
    {"alg": "dir", "enc": "A256GCM", "kid": "reports:v2"},
    {"alg": "dir", "enc": "A256GCM", "kid": "reports:v2", "cty": "text/plain; charset=utf-8"},
    {"kid": "reports:v2", "typ": "JOSE", "enc": "A256GCM", "alg": "dir"},
]
CURVES = ["P-256", "P-384", "P-521", "X25519"]


def written_by_joserfc(header: Mapping[str, Any], plaintext: bytes) -> bytes:
    key = OctKey.import_key(MATERIAL[2])
    return joserfc.encrypt_compact(dict(header), plaintext, key, algorithms=ALGORITHMS).encode()


def written_by_jwcrypto(header: Mapping[str, Any], plaintext: bytes) -> bytes:
    message = jwcrypto.JWE(plaintext, protected=json.dumps(header))
    message.add_recipient(JWK(**OCTETS))
    compact: str = message.serialize(compact=True)
    return compact.encode()


def read_by_jwcrypto(message: bytes, key: JWK) -> tuple[bytes, Any]:
    read = jwcrypto.JWE(algs=ALGORITHMS)
    read.deserialize(message.decode(), key)
    return read.payload, json.loads(read.objects["protected"])


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("write", [written_by_joserfc, written_by_jwcrypto])
def test_what_others_write_is_opened(write: Any, header: Mapping[str, Any]) -> None:
    opened = KEY.open(write(header, b'{"total": 17}'))
    assert opened.plaintext == b'{"total": 17}'
    assert (opened.version, opened.content_type) == (2, header.get("cty"))


# One of them opens an empty message, and takes its emptiness for a failure.
@given(st.binary(min_size=1, max_size=100), st.sampled_from(["application/json", None]))
def test_what_is_written_is_opened_by_others(plaintext: bytes, content_type: str | None) -> None:
    message = KEY.seal_jwe(plaintext, content_type=content_type)
    header = {"alg": "dir", "enc": "A256GCM", "kid": "reports:v2"}
    if content_type is not None:
        header["cty"] = content_type
    read = joserfc.decrypt_compact(message, OctKey.import_key(MATERIAL[2]), algorithms=ALGORITHMS)
    assert (read.plaintext, read.headers()) == (plaintext, header)
    assert read_by_jwcrypto(message, JWK(**OCTETS)) == (plaintext, header)


@pytest.mark.parametrize("curve", CURVES)
def test_what_is_written_for_a_client_is_opened_by_others(curve: str) -> None:
    kind = "OKP" if curve == "X25519" else "EC"
    pair = JWK.generate(kty=kind, crv=curve, kid="client-1")
    recipient = read_recipient(json.loads(pair.export_public()))
    message = recipient.seal_jwe(b"for you", content_type="text/plain")
    plaintext, header = read_by_jwcrypto(message, pair)
    assert plaintext == b"for you"
    assert (header["alg"], header["kid"], header["cty"]) == ("ECDH-ES", "client-1", "text/plain")


def test_keys_that_others_make_are_taken() -> None:
    made = json.loads(JWK.generate(kty="oct", size=256, use="enc").export())
    assert len(read_symmetric_jwk(made)) == 32
    public = ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES"}).as_dict(private=False)
    assert read_recipient(dict(public)).members["crv"] == "P-256"
