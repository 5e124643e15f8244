"""What lasts longer than a moment is looked at again: whether its permit still holds."""

from typing import Protocol

from gateway.model import Permit


class Ongoing(Protocol):
    """An exchange that goes on for longer than a moment."""

    @property
    def permit(self) -> Permit:
        """What allowed it."""

    @property
    def is_stream(self) -> bool:
        """Whether it goes on for as long as both sides want: upgraded, or server-sent events."""

    def recall(self, *, going_away: bool = False) -> None:
        """End it: its permit no longer holds, or the gateway is `going_away`. An upgraded connection is
        closed with a close frame (RFC 6455 section 7.4.1: 1008, or 1001), any other response is cut."""


class Watch(Protocol):
    """Whoever looks at what is ongoing."""

    def begin(self, exchange: Ongoing) -> None:
        """Take an exchange whose response body did not arrive together with its head, or whose request has to
        be decrypted: an upstream must not be asked on the strength of a permit that held long ago."""

    def over(self, exchange: Ongoing) -> None:
        """Forget an exchange that has ended."""
