"""From values to documents. Whatever does not fit is a finding; what is left goes on, so that all findings
come at once."""

from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.documents import Document
from gateway.config.explain import explain
from gateway.config.places import Node, Origin, Path, node_at
from gateway.config.shape import keys_of, locate
from gateway.config.source import SourceFile
from gateway.config.words import did_you_mean, listed, nearest, quoted

D = TypeVar("D", bound=Document)

_MOST_ROUNDS = 24


def validate(source: SourceFile, document: type[D]) -> D | None:
    """Return the file as a document, without the parts that do not fit; they are findings. None when there is
    nothing left."""
    for attempt in range(_MOST_ROUNDS):
        if source.root is None:
            return None
        try:
            return document.model_validate(source.tree)
        except ValidationError as flaws:
            errors = flaws.errors(include_url=False)
            _prune(source, [_examine(source, document, error, speak=attempt == 0) for error in errors])
    return None  # pragma: no cover - every round takes a level away


def _examine(source: SourceFile, document: type[Document], error: ErrorDetails, *, speak: bool) -> Path:
    """Report an error if it is to be heard. Return what must go so that the rest fits."""
    path, inner, is_key = locate(document, error["loc"])
    kind = error["type"]
    if kind == "missing":
        # What is missing may be a document itself; meant is the one that lacks it.
        _, inner, _ = locate(document, error["loc"][:-1])
        name = str(path[-1])
        if speak and not source.is_lost(path) and not _misspelt(source, path, inner):
            example = inner.model_fields[_field(inner, name)].examples
            suggestion = f"add {name}: {example[0]}" if example else None
            verb = "lack" if inner.noun.endswith("s") else "lacks"
            source.report("E102", path[:-1], f'{inner.noun} {verb} "{name}"', suggestion)
        return path if path == ("version",) else path[:-1]
    if not speak or source.origin(path) is Origin.UNREAD:
        return path
    if kind == "extra_forbidden":
        key = str(path[-1])
        suggestion = did_you_mean(key, keys_of(inner), otherwise=f"known: {listed(keys_of(inner))}")
        source.report("E101", path, f"unknown key {quoted(key)} in {inner.noun}", suggestion, key=True)
        meant = nearest(key, keys_of(inner))
        if meant is not None and source.root is not None:
            node_at(source.root, path[:-1]).lose(meant)
        return path
    node = None if source.root is None else node_at(source.root, path)
    if node is not None and node.lost:
        return path  # It is said already what is wrong inside of it.
    code, message, suggestion = explain(source, path, error, is_key=is_key)
    source.report(code, path, message, suggestion, key=is_key)
    return path


def _field(document: type[Document], key: str) -> str:
    return next(name for name, field in document.model_fields.items() if (field.alias or name) == key)


def _misspelt(source: SourceFile, path: Path, inner: type[Document]) -> bool:
    """Say whether a key that is missing is there under a name that only looks like it."""
    written = source.root and node_at(source.root, path[:-1]).keys
    known = keys_of(inner)
    return any(nearest(key, known) == path[-1] for key in written or () if key not in known)


def _prune(source: SourceFile, paths: list[Path]) -> None:
    """Take away what does not fit, from values and places alike, and remember that it was there."""
    # Deepest and last first, so that no index moves before it is used.
    for path in sorted(
        set(paths), key=lambda each: [(isinstance(part, int), part) for part in each], reverse=True
    ):
        if not path:
            source.root = None
            return
        parent, node = _walk(source, path[:-1])
        last = path[-1]
        if node is None:
            continue
        node.lose(last)
        if isinstance(parent, dict) and isinstance(last, str):
            parent.pop(last, None)
            if node.fields is not None:
                node.fields.pop(last, None)
            if path == ("version",):
                parent["version"] = 1
        elif (
            isinstance(parent, list)
            and isinstance(last, int)
            and node.items is not None
            and last < len(parent)
        ):
            del parent[last]
            del node.items[last]
        else:
            source.root = None
            return


def _walk(source: SourceFile, path: Path) -> tuple[object, Node | None]:
    """Return value and node at a path; no node when it leads nowhere any more."""
    value, node = source.tree, source.root
    for part in path:
        if node is None:
            break
        if isinstance(value, dict) and isinstance(part, str) and node.fields is not None and part in value:
            value, node = value[part], node.fields.get(part)
        elif (
            isinstance(value, list) and isinstance(part, int) and node.items is not None and part < len(value)
        ):
            value, node = value[part], node.items[part]
        else:
            return None, None
    return value, node
