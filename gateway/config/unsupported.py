"""What the grammar knows and the gateway cannot enforce yet. Never accepted and ignored: always a finding."""

from gateway.config.documents import Document, NotYet
from gateway.config.places import Path
from gateway.config.source import Report

ADVICE = "remove it: the gateway does not start with rules that it would not enforce"


def report_unsupported(document: Document, report: Report, path: Path = ()) -> None:
    """Report every key and value below that is marked `NotYet`."""
    fields = type(document).model_fields
    for name in document.model_fields_set:
        field, value = fields[name], getattr(document, name)
        here: Path = (*path, field.alias or name)
        for note in field.metadata:
            if isinstance(note, NotYet):
                _report_marked(note, value, report, here)
        _descend(value, report, here)


def _descend(value: object, report: Report, path: Path) -> None:
    if isinstance(value, Document):
        report_unsupported(value, report, path)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _descend(each, report, (*path, index))
    elif isinstance(value, dict):
        for key, each in value.items():
            _descend(each, report, (*path, key))


def _report_marked(note: NotYet, value: object, report: Report, path: Path) -> None:
    if not note.values:
        report("E190", path, f"not supported yet: {note.what}", ADVICE, key=True)
        return
    for index, each in enumerate(value) if isinstance(value, list) else [(None, value)]:
        if any(isinstance(each, mark) if isinstance(mark, type) else each == mark for mark in note.values):
            report(
                "E190", path if index is None else (*path, index), f"not supported yet: {note.what}", ADVICE
            )
