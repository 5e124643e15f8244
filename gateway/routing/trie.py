"""Routes by host, path and method. The order in which they are added never matters.

A path is a walk through a tree: at each segment a literal is tried before a parameter, a parameter before
`**`. A tree has one way to each node, so a request visits each node at most once, and at most 64 levels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from gateway.routing.host import read_host
from gateway.routing.template import MOST_SEGMENTS, Template, read_template

T = TypeVar("T")

_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


class Match(NamedTuple, Generic[T]):
    """The route of a request."""

    value: T
    params: Mapping[str, str]
    """Values of the path's parameters, percent-decoded once."""


@dataclass(frozen=True, slots=True)
class MethodMismatch:
    """The path is known, the method is not."""

    allow: tuple[str, ...]
    """Methods that are, sorted; HEAD wherever GET is."""


class RouteClash(Exception):
    """Two routes would match the same requests. `existing` is the value of the one that was there first."""

    def __init__(self, existing: object, methods: tuple[str, ...]) -> None:
        super().__init__(f"another route has this host and path shape for {', '.join(methods)}")
        self.existing = existing
        self.methods = methods


class _Node(Generic[T]):
    """What may follow the same beginning of a path."""

    __slots__ = ("literals", "methods", "param", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.param: _Node[T] | None = None
        self.rest: _Node[T] | None = None
        self.methods: dict[str, tuple[Match[T], tuple[str, ...]]] = {}
        """The match without parameters, and their names, by method; empty where no path ends."""


class RouteTrie(Generic[T]):
    """Finds the value of the most specific route."""

    def __init__(self) -> None:
        self._exact: dict[str, _Node[T]] = {}
        self._suffix: dict[str, _Node[T]] = {}
        """By what follows the `*.`."""
        self._any: _Node[T] = _Node()

    def add(self, host: str | None, methods: Iterable[str], template: str, value: T) -> None:
        """Add a route. Raise `RouteClash`, or `ValueError` that says what to write instead.

        `host` is a host name, `*.suffix`, or None for any; `GET` includes `HEAD`. Nothing is added when
        anything is wrong.
        """
        path = read_template(template)
        wanted = sorted({*methods, "HEAD"} if "GET" in methods else set(methods))
        if not wanted:
            raise ValueError("a route has at least one method")
        node = _descend(self._root(host), path)
        taken = tuple(method for method in wanted if method in node.methods)
        if taken:
            raise RouteClash(node.methods[taken[0]][0].value, taken)
        for method in wanted:
            node.methods[method] = (Match(value, _NO_PARAMS), path.params)

    def match(
        self, host: str | None, segments: tuple[str, ...], method: str
    ) -> Match[T] | MethodMismatch | None:
        """Return the most specific route, or None when no path matches.

        `host` is lower-case, without port and trailing dot; None (no Host was sent) matches only routes for
        any host. The most specific host with a matching path wins: exact, the longest suffix, any. A method
        that the winner lacks is not looked for elsewhere.
        """
        if len(segments) > MOST_SEGMENTS:
            return None
        found: tuple[_Node[T], tuple[str, ...]] | None = None
        if host is not None:
            root = self._exact.get(host)
            if root is not None:
                found = _find(root, segments, 0, ())
            if found is None and self._suffix:
                found = self._find_by_suffix(host, segments)
        if found is None:
            found = _find(self._any, segments, 0, ())
            if found is None:
                return None
        node, captured = found
        route = node.methods.get(method)
        if route is None:
            return MethodMismatch(tuple(sorted(node.methods)))
        match, names = route
        return Match(match.value, dict(zip(names, captured, strict=True))) if names else match

    def _find_by_suffix(
        self, host: str, segments: tuple[str, ...]
    ) -> tuple[_Node[T], tuple[str, ...]] | None:
        rest = host
        while rest:
            rest = rest.partition(".")[2]
            root = self._suffix.get(rest)
            if root is not None:
                found = _find(root, segments, 0, ())
                if found is not None:
                    return found
        return None

    def _root(self, host: str | None) -> _Node[T]:
        if host is None:
            return self._any
        suffix = host.removeprefix("*.")
        name = read_host(suffix.encode("utf-8"))
        if name is None:
            raise ValueError(f'"{host}" is not a host: write a name, an address, or "*." and a suffix')
        if name != suffix:
            raise ValueError(f'write "{host.replace(suffix, name)}": hosts are compared in this form')
        roots = self._exact if suffix == host else self._suffix
        return roots.setdefault(name, _Node())


def _descend(node: _Node[T], path: Template) -> _Node[T]:
    """Return the node where a path ends, making what is missing on the way."""
    for step in path.steps:
        if step is None:
            node.param = node.param or _Node()
            node = node.param
        else:
            node = node.literals.setdefault(step, _Node())
    if path.is_open:
        node.rest = node.rest or _Node()
        node = node.rest
    return node


def _find(
    node: _Node[T], segments: tuple[str, ...], at: int, captured: tuple[str, ...]
) -> tuple[_Node[T], tuple[str, ...]] | None:
    """Return the most specific end below a node, with the values of the parameters on the way."""
    if at == len(segments):
        return (node, captured) if node.methods else None
    segment = segments[at]
    child = node.literals.get(segment)
    if child is not None:
        found = _find(child, segments, at + 1, captured)
        if found is not None:
            return found
    if node.param is not None and segment:
        found = _find(node.param, segments, at + 1, (*captured, segment))
        if found is not None:
            return found
    return (node.rest, captured) if node.rest is not None else None
