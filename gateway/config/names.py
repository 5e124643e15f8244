"""What things are called, as the files write it: names, scopes, methods, fields, what limits count by."""

import re

from gateway.config.problem import text_of, wrong
from gateway.config.words import nearest
from gateway.model import is_name
from gateway.policy import CERTIFICATE_ATTRIBUTES

_LONGEST = 128
"""Characters of a scope, or of the id of a limit."""
_SCOPE = re.compile(r"[A-Za-z0-9._-]+(?::[A-Za-z0-9._-]+)*")
_SCOPE_PATTERN = re.compile(r"\*|[A-Za-z0-9._-]+(?::[A-Za-z0-9._-]+)*(?::\*)?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"),
    *("ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR"),
    *("MKCOL", "MOVE", "NOTIFY", "PROPFIND", "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE"),
    *("SUBSCRIBE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE"),
)
"""Methods that the HTTP parser knows and a route may name; CONNECT and TRACE are always refused."""
_PLAIN_DIMENSIONS = ("principal", "client_ip", "api_key", "username", "route", "all")


def read_name(value: object) -> str:
    """Return the name of something that is declared in the files."""
    text = text_of(value, "a name, in quotes if it is a number")
    if not is_name(text):
        raise wrong("is not a name", 'use letters, digits, "-", "_" and ".", at most 64 of them')
    return text


def read_limit_id(value: object) -> str:
    """Return the id of a limit: a name, or several with colons between them."""
    text = text_of(value, "a name, in quotes if it is a number")
    if not all(map(is_name, text.split(":"))) or len(text) > _LONGEST:
        raise wrong("is not an id", 'use letters, digits, "-", "_", "." and ":"')
    return text


def read_scope(value: object) -> str:
    """Return a scope."""
    text = text_of(value, "orders:read")
    if "*" in text:
        raise wrong("holds a wildcard; only roles may have wildcards", "name every scope")
    if _SCOPE.fullmatch(text) is None or len(text) > _LONGEST:
        raise wrong("is not a scope", 'use letters, digits, "-", "_", "." and ":", as in orders:read')
    return text


def read_scope_pattern(value: object) -> str:
    """Return a scope, or a wildcard for several."""
    text = text_of(value, "orders:read")
    if _SCOPE_PATTERN.fullmatch(text) is None or len(text) > _LONGEST:
        raise wrong("is neither a scope nor a wildcard", 'write orders:read, "orders:*" or "*"')
    return text


def read_method(value: object) -> str:
    """Return a method."""
    text = text_of(value, "GET")
    if text in METHODS:
        return text
    if text.upper() in METHODS:
        raise wrong("is not a method: methods are upper-case", f"write {text.upper()}")
    if text.upper() in {"CONNECT", "TRACE"}:
        raise wrong("is always refused by the gateway", "remove it")
    if text in {"*", "ALL", "ANY", "any", "all"}:
        raise wrong("is not a method", "name each method: [GET, POST]")
    close = nearest(text.upper(), METHODS)
    raise wrong(
        "is not a method", f"did you mean {close}?" if close else "write GET, POST, PUT, PATCH or DELETE"
    )


def read_header_name(value: object) -> str:
    """Return the name of a field, lower-case."""
    text = text_of(value, "x-api-key")
    if "*" in text or _TOKEN.fullmatch(text) is None:
        raise wrong("is not the name of a header field", 'use letters, digits and "-", as in x-api-key')
    return text.lower()


def read_header_pattern(value: object) -> str:
    """Return the name of a field, or its beginning with a `*`; lower-case."""
    text = text_of(value, "x-internal-*")
    if text == "*":
        raise wrong("would remove every header field", "write the beginning of the names: x-internal-*")
    if "*" in text[:-1] or _TOKEN.fullmatch(text) is None:
        raise wrong(
            "is not the name of a header field", "write a name, or its beginning and a *: x-internal-*"
        )
    return text.lower()


def read_header_value(value: object) -> str:
    """Return the value of a field."""
    text = text_of(value, "text in quotes")
    if "\n" in text or "\r" in text:
        raise wrong("holds a line break, which would end the header field", "remove it")
    if _HEADER_VALUE.fullmatch(text) is None:
        raise wrong("is not the value of a header field", "use printable ASCII without spaces at either end")
    return text


def read_per(value: object) -> tuple[str, ...]:
    """Return what a limit counts apart: one dimension or a list of them."""
    parts = value if isinstance(value, list) else [value]
    if not parts:
        raise wrong("is empty", "write per: principal")
    if len({str(part) for part in parts}) != len(parts):
        raise wrong("names the same thing twice", "name each once")
    return tuple(_dimension(part) for part in parts)


def _dimension(value: object) -> str:
    text = text_of(value, "principal")
    kind, dot, rest = text.partition(".")
    if text in _PLAIN_DIMENSIONS:
        return text
    if kind == "claims" and dot and rest:
        return text
    if kind == "header" and dot and _TOKEN.fullmatch(rest):
        return text.lower()
    close = nearest(text, _PLAIN_DIMENSIONS)
    known = f"{', '.join(_PLAIN_DIMENSIONS)}, claims.X or header.X"
    raise wrong("is nothing to count by", f'did you mean "{close}"?' if close else f"write {known}")


def read_recorded_field(value: object) -> str:
    """Return the name of something that the audit trail masks or hashes: `query.token`, `client.ip`."""
    text = text_of(value, "query.token")
    kind, _, rest = text.partition(".")
    if kind == "header" and _TOKEN.fullmatch(rest):
        return text.lower()
    if text in CERTIFICATE_ATTRIBUTES:
        return text
    if text != "client.ip" and (kind not in {"query", "claims"} or not rest):
        known = "query.NAME, header.NAME, claims.NAME, client.cert.NAME or client.ip"
        raise wrong("names nothing that is recorded of a request", f"write {known}")
    return text
