"""The language in which audit records are asked for, the same on the command line and everywhere else.

`decision:deny route:orders-* -actor:alice status:>=500 since:1h`: terms with blanks between them, all of
which a record must meet. A term is `FIELD:VALUE`, or `-FIELD:VALUE` for what must not be. A value is a text,
a pattern with `*` for any text, a comparison of numbers, or several with commas between them, one of which is
enough; in quotes it is taken as it is, with a backslash before a quote and a backslash. `since:` and `until:`
are a duration before now or a time of RFC 3339.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final

from gateway.audit.recording import Redaction
from gateway.audit.redact import Redactor
from gateway.model import RECORD_FIELDS, Comparison, Outcome, PrincipalKind, Term, timestamp

_NUMBERS: Final = frozenset({"seq", "status", "bytes_in", "bytes_out", "duration_ms"})
_ACTOR: Final = ("actor.id", "actor.kind", "actor.name")
_FIELDS: Final = tuple(name for name in RECORD_FIELDS if name not in ("time", "attributes")) + _ACTOR
_TIMES: Final = ("since", "until")
_ATTRIBUTES: Final = "attributes."
_RECORDED: Final = ("claims.", "header.", "query.", "authn.", "credential.")
"""How the attributes of a request begin, which records have under `attributes`."""
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "decision": ("allow", "deny"),
    "kind": ("decision", "completion", "event"),
    "outcome": tuple(outcome.value for outcome in Outcome),
    "actor.kind": tuple(kind.value for kind in PrincipalKind),
}
"""Fields that have one of a few values: any other would find nothing, and look like an answer."""
_ID: Final = re.compile(r"(?:usr|cli|key)_[0-9A-Za-z]+", re.ASCII)
_VALUE: Final = r'(?:"(?:[^"\\]|\\.)*"|[^\s",]+)'
_TERM: Final = re.compile(rf'(-?)([^\s:",]+):({_VALUE}(?:,{_VALUE})*)(?=\s|$)', re.DOTALL)
_VALUES: Final = re.compile(_VALUE, re.DOTALL)
_COMPARED: Final = re.compile(r"(>=|<=|>|<)(.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"-?\d{1,18}(?:\.\d{1,9})?", re.ASCII)
_DURATION: Final = re.compile(r"([1-9]\d{0,8})(s|min|h|d)", re.ASCII)
_DELICATE: Final = re.compile(r'[\s",*\\]|^[<>]|^$')
_QUERY: Final = Redactor(Redaction(), b"")
"""Hides in a path what no record shows of it."""
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}


class FilterError(ValueError):
    """A filter cannot be understood. The text says which part of it, and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What was asked for."""

    terms: tuple[Term, ...] = ()
    since: str | None = None
    """Not older than this, written as the records' `time`."""
    until: str | None = None
    """Older than this."""

    def matches(self, record: Mapping[str, object]) -> bool:
        """Say whether a record, with all its fields, is among what was asked for."""
        time = str(record.get("time") or "")
        if self.since is not None and time < self.since:
            return False
        if self.until is not None and time >= self.until:
            return False
        return all(term.is_met_by(record) for term in self.terms)

    def narrowed(
        self, terms: Iterable[Term] = (), *, since: str | None = None, until: str | None = None
    ) -> "Filter":
        """Return the filter with more asked for. Raise `FilterError` for a limit in time that it has."""
        for name, old, new in (("since", self.since, since), ("until", self.until, until)):
            if old is not None and new is not None:
                raise FilterError(f"{name}: is given twice; one is enough")
        return replace(
            self,
            terms=(*self.terms, *terms),
            since=self.since if since is None else since,
            until=self.until if until is None else until,
        )


def parse_filter(text: str, *, now: float) -> Filter:
    """Return what a text asks for; everything, for an empty one. Durations are before `now`, in seconds since
    the epoch. Raise `FilterError`."""
    found, place = Filter(), _next(text, 0)
    while place < len(text):
        match = _TERM.match(text, place)
        if match is None:
            raise FilterError(_flaw(text[place:]))
        negated, field, values = match[1] == "-", match[2], match[3]
        if field == "since":
            found = found.narrowed(since=_limit(field, values, negated=negated, now=now))
        elif field == "until":
            found = found.narrowed(until=_limit(field, values, negated=negated, now=now))
        else:
            found = found.narrowed([_term(_field(field), _VALUES.findall(values), negated=negated)])
        place = _next(text, match.end())
    return found


def exact_term(field: str, value: str) -> Term:
    """Return the term for a field that has just this value, whatever is in it. Raise `FilterError`."""
    return Term(field=field, values=(_checked(field, value),))


def parse_time(text: str, *, now: float) -> str:
    """Return a duration before now (`30min`, `1h`, `7d`) or a time of RFC 3339 as records have it; without an
    offset it is UTC. Raise `FilterError`."""
    match = _DURATION.fullmatch(text)
    if match is not None:
        return timestamp(max(0.0, now - int(match[1]) * _SECONDS[match[2]]))
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        message = f"{text!r} is not a time; write 30min, 1h or 7d before now, or 2026-01-31T12:00:00Z"
        raise FilterError(message) from None


def described(terms: Iterable[Term]) -> str:
    """Return terms as one would write them, without values that may be personal: the ids of accounts stay."""
    return " ".join(map(_described, terms))


def _next(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _limit(field: str, value: str, *, negated: bool, now: float) -> str:
    if negated:
        raise FilterError(f"-{field}: cannot be negated; write {_TIMES[field == 'since']}: instead")
    try:
        return parse_time(_plain(value) if value.startswith('"') else value, now=now)
    except FilterError as error:
        raise FilterError(f"{field}: {error}") from None


def _field(name: str) -> str:
    if name.startswith(_ATTRIBUTES) and len(name) > len(_ATTRIBUTES):
        return name
    field = name.replace("-", "_")
    if field in _FIELDS:
        return field
    if field == "time":
        raise FilterError("time: write since: and until: instead")
    if field.startswith(_RECORDED):
        raise FilterError(f"unknown field {name!r}; did you mean {_ATTRIBUTES}{name}?")
    near = get_close_matches(field, (*_FIELDS, *_TIMES), n=1, cutoff=0.6)
    if near:
        raise FilterError(f"unknown field {name!r}; did you mean {near[0]}?")
    known = ", ".join((*_TIMES, *_FIELDS, f"{_ATTRIBUTES}NAME"))
    raise FilterError(f"unknown field {name!r}; there are {known}")


def _term(field: str, values: list[str], *, negated: bool) -> Term:
    compared = _COMPARED.fullmatch(values[0])
    if compared is not None:
        return _comparison(field, compared[1], compared[2], alone=len(values) == 1, negated=negated)
    if not any("*" in value for value in values if value[0] != '"'):
        plain = tuple(_checked(field, _plain(value) if value[0] == '"' else value) for value in values)
        return Term(field=field, values=plain, negated=negated)
    if any("*" in value for value in values if value[0] == '"'):
        message = (
            f'{field}: a * in quotes is a * and one without stands for any text; write two terms, not "a*",b*'
        )
        raise FilterError(message)
    return Term(
        field=field,
        values=tuple(_plain(value) if value[0] == '"' else value for value in values),
        comparison=Comparison.LIKE,
        negated=negated,
    )


def _comparison(field: str, sign: str, bound: str, *, alone: bool, negated: bool) -> Term:
    if field not in _NUMBERS and not field.startswith(_ATTRIBUTES):
        raise FilterError(
            f'{field}: {sign} compares numbers, which this is not; a text is {field}:"{sign}..."'
        )
    if not alone:
        raise FilterError(f"{field}: {sign} stands alone, without commas; write a term for each comparison")
    return Term(field=field, values=(_numeral(field, bound),), comparison=Comparison(sign), negated=negated)


def _numeral(field: str, text: str) -> str:
    if _NUMBER.fullmatch(text) is None:
        raise FilterError(f"{field}: {text!r} is not a number")
    return text


def _checked(field: str, value: str) -> str:
    """Return a value that the field can have."""
    if field in _NUMBERS:
        return _numeral(field, value)
    if field == "request_id":
        return value.lower()
    known = _KNOWN.get(field)
    if known is not None and value not in known:
        raise FilterError(f"{field}: {value!r} is not one of {', '.join(known)}")
    return value


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)


def _flaw(rest: str) -> str:
    """Return what is wrong with a text that does not begin with a term."""
    word = rest.split(maxsplit=1)[0]
    field, colon, value = word.partition(":")
    if word.startswith("--"):
        return f"{word.partition('=')[0]} is no option of this command, and no filter either; see --help"
    if not colon or not field.strip("-"):
        return f"{word!r} is not FIELD:VALUE, as in decision:deny; a value with blanks is written in quotes"
    if not value:
        return f"{word} needs a value; {field}:* finds what has any, -{field}:* what has none"
    if value.count('"') % 2:
        return f'{word!r}: a quote is not closed; in quotes, write \\" for a quote and \\\\ for a backslash'
    return f'{word!r}: the value cannot be read; write it in quotes, as in {field}:"a, b"'


def _described(term: Term) -> str:
    values = ",".join(_shown(term, value) for value in term.values)
    return f"{'-' if term.negated else ''}{term.field}:{values}"


def _shown(term: Term, value: str) -> str:
    if term.may_be_personal and _ID.fullmatch(value) is None:
        return "***"
    if term.field == "path":
        value = _QUERY.target(value)
    match term.comparison:
        case Comparison.IS:
            escaped = re.sub(r'(["\\])', r"\\\1", value)
            return f'"{escaped}"' if _DELICATE.search(value) else value
        case Comparison.LIKE:
            return value
        case sign:
            return sign.value + value
