"""What a condition may look at: how each attribute is named, read, and what shape its values have."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import unquote_to_bytes

from gateway.model import ClientCertificate
from gateway.model.address import read_address
from gateway.model.claims import read_claim
from gateway.policy.base import Facts
from gateway.policy.finding import Flaw, Names
from gateway.policy.nearest import nearest

Reader = Callable[[Facts], object]
"""Returns an attribute's value; None when it is missing."""


class Shape(Enum):
    """What an attribute's values are, which decides what can be asked of them."""

    TEXT = "text"
    TEXTS = "one text or several"
    ADDRESS = "an address"
    NAMES = "a set of names"
    CLAIM = "whatever the token says"
    TIME = "the time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute, as one condition names it."""

    name: str
    shape: Shape
    read: Reader = field(repr=False)


def find_attribute(name: str, names: Names) -> Attribute:
    """Return an attribute by the name that a policy gives it. Raise `Flaw`."""
    fixed = _FIXED.get(name)
    if fixed is not None:
        return fixed
    family, dot, rest = name.partition(".")
    if not dot or not rest:
        raise _unknown(name)
    if family == "claims":
        return Attribute(name=name, shape=Shape.CLAIM, read=_claim(rest))
    if family == "path":
        return _path(name, rest, names)
    if family == "query":
        return Attribute(name=name, shape=Shape.TEXT, read=_query(rest))
    if family == "header":
        if _TOKEN.fullmatch(rest) is None:
            raise Flaw("E121", f'"{rest}" is not the name of a header field')
        field_name = rest.lower()
        return Attribute(name=f"header.{field_name}", shape=Shape.TEXT, read=_header(field_name))
    raise _unknown(name)


# RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _unknown(name: str) -> Flaw:
    _, _, rest = name.partition(".")
    known = [*_FIXED, *(f"{family}.{rest or 'NAME'}" for family in _FAMILIES)]
    fixed = sorted(_FIXED.keys() - CERTIFICATE_ATTRIBUTES)
    return Flaw(
        "E121",
        f'unknown attribute "{name}"; there are {", ".join(fixed)}, '
        "claims.NAME, client.cert.NAME, header.NAME, path.NAME and query.NAME",
        nearest(name, known),
    )


def _path(name: str, param: str, names: Names) -> Attribute:
    if names.params is None:
        raise Flaw("E107", f'"{name}" means nothing here: a rule for every route has no path to take it from')
    if param not in names.params:
        likely = nearest(param, names.params)
        raise Flaw("E107", f'path has no parameter "{param}"', likely and f"path.{likely}")

    def read(facts: Facts) -> str | None:
        return facts.params.get(param)

    return Attribute(name=name, shape=Shape.TEXT, read=read)


def _claim(name: str) -> Reader:
    def read(facts: Facts) -> object:
        return read_claim(facts.principal.claims, name)

    return read


def _header(name: str) -> Reader:
    wanted = name.encode("ascii")

    def read(facts: Facts) -> str | None:
        value = facts.head.fields.one(wanted)
        # What the bytes above 0x7F mean is anybody's guess, and upstreams guess differently.
        return value.decode("ascii") if value is not None and value.isascii() else None

    return read


def _query(name: str) -> Reader:
    def read(facts: Facts) -> str | None:
        query = facts.head.query
        if not query:
            return None
        found: str | None = None
        for pair in query.split("&"):
            key, _, value = pair.partition("=")
            if pair and _decode(key) == name:
                if found is not None:
                    return None
                found = value
        return None if found is None else _decode(found)

    return read


def _decode(text: str) -> str | None:
    """Return text percent-decoded once, None when that is not UTF-8. A `+` stays a `+`."""
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _client(facts: Facts) -> str | None:
    address = read_address(facts.head.client)
    return None if address is None else str(address)


def _principal_id(facts: Facts) -> str | None:
    return None if facts.principal.is_anonymous else facts.principal.id


def _principal_roles(facts: Facts) -> frozenset[str] | None:
    return None if facts.principal.is_anonymous else facts.principal.roles


def _authn_kind(facts: Facts) -> str | None:
    return None if facts.principal.is_anonymous else facts.principal.authn_kind


def _certificate(read: Callable[[ClientCertificate], object]) -> Reader:
    def read_it(facts: Facts) -> object:
        certificate = facts.certificate
        return None if certificate is None else read(certificate)

    return read_it


def _one_or_all(names: tuple[str, ...]) -> str | tuple[str, ...] | None:
    """Return one name as it is, so that it can be compared with; of several nobody knows which is meant."""
    return names[0] if len(names) == 1 else names or None


_OF_CERTIFICATES: tuple[tuple[str, Shape, Callable[[ClientCertificate], object]], ...] = (
    ("client.cert.subject", Shape.TEXT, lambda certificate: certificate.subject or None),
    ("client.cert.issuer", Shape.TEXT, lambda certificate: certificate.issuer or None),
    ("client.cert.serial", Shape.TEXT, lambda certificate: certificate.serial),
    ("client.cert.fingerprint", Shape.TEXT, lambda certificate: certificate.fingerprint),
    ("client.cert.san_uri", Shape.TEXTS, lambda certificate: _one_or_all(certificate.san_uri)),
    ("client.cert.san_dns", Shape.TEXTS, lambda certificate: _one_or_all(certificate.san_dns)),
    ("client.cert.san_email", Shape.TEXTS, lambda certificate: _one_or_all(certificate.san_email)),
)
CERTIFICATE_ATTRIBUTES = frozenset(name for name, _, _ in _OF_CERTIFICATES)
"""What may be asked of the certificate that a client has proved to hold."""

_FIXED = {
    attribute.name: attribute
    for attribute in (
        Attribute(name="client.ip", shape=Shape.ADDRESS, read=_client),
        *(
            Attribute(name=name, shape=shape, read=_certificate(read))
            for name, shape, read in _OF_CERTIFICATES
        ),
        Attribute(name="principal.id", shape=Shape.TEXT, read=_principal_id),
        Attribute(name="principal.roles", shape=Shape.NAMES, read=_principal_roles),
        Attribute(name="authn.kind", shape=Shape.TEXT, read=_authn_kind),
        Attribute(name="host", shape=Shape.TEXT, read=lambda facts: facts.head.host),
        Attribute(name="method", shape=Shape.TEXT, read=lambda facts: facts.head.method),
        Attribute(name="time", shape=Shape.TIME, read=lambda facts: facts.now),
    )
}
_FAMILIES = ("claims", "header", "path", "query")
