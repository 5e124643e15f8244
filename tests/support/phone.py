"""An authenticator app on somebody's phone, which never has to wait for its next code."""

import time
from base64 import b32decode

from gateway.accounts.totp import code_at, step_at


class Phone:
    """Shows codes of one key, each of them once."""

    def __init__(self, secret: str) -> None:
        self._key = b32decode(secret)
        self._shown = 0

    def code(self) -> str:
        """A code that is good at this moment and was not shown before: three of them in half a minute."""
        now = step_at(time.time())
        step = max(now - 1, self._shown + 1)
        assert step <= now + 1, "no more codes for the next half minute"
        self._shown = step
        return code_at(self._key, step)

    def wrong(self) -> str:
        """A code that is good at no moment near this one."""
        near = {code_at(self._key, step_at(time.time()) + off) for off in range(-4, 5)}
        return next(code for code in map("{:06d}".format, range(20)) if code not in near)
