"""What of bodies is in memory as a whole, because it is encrypted or decrypted: how much at one time."""

from typing import Final

from gateway.proxy.faults import Fault, UpstreamFault

MOST_HELD: Final = 256 * 1024 * 1024
"""Bytes of bodies that one process holds: those that still come, and those that somebody is slow to take."""


class Memory:
    """The bodies that one process holds, all exchanges together.

    Other exchanges need a few KiB each; without a bound, whoever is allowed to send or to fetch something
    large, slowly and often enough, would end the process for everybody.
    """

    __slots__ = ("_most", "held")

    def __init__(self, most: int = MOST_HELD) -> None:
        self._most = most
        self.held = 0
        """Bytes."""

    def __repr__(self) -> str:
        return f"Memory(held={self.held})"

    def take(self, count: int) -> None:
        """Count bytes that are held from now on. Raise `UpstreamFault` when there is no room for them."""
        if self.held + count > self._most:
            raise UpstreamFault(Fault.MEMORY_FULL, f"{self.held} bytes of bodies are in memory")
        self.held += count

    def give_back(self, count: int) -> None:
        """Take them as gone."""
        self.held -= count


class Held:
    """What one exchange holds, until it gives it back."""

    __slots__ = ("_memory", "size")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.size = 0
        """Bytes."""

    def __repr__(self) -> str:
        return f"Held({self.size})"

    def take(self, count: int) -> None:
        """Hold more bytes. Raise `UpstreamFault` when there is no room for them."""
        self._memory.take(count)
        self.size += count

    def give_back(self) -> None:
        """Hold nothing any more."""
        self._memory.give_back(self.size)
        self.size = 0
