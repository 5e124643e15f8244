"""Follows a validation error's location through the documents' types: to the path in the file, and to the
document whose keys are meant."""

from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import Tag

from gateway.config.documents import Document
from gateway.config.places import Path


def locate(document: type[Document], location: tuple[str | int, ...]) -> tuple[Path, type[Document], bool]:
    """Return the path in the file, the innermost document on the way, and whether a key is meant.

    Locations also hold the names of a union's alternatives, and `[key]` for the keys of mappings.
    """
    path: list[str | int] = []
    inner = document
    annotation: object = document
    for part in location:
        annotation = _without_none(annotation)
        chosen = _alternative(annotation, part)
        if chosen is not None:
            annotation = chosen
            inner = _document(annotation) or inner
            continue
        if part == "[key]":
            return tuple(path), inner, True
        path.append(part)
        annotation = _below(annotation, part)
        inner = _document(annotation) or inner
    return tuple(path), inner, False


def keys_of(document: type[Document]) -> list[str]:
    """Return the keys that a document may have, as they are written."""
    return [field.alias or name for name, field in document.model_fields.items()]


def _without_none(annotation: object) -> object:
    """Return a type without its metadata and without None."""
    if get_origin(annotation) is Annotated and not _is_union(get_args(annotation)[0]):
        return _without_none(get_args(annotation)[0])
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if _is_union(bare) and NoneType in get_args(bare):
        rest = [each for each in get_args(bare) if each is not NoneType]
        return _without_none(rest[0]) if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007 - made at run time
    return bare


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) in {Union, UnionType}


def _alternative(annotation: object, part: str | int) -> object | None:
    """Return the alternative of a union that a part of a location names."""
    if not _is_union(annotation):
        return None
    for each in get_args(annotation):
        if any(isinstance(note, Tag) and note.tag == part for note in get_args(each)[1:]):
            alternative: object = each
            return alternative
    return None


def _below(annotation: object, part: str | int) -> object:
    document = _document(annotation)
    if document is not None:
        for name, field in document.model_fields.items():
            if part == (field.alias or name):
                return field.annotation
        return object
    arguments = get_args(annotation)
    match get_origin(annotation), arguments:
        case (origin, (entry,)) if origin is list:
            return entry
        case (origin, (_, entry)) if origin is dict:
            return entry
        case _:
            return object


def _document(annotation: object) -> type[Document] | None:
    bare = _without_none(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, Document) else None
