"""Encrypted messages of the gateway, opened and written by the library that most JavaScript uses."""

import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import ECKey, OKPKey
from support.node import Node

from gateway.crypto import CryptoKey, encode_base64url, read_recipient
from gateway.crypto.crypto_key import KeyVersion
from gateway.crypto.message_counts import MessageCounts

MATERIAL = bytes(range(32))
OCTETS = {"kty": "oct", "k": encode_base64url(MATERIAL)}
HEADER = {"alg": "dir", "enc": "A256GCM", "kid": "reports:v1"}
TEXT = '{"total": 17, "name": "Zoë"}'


def key() -> CryptoKey:
    version = KeyVersion(number=1, cipher=AESGCM(MATERIAL), sealed=b"")
    return CryptoKey("reports", {1: version}, newest=1, min_decryption_version=1, counts=MessageCounts())


def test_what_the_gateway_encrypts_with_a_key_is_opened(node: Node) -> None:
    types = ["application/json", None]
    messages = [key().seal_jwe(TEXT.encode(), content_type=each).decode() for each in types]
    done = node(
        "jwe.mjs",
        given=json.dumps({"open": [{"jwe": each, "jwk": OCTETS} for each in messages], "seal": []}),
    )
    assert done["opened"] == [
        {"text": TEXT, "header": {**HEADER, "cty": "application/json"}},
        {"text": TEXT, "header": HEADER},
    ]


def test_what_the_gateway_encrypts_for_a_client_is_opened(node: Node) -> None:
    pairs: list[ECKey | OKPKey] = [
        *(ECKey.generate_key(curve) for curve in ("P-256", "P-384", "P-521")),
        OKPKey.generate_key("X25519"),
    ]
    asked = []
    for pair in pairs:
        recipient = read_recipient({**pair.as_dict(private=False), "kid": "client-1"})
        message = recipient.seal_jwe(TEXT.encode(), content_type="application/json").decode()
        asked.append({"jwe": message, "jwk": pair.as_dict(private=True)})
    done = node("jwe.mjs", given=json.dumps({"open": asked, "seal": []}))
    for opened, pair in zip(done["opened"], pairs, strict=True):
        header = opened["header"]
        assert opened["text"] == TEXT
        assert header.pop("epk")["crv"] == pair.as_dict(private=False)["crv"]
        assert header == {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "client-1", "cty": "application/json"}


def test_what_is_encrypted_for_the_gateway_is_opened(node: Node) -> None:
    headers = [HEADER, {**HEADER, "cty": "application/json"}, {"typ": "JOSE", **HEADER}]
    asked = [{"text": TEXT, "jwk": OCTETS, "header": header} for header in headers]
    done = node("jwe.mjs", given=json.dumps({"open": [], "seal": asked}))
    for message, header in zip(done["sealed"], headers, strict=True):
        opened = key().open(message.encode())
        assert opened.plaintext.decode() == TEXT
        assert (opened.version, opened.content_type) == (1, header.get("cty"))
