"""The master secret, sealing with it, the keys that sign tokens, and the chain through audit records."""

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.certificate import (
    CertificateUnusable,
    check_server_certificate,
    read_client_certificate,
)
from gateway.crypto.chain import HEAD_BYTES, beginning, link
from gateway.crypto.dpop import PROOF_ALGORITHMS, ProofRefused, Proofs
from gateway.crypto.jwk import (
    ALGORITHMS,
    HMAC_ALGORITHM,
    LEAST_SECRET,
    JwkRefused,
    VerifyingKey,
    read_jwk,
    secret_key,
)
from gateway.crypto.jws import Jws, JwsMalformed, read_json_object, read_jws
from gateway.crypto.keyring import Keyring, KeyringUnusable
from gateway.crypto.note import NoteBroken, NoteKey, NoteSigner, open_note
from gateway.crypto.personal import PersonalPart, open_parts, seal_parts
from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.secret import MasterSecret, SecretUnusable, load_or_create
from gateway.crypto.signing import SigningKey, is_signed_by

__all__ = [
    "ALGORITHMS",
    "HEAD_BYTES",
    "HMAC_ALGORITHM",
    "LEAST_SECRET",
    "PROOF_ALGORITHMS",
    "CertificateUnusable",
    "JwkRefused",
    "Jws",
    "JwsMalformed",
    "Keyring",
    "KeyringUnusable",
    "MasterSecret",
    "NoteBroken",
    "NoteKey",
    "NoteSigner",
    "PersonalPart",
    "ProofRefused",
    "Proofs",
    "SealBroken",
    "Sealer",
    "SecretUnusable",
    "SigningKey",
    "VerifyingKey",
    "beginning",
    "check_server_certificate",
    "decode_base64url",
    "encode_base64url",
    "is_signed_by",
    "link",
    "load_or_create",
    "open_note",
    "open_parts",
    "read_client_certificate",
    "read_json_object",
    "read_jwk",
    "read_jws",
    "seal_parts",
    "secret_key",
]
