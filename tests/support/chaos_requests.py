"""What is asked of the service that misbehaves, and which answers are right."""

import json
import random
from dataclasses import dataclass, field
from typing import Literal

from support.chaos_client import End, Reply, Wrong
from support.chaos_upstream import BEHAVIOURS, BODY_UNREAD, POISON, digest_of, payload, upload

WHOLE = {
    "normal": 10,
    "chunked": 5,
    "until_close": 2,
    "trickle": 1,
    "pausing": 2,
    "leaving": 4,
    "goodbye": 1,
    "interims": 2,
    "unavailable": 1,
    "nothing": 1,
    "surplus": 3,
}
"""Behaviours whose answers may come whole, and how often they are asked for."""
BROKEN = {
    "silent": 1,
    "half_head": 1,
    "stalled": 1,
    "hang_up": 2,
    "reset_at_once": 2,
    "reset_in_head": 2,
    "reset_in_body": 3,
    "reset_without_length": 2,
    "too_little": 2,
    "two_lengths": 2,
    "two_framings": 2,
    "chunks_cut": 2,
    "chunks_broken": 2,
    "garbage": 2,
    "flood": 1,
    "huge_head": 1,
    "switched": 1,
}
"""Behaviours whose answers must never look whole."""
UNREAD = {"early": 2, "early_close": 2, "upload_unread": 1, "upload_reset": 2}
"""Behaviours that leave the body of the request unread."""
NEVER_WHOLE = BROKEN.keys() | {"upload_unread", "upload_reset", "ws_wrong"}
_STATUS = {"unavailable": 503, "nothing": 204, "ws_refused": 409}
_ROUTES = {"plain": 5, "local": 3, "least": 4, "pair": 4, "hash": 3, "breaker": 3, "narrow": 2, "limited": 1}
_PROBLEMS = {502, 503, 504}

Framing = Literal["none", "length", "chunked"]


@dataclass(slots=True)
class Request:
    """One request, recognised by its mark wherever it turns up."""

    mark: str
    route: str
    behaviour: str
    method: str = "GET"
    size: int = 0
    """Bytes of the answer's body behind its first line."""
    upload_size: int = 0
    framing: Framing = "none"
    lines: tuple[str, ...] = ()
    is_late: bool = False
    """Whether the client will not send all of the body."""
    problems: set[int] = field(default_factory=lambda: set(_PROBLEMS))
    """Statuses that the gateway itself may answer with."""

    @property
    def path(self) -> str:
        return f"/{self.route}/{self.behaviour}/{self.mark}/{self.size}"

    @property
    def body(self) -> bytes:
        """What is sent."""
        return upload(self.mark, self.upload_size) if self.framing != "none" else b""

    def pieces(self, dice: random.Random, most: int = 65_536) -> list[bytes]:
        """Return the body as it is sent, framing included, in pieces."""
        body, found, at = self.body, list[bytes](), 0
        while at < len(body):
            piece = body[at : at + dice.randint(1, most)]
            at += len(piece)
            found.append(b"%x\r\n%b\r\n" % (len(piece), piece) if self.framing == "chunked" else piece)
        return [*found, b"0\r\n\r\n"] if self.framing == "chunked" else found

    @property
    def head(self) -> bytes:
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            "Host: chaos.example",
            f"X-Key: {self.mark[-1]}",
            *self.lines,
        ]
        if self.framing != "none":
            lines.append(f"X-Digest: {digest_of(self.body)}")
            lines.append(
                "Transfer-Encoding: chunked"
                if self.framing == "chunked"
                else f"Content-Length: {self.upload_size}"
            )
        return "\r\n".join([*lines, "", ""]).encode()

    @property
    def answer(self) -> bytes:
        """The only right body."""
        if self.behaviour in {"nothing", "bodiless"}:
            return b""
        return payload(self.mark, digest_of(b"" if self.behaviour in BODY_UNREAD else self.body), self.size)

    @property
    def may_arrive(self) -> int:
        """How often it may reach the service: once, unless the configuration has a 503 repeated."""
        return 2 if self.route == "pair" and self.method in {"GET", "HEAD"} else 1

    def judge(self, reply: Reply) -> str:
        """Return what became of it: `whole`, `cut`, or the slug of a problem. Raise `Wrong`."""
        if POISON in reply.body:
            raise Wrong(f"bytes that were sent behind an answer: {reply}")
        if reply.end is End.NONE or not reply.status:
            raise Wrong(f"the connection ended without an answer: {reply}")
        if "x-mark" not in reply.fields:
            return self._problem(reply)
        if reply.fields["x-mark"] != self.mark:
            raise Wrong(f"the answer to {reply.fields['x-mark']}")
        if reply.status != _STATUS.get(self.behaviour, 200):
            raise Wrong(f"the status is {reply.status}")
        if reply.end is End.CUT:
            if self.behaviour != "chunks_broken" and not self.answer.startswith(reply.body):
                raise Wrong(f"wrong bytes before the cut: {len(reply.body)} of {len(self.answer)}")
            return "cut"
        if self.behaviour in NEVER_WHOLE:
            raise Wrong(
                f"an answer that broke off looks whole: {len(reply.body)} of {len(self.answer)} bytes"
            )
        if reply.body != self.answer:
            raise Wrong(f"a wrong body looks whole: {reply.body[:80]!r} for {self.answer[:80]!r}")
        return "whole"

    def _problem(self, reply: Reply) -> str:
        what = f"{reply.status} {dict(reply.fields)} {reply.body[:300]!r}"
        if reply.end is not End.WHOLE:
            raise Wrong(f"a problem that was cut: {what}")
        if reply.status not in self.problems | ({429} if self.route == "limited" else set()):
            raise Wrong(f"not an answer to this: {what}")
        if self.method == "HEAD":
            return f"problem {reply.status}"
        if reply.fields.get("content-type") != "application/problem+json":
            raise Wrong(f"neither the service's answer nor a problem: {what}")
        problem = json.loads(reply.body)
        if (
            problem["status"] != reply.status
            or problem["instance"] != f"urn:uuid:{reply.fields['x-request-id']}"
        ):
            raise Wrong(f"a problem that contradicts itself: {what}")
        slug: str = problem["type"].removeprefix("urn:gateway:problem:")
        return slug


class Asking:
    """Makes requests of all kinds, each with a mark of its own."""

    def __init__(self, prefix: str, dice: random.Random) -> None:
        self.dice = dice
        self._prefix = prefix
        self._count = 0

    def request(
        self, *, uploads: bool | None = None, behaviour: str | None = None, route: str | None = None
    ) -> Request:
        """Return the next request; `uploads`: whether it must, or must not, have a body."""
        dice = self.dice
        self._count += 1
        has_body = dice.random() < 0.3 if uploads is None else uploads
        if behaviour is None:
            behaviour = _one_of(dice, WHOLE | BROKEN | (UNREAD if has_body else {"bodiless": 1}))
        route = route or _one_of(dice, _ROUTES)
        request = Request(f"{self._prefix}-{self._count}", route, behaviour, size=self._size(behaviour))
        if behaviour == "bodiless":
            request.method = "HEAD"
        elif has_body:
            request.method = dice.choice(("POST", "PUT"))
            request.framing = dice.choice(("length", "chunked"))
            request.upload_size = dice.choice((0, 1, 100, 5_000, 70_000))
            if behaviour in UNREAD:
                request.is_late = behaviour == "upload_unread"
                request.upload_size = (
                    3_000_000 if behaviour == "upload_unread" else dice.choice((20_000, 600_000))
                )
            # A client that the machine has no time for is late; the gateway cannot know why. And of a service
            # that does not read, the system may still take what the client sends, so that both seem to wait.
            request.problems.add(408)
        return request

    def large(self) -> Request:
        """Return a request whose answer does not fit into the buffers on its way."""
        request = self.request(
            uploads=False, behaviour=self.dice.choice(("normal", "chunked", "reset_in_body"))
        )
        request.size = self.dice.choice((1_000_000, 3_000_000))
        return request

    def _size(self, behaviour: str) -> int:
        sizes: tuple[int, ...] = (0, 1, 200) if behaviour == "trickle" else (0, 10, 500, 4_000)
        if behaviour in {"normal", "chunked", "pausing", "stalled", "too_little", "reset_in_body"}:
            sizes += (20_000, 70_000, 300_000)
        return self.dice.choice(sizes)


def _one_of(dice: random.Random, weights: dict[str, int]) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]


assert WHOLE.keys() | BROKEN.keys() | UNREAD.keys() <= BEHAVIOURS.keys()
