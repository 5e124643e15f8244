"""Limits and requests to try them on."""

from dataclasses import replace
from typing import Protocol

import pytest
from support.heads import HEAD

from gateway.model import Algorithm, Fields, Limit, Line, RequestHead


class MakeLimit(Protocol):
    def __call__(
        self,
        name: str = "defaults:0",
        *,
        per: tuple[str, ...] = ("principal",),
        quota: int = 10,
        seconds: int = 60,
    ) -> Limit: ...


class MakeHead(Protocol):
    def __call__(self, *lines: Line) -> RequestHead: ...


@pytest.fixture
def limit() -> MakeLimit:
    def make(
        name: str = "defaults:0",
        *,
        per: tuple[str, ...] = ("principal",),
        quota: int = 10,
        seconds: int = 60,
    ) -> Limit:
        return Limit(
            id=name,
            place="policies.yaml:1",
            algorithm=Algorithm.WINDOW,
            per=per,
            quota=quota,
            window_us=seconds * 1_000_000,
            burst=quota,
        )

    return make


@pytest.fixture
def head() -> MakeHead:
    def make(*lines: Line) -> RequestHead:
        return replace(HEAD, fields=Fields(lines))

    return make
