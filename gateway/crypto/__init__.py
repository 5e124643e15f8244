"""The master secret, sealing with it, and the keys that sign tokens."""

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.keyring import Keyring, KeyringUnusable
from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.secret import MasterSecret, SecretUnusable, load_or_create
from gateway.crypto.signing import SigningKey, is_signed_by

__all__ = [
    "Keyring",
    "KeyringUnusable",
    "MasterSecret",
    "SealBroken",
    "Sealer",
    "SecretUnusable",
    "SigningKey",
    "decode_base64url",
    "encode_base64url",
    "is_signed_by",
    "load_or_create",
]
