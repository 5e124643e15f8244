"""The master secret, sealing with it, keys that sign or encrypt, and the chain through audit records."""

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.certificate import (
    CertificateUnusable,
    check_server_certificate,
    read_client_certificate,
)
from gateway.crypto.chain import HEAD_BYTES, beginning, link
from gateway.crypto.crypto_key import CryptoKey, is_made_of, new_version
from gateway.crypto.crypto_keys import CryptoKeys
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
from gateway.crypto.note import NoteBroken, NoteKey, NoteSigner, names_signer, open_note
from gateway.crypto.note_signers import NoteSigners
from gateway.crypto.opened import CannotOpen, KeyUnknown, Opened, VersionUnknown
from gateway.crypto.personal import PersonalPart, open_parts, seal_parts
from gateway.crypto.recipient import RecipientKey, read_recipient, read_symmetric_jwk
from gateway.crypto.recipients import Recipients
from gateway.crypto.root_keys import RootKeys
from gateway.crypto.roots import DerivedKeys, Roots
from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.secret import MasterSecret, SecretUnusable
from gateway.crypto.secret_file import (
    drop_successor,
    find_secret,
    find_successor,
    load_or_create,
    put_beside,
    put_in_place,
    read_secret,
)
from gateway.crypto.signing import SigningKey, is_signed_by
from gateway.crypto.threads import in_thread
from gateway.crypto.thumbprint import jwk_thumbprint

__all__ = [
    "ALGORITHMS",
    "HEAD_BYTES",
    "HMAC_ALGORITHM",
    "LEAST_SECRET",
    "PROOF_ALGORITHMS",
    "CannotOpen",
    "CertificateUnusable",
    "CryptoKey",
    "CryptoKeys",
    "DerivedKeys",
    "JwkRefused",
    "Jws",
    "JwsMalformed",
    "KeyUnknown",
    "Keyring",
    "KeyringUnusable",
    "MasterSecret",
    "NoteBroken",
    "NoteKey",
    "NoteSigner",
    "NoteSigners",
    "Opened",
    "PersonalPart",
    "ProofRefused",
    "Proofs",
    "RecipientKey",
    "Recipients",
    "RootKeys",
    "Roots",
    "SealBroken",
    "Sealer",
    "SecretUnusable",
    "SigningKey",
    "VerifyingKey",
    "VersionUnknown",
    "beginning",
    "check_server_certificate",
    "decode_base64url",
    "drop_successor",
    "encode_base64url",
    "find_secret",
    "find_successor",
    "in_thread",
    "is_made_of",
    "is_signed_by",
    "jwk_thumbprint",
    "link",
    "load_or_create",
    "names_signer",
    "new_version",
    "open_note",
    "open_parts",
    "put_beside",
    "put_in_place",
    "read_client_certificate",
    "read_json_object",
    "read_jwk",
    "read_jws",
    "read_recipient",
    "read_secret",
    "read_symmetric_jwk",
    "seal_parts",
    "secret_key",
]
