"""Devices on which somebody has logged in before: remembered by a cookie, so that strangers who try the same
name do not lock their owner out.

    v1.ISSUED.ID.USER.HMAC-SHA256(key, "v1.ISSUED.ID.USER")

The cookie opens nothing. It only has attempts from the device counted apart from everybody else's.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.ports import Clock

DEVICE_SECONDS: Final = 90 * 86_400
"""Seconds after a login for which its device is remembered."""
_ID_BYTES: Final = 12
_FORM: Final = re.compile(r"v1\.([0-9]{1,12})\.([A-Za-z0-9_-]{16})\.(usr_[0-9a-f]{32})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device, and who logged in on it."""

    id: str
    user_id: str


class Devices:
    """Makes and reads the cookies. `key` is nobody else's."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._now = clock.now

    def remember(self, user_id: str) -> str:
        """Return the cookie's value for a device on which this user has just logged in."""
        said = f"v1.{int(self._now())}.{secrets.token_urlsafe(_ID_BYTES)}.{user_id}"
        return f"{said}.{self._mac(said)}"

    def recognise(self, value: str) -> Device | None:
        """Return the device that a cookie's value stands for; None when it is not ours, or too old."""
        found = _FORM.fullmatch(value)
        if found is None or not hmac.compare_digest(self._mac(value.rpartition(".")[0]), found[4]):
            return None
        if self._now() - int(found[1]) >= DEVICE_SECONDS:
            return None
        return Device(id=found[2], user_id=found[3])

    def _mac(self, said: str) -> str:
        digest = hmac.digest(self._key, said.encode("ascii"), sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
