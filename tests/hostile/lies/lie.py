"""One lie as data, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hostile.case import OK, Case, ask
from hostile.recorder import Script
from hostile.sending import AFTER, SHORT, WAYS, pieces

GROUP = "lie"
BROKEN = frozenset({502})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """What an upstream sends, and what the client must make of it."""

    name: str
    sends: bytes = field(repr=False)
    status: frozenset[int] = BROKEN
    body: bytes | None = field(default=None, repr=False)
    """What the client gets as the body, when it gets one."""
    cut: bool | None = False
    """Whether the client sees that the answer is not whole; None when both are right."""
    script: Script = field(default_factory=lambda: Script(pieces=(), reusable=False))
    """All but the pieces."""
    has: tuple[bytes, ...] = ()
    """Lines of the client's answer."""
    lacks: tuple[bytes, ...] = ()
    """Names, in lower case, that it must not hold."""
    method: bytes = b"GET"
    lines: tuple[bytes, ...] = ()
    upload: bytes = field(default=b"", repr=False)
    version: bytes = b"HTTP/1.1"
    lasts: float = 0.0
    apart: bool = False
    """Whether it needs an upstream of its own, because bytes come after the answer is complete: no gateway can
    tell them from the answer to a request that somebody has sent meanwhile."""

    def __str__(self) -> str:
        return f"{GROUP}: {self.name}"


@dataclass(frozen=True, slots=True)
class Told:
    """A lie on its way: where it is told, and how it is cut."""

    lie: Lie
    way: str
    case: Case
    segments: Sequence[bytes]
    path: bytes
    script: Script


def tell(lies: Sequence[Lie]) -> tuple[list[Told], int]:
    """Return the ways in which lies are told, and how many upstreams of their own they need."""
    told: list[Told] = []
    apart = 0
    for number, lie in enumerate(lies):
        for way in WAYS:
            if way != "bytes" or len(lie.sends) <= SHORT:
                place = b"/apart/%d/" % apart if lie.apart else b"/lie/"
                apart += lie.apart
                told.append(_told(lie, way, place, b"%d-%b" % (number, way.encode())))
    return told, apart


def _told(lie: Lie, way: str, place: bytes, name: bytes) -> Told:
    path = place + name
    first = ask(path, *lie.lines, method=lie.method, body=lie.upload, version=lie.version)
    is_old = lie.version == b"HTTP/1.0"
    case = Case(
        group=GROUP,
        name=lie.name,
        data=first,
        verdicts=(lie.status, OK),
        ends=None,
        may_stop=True,
        to_head=lie.method == b"HEAD",
        pause=0.08 if lie.apart else 0.0,
        lasts=lie.lasts,
    )
    segments = [first] if is_old else [first, ask(place + b"honest"), AFTER]
    return Told(lie, way, case, segments, path, replace(lie.script, pieces=pieces(lie.sends, way)))
