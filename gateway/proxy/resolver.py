"""Where names are at the moment. They move while processes and connections stay, so they are looked up again.
Whoever wants the same name at the same time shares one lookup; a name server that fails is bridged."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.observability import log
from gateway.proxy.faults import Fault, UpstreamFault

FRESH: Final = 5.0
"""Seconds for which addresses are not looked up again."""
STALE: Final = 60.0
"""Seconds for which the last good addresses are used while lookups fail."""
PAUSE: Final = 1.0
"""Seconds between a lookup that failed and the next one."""

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name. Raises `OSError` or `UnicodeError` when there are none."""


async def ask_system(name: str) -> Sequence[str]:
    """Return the addresses of a name as the system's resolver orders them, asked off the loop."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class _Name:
    """What is known of one name."""

    __slots__ = ("addresses", "ask_at", "forget_at", "lookup", "problem", "turn")

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.ask_at = 0.0
        self.forget_at = 0.0
        self.lookup: asyncio.Task[None] | None = None
        self.problem = ""
        """Why the last lookup failed; empty when it did not."""
        self.turn = 0


class Resolver:
    """Looks names up, for as long as it is not closed. It owns the lookups that run."""

    def __init__(
        self,
        *,
        look_up: LookUp = ask_system,
        now: Callable[[], float] | None = None,
        on_change: Callable[[str, frozenset[str]], None] | None = None,
    ) -> None:
        """`now` is a clock in seconds that never steps, by default the loop's; `on_change` is told the name
        and its addresses when it has lost one."""
        self._look_up = look_up
        self._now = now or asyncio.get_running_loop().time
        self._on_change = on_change
        self._names: dict[str, _Name] = {}

    def __repr__(self) -> str:
        return f"Resolver({ {name: known.addresses for name, known in self._names.items()} })"

    async def addresses(self, name: str, patience: float) -> list[str]:
        """Return the addresses of a name, each call beginning with the next one.

        Waits at most `patience` seconds for a lookup when older addresses would do. Raises `UpstreamFault`
        with `CONNECT` when there is none.
        """
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = _Name()
        lookup = self._refresh(name, known)
        if lookup is not None:
            await asyncio.wait({lookup}, timeout=patience if self._may_use(known) else None)
        if not self._may_use(known):
            raise UpstreamFault(Fault.CONNECT, f"{name}: {known.problem or 'no address is known'}")
        known.turn += 1
        start = known.turn % len(known.addresses)
        return [*known.addresses[start:], *known.addresses[:start]]

    def refresh(self, name: str) -> None:
        """Begin to look a name up again if that is due; nobody waits for it."""
        known = self._names.get(name)
        if known is not None:
            self._refresh(name, known)

    def keep_only(self, names: frozenset[str]) -> None:
        """Forget every other name."""
        for name in self._names.keys() - names:
            _cancel(self._names.pop(name))

    def close(self) -> None:
        """Stop the lookups that run."""
        self.keep_only(frozenset())

    def _may_use(self, known: _Name) -> bool:
        return bool(known.addresses) and self._now() < known.forget_at

    def _refresh(self, name: str, known: _Name) -> "asyncio.Task[None] | None":
        """Return the lookup that runs, begun here when the addresses are old; None when they are not."""
        if known.lookup is None and self._now() >= known.ask_at:
            loop = asyncio.get_running_loop()
            known.lookup = loop.create_task(self._ask(name, known), name=f"lookup {name}")
        return known.lookup

    async def _ask(self, name: str, known: _Name) -> None:
        try:
            # The same address may be told once for each protocol.
            addresses = tuple(dict.fromkeys(await self._look_up(name)))
            problem = "" if addresses else "the name has no address"
        except (OSError, UnicodeError) as error:
            addresses, problem = (), str(error) or type(error).__name__
        finally:
            known.lookup = None
        now = self._now()
        if problem:
            if not known.problem:
                log.warning("name_not_resolved", name=name, error=problem, known=len(known.addresses))
            known.problem, known.ask_at = problem, now + PAUSE
            return
        known.problem, known.ask_at, known.forget_at = "", now + FRESH, now + STALE
        has_lost = not set(known.addresses) <= set(addresses)
        known.addresses = addresses
        if has_lost and self._on_change is not None:
            self._on_change(name, frozenset(addresses))


def _cancel(known: _Name) -> None:
    if known.lookup is not None:
        known.lookup.cancel()
