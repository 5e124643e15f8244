"""Devices on which somebody has logged in before: remembered by a cookie, so that strangers who try the same
name do not lock their owner out.

    v1.ISSUED.ID.USER.HMAC-SHA256(key, "v1.ISSUED.ID.USER")

The number behind `v` is the generation of the key. The cookie opens nothing. It only has attempts from the
device counted apart from everybody else's.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.crypto import DerivedKeys
from gateway.ports import Clock

DEVICE_SECONDS: Final = 90 * 86_400
"""Seconds after a login for which its device is remembered."""
_ID_BYTES: Final = 12
_FORM: Final = re.compile(
    r"v([1-9][0-9]{0,2})\.([0-9]{1,12})\.([A-Za-z0-9_-]{16})\.(usr_[0-9a-f]{32})\.([A-Za-z0-9_-]{43})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device, and who logged in on it."""

    id: str
    user_id: str


class Devices:
    """Makes and reads the cookies. `keys` are nobody else's."""

    def __init__(self, keys: DerivedKeys, clock: Clock) -> None:
        self._keys = keys
        self._now = clock.now

    def remember(self, user_id: str) -> str:
        """Return the cookie's value for a device on which this user has just logged in."""
        generation = self._keys.current
        said = f"v{generation}.{int(self._now())}.{secrets.token_urlsafe(_ID_BYTES)}.{user_id}"
        return f"{said}.{_mac(self._keys[generation], said)}"

    def recognise(self, value: str) -> Device | None:
        """Return the device that a cookie's value stands for; None when it is not ours, or too old."""
        found = _FORM.fullmatch(value)
        if found is None or (generation := int(found[1])) not in self._keys:
            return None
        if not hmac.compare_digest(_mac(self._keys[generation], value.rpartition(".")[0]), found[5]):
            return None
        if self._now() - int(found[2]) >= DEVICE_SECONDS:
            return None
        return Device(id=found[3], user_id=found[4])


def _mac(key: bytes, said: str) -> str:
    digest = hmac.digest(key, said.encode("ascii"), sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
