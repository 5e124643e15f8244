"""The master secret, sealing with it, the keys that sign tokens, and the chain through audit records."""

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.chain import HEAD_BYTES, beginning, link
from gateway.crypto.keyring import Keyring, KeyringUnusable
from gateway.crypto.note import NoteBroken, NoteKey, NoteSigner, open_note
from gateway.crypto.personal import PersonalPart, open_parts, seal_parts
from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.secret import MasterSecret, SecretUnusable, load_or_create
from gateway.crypto.signing import SigningKey, is_signed_by

__all__ = [
    "HEAD_BYTES",
    "Keyring",
    "KeyringUnusable",
    "MasterSecret",
    "NoteBroken",
    "NoteKey",
    "NoteSigner",
    "PersonalPart",
    "SealBroken",
    "Sealer",
    "SecretUnusable",
    "SigningKey",
    "beginning",
    "decode_base64url",
    "encode_base64url",
    "is_signed_by",
    "link",
    "load_or_create",
    "open_note",
    "open_parts",
    "seal_parts",
]
