"""Where everything in a file stands: a tree beside the tree of values, walked only when a place is needed."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

EVERYTHING = ""
"""Stands for all keys of a mapping among those that are lost."""

Path = tuple[str | int, ...]
"""Keys and indexes from the root of a file: `("routes", 3, "match", "path")`."""


class Mark(Protocol):
    """A position as libyaml counts: line and column from 0, in characters."""

    line: int
    column: int


class Origin(Enum):
    """Where the value of a scalar comes from."""

    WRITTEN = "written"
    INTERPOLATED = "interpolated"
    """From the environment or a file; it may be a secret and is never shown."""
    UNREAD = "unread"
    """From a file that was not to be read; its value is a stand-in and not judged."""


class Node:
    """One value of a file. Exactly one of `fields` and `items` is set for collections, none for scalars."""

    __slots__ = ("end", "fields", "items", "keys", "lost", "origin", "plain", "start", "text")

    def __init__(self, start: Mark, end: Mark) -> None:
        self.start = start
        self.end = end
        self.text: str | None = None
        """A scalar as it is written, without its quotes."""
        self.plain = False
        """Whether a scalar is written without quotes."""
        self.fields: dict[str, Node] | None = None
        self.keys: dict[str, Node] | None = None
        self.items: list[Node] | None = None
        self.lost: set[str | int] | None = None
        """Keys that are written but could not be used: checks for absence must not speak of them. For a list
        it says only that something is."""
        self.origin = Origin.WRITTEN

    def lose(self, part: str | int) -> None:
        """Remember that something is written here that could not be used."""
        if self.lost is None:
            self.lost = set()
        self.lost.add(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of one line: line and column from 1."""

    line: int
    column: int
    length: int


def span_of(node: Node) -> Span:
    """Return the characters a node takes; a block of several lines gives its first key."""
    start, end = node.start, node.end
    if end.line != start.line and node.keys:
        first = next(iter(node.keys.values()))
        if (first.start.line, first.start.column) == (start.line, start.column):
            start, end = first.start, first.end
    length = end.column - start.column if end.line == start.line else 1
    return Span(line=start.line + 1, column=start.column + 1, length=max(length, 1))


def find_node(root: Node, path: Path) -> Node | None:
    """Return the node at a path; None when nothing stands there."""
    node = root
    for part in path:
        below: Node | None = None
        if isinstance(part, str):
            below = (node.fields or {}).get(part)
        elif node.items is not None and 0 <= part < len(node.items):
            below = node.items[part]
        if below is None:
            return None
        node = below
    return node


def node_at(root: Node, path: Path, *, key: bool = False) -> Node:
    """Return the node at a path, or that of its key; the nearest one above when nothing stands there."""
    node = root
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(part, str):
            if node.fields is None or node.keys is None or part not in node.fields:
                return node
            node = node.keys[part] if key and last else node.fields[part]
        else:
            if node.items is None or not 0 <= part < len(node.items):
                return node
            node = node.items[part]
    return node


def is_lost(root: Node, path: Path) -> bool:
    """Say whether something stands at this path in the file that could not be used."""
    node = root
    for part in path:
        lost = node.lost if isinstance(part, str) else None
        if lost is not None and part in lost:
            return True
        below = find_node(node, (part,))
        if below is None:
            return lost is not None and EVERYTHING in lost
        node = below
    return False


def is_whole(node: Node) -> bool:
    """Say whether everything that is written at and below a node could be used."""
    if node.lost:
        return False
    below = node.items if node.fields is None else node.fields.values()
    return all(is_whole(each) for each in below or ())
