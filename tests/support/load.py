"""Clients that ask without pause while something is done to what the gateway stands on."""

import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

HUNG_SECONDS = 15.0
"""A request without an answer for this long hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of it. Times are monotonic seconds."""

    path: str
    began: float
    took: float
    status: int
    """0: the connection ended without an answer."""
    problem: str | None = None
    """Slug of the problem, when the answer was one."""
    request_id: str | None = None


class Load:
    """Answers so far. `clients` threads ask one question after another, with a pause."""

    def __init__(self, questions: Sequence[Question], *, clients: int, pause: float) -> None:
        self.answers: list[Answer] = []
        self._questions = questions
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * HUNG_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads), "a request hangs"

    def since(self, moment: float) -> list[Answer]:
        """Return the answers to requests that began later than a moment."""
        return [answer for answer in self.answers if answer.began >= moment]

    def seen(self, moment: float = 0.0) -> "Counter[tuple[str, int, str | None]]":
        """Count the answers since a moment by path, status and problem."""
        return Counter((answer.path, answer.status, answer.problem) for answer in self.since(moment))

    @property
    def slowest(self) -> float:
        """How long the slowest answer took, in seconds."""
        return max(answer.took for answer in self.answers)

    def request_ids(self) -> list[str]:
        """Return the ids of all requests that were answered."""
        return [answer.request_id for answer in self.answers if answer.request_id is not None]

    def _ask(self, number: int) -> None:
        connections: dict[int, http.client.HTTPConnection] = {}
        with contextlib.ExitStack() as stack:
            while not self._over.is_set():
                question = self._questions[number % len(self._questions)]
                number += 1
                connection = connections.get(question.port)
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", question.port, timeout=HUNG_SECONDS)
                    stack.callback(connection.close)
                    connections[question.port] = connection
                self.answers.append(_answer(connection, question))
                time.sleep(self._pause)


def _answer(connection: http.client.HTTPConnection, question: Question) -> Answer:
    began = time.monotonic()
    try:
        connection.request("GET", question.path, headers=dict(question.headers))
        response = connection.getresponse()
        body = response.read()
    except (http.client.HTTPException, OSError):
        connection.close()
        return Answer(path=question.path, began=began, took=time.monotonic() - began, status=0)
    problem = None
    if response.getheader("Content-Type") == "application/problem+json":
        problem = body.decode().partition('"type":"urn:gateway:problem:')[2].partition('"')[0]
    return Answer(
        path=question.path,
        began=began,
        took=time.monotonic() - began,
        status=response.status,
        problem=problem,
        request_id=response.getheader("X-Request-Id"),
    )


@contextlib.contextmanager
def load(questions: Sequence[Question], *, clients: int = 6, pause: float = 0.02) -> Iterator[Load]:
    """Ask for the length of the block; afterwards no request may be left without its end."""
    with Load(questions, clients=clients, pause=pause) as asking:
        yield asking
