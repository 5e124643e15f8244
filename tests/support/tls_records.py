"""TLS 1.3 records that no library would send, by the secret of a connection that a library has agreed on."""

import hashlib
import hmac
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_TEXT = 23
_HANDSHAKE = 22
_KEY_UPDATE = 24


class Records:
    """Makes a client's records (RFC 8446 section 5.2), for TLS_AES_256_GCM_SHA384, from its first one on."""

    def __init__(self, keylog: Path) -> None:
        """`keylog` is what the client's context has logged of its one connection."""
        (line,) = (each for each in keylog.read_text().splitlines() if each.startswith("CLIENT_TRAFFIC"))
        self._take(bytes.fromhex(line.split()[2]))

    def text(self, text: bytes) -> bytes:
        """Return a record that carries text."""
        return self._record(_TEXT, text)

    def key_update(self, *, asks: bool) -> bytes:
        """Return a change of the client's keys (section 4.6.3), which asks the other side for as much."""
        record = self._record(_HANDSHAKE, bytes((_KEY_UPDATE, 0, 0, 1, asks)))
        self._take(self._derived(b"traffic upd", 48))
        return record

    def _take(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher, self._iv = AESGCM(self._derived(b"key", 32)), self._derived(b"iv", 12)
        self._number = 0

    def _record(self, kind: int, content: bytes) -> bytes:
        nonce = int.from_bytes(self._iv, "big") ^ self._number
        self._number += 1
        head = b"\x17\x03\x03" + (len(content) + 17).to_bytes(2, "big")
        return head + self._cipher.encrypt(nonce.to_bytes(12, "big"), content + bytes((kind,)), head)

    def _derived(self, label: bytes, length: int) -> bytes:
        """HKDF-Expand-Label of section 7.1, without a context."""
        label = b"tls13 " + label
        info = length.to_bytes(2, "big") + bytes((len(label),)) + label + b"\0"
        return hmac.digest(self._secret, info + b"\1", hashlib.sha384)[:length]
