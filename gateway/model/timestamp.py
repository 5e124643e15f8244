"""Times as the audit record has them, in its own field and in the attributes of events."""

import time


class Timestamps:
    """Times as the record has them: RFC 3339, UTC, microseconds. The second's text is made once a second."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def text(self, seconds: float) -> str:
        """Return a time, given in seconds since the epoch, as text. Texts sort as the times do."""
        fraction = seconds - self._second
        if not 0.0 <= fraction < 1.0:
            self._second = int(seconds)
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(self._second))
            fraction = seconds - self._second
        return "%s%06dZ" % (self._prefix, fraction * 1_000_000)  # noqa: UP031 - an f-string takes half as long again


def timestamp(seconds: float) -> str:
    """Return one time, given in seconds since the epoch, as the record has it."""
    return Timestamps().text(seconds)
