"""`is`, `in`, `prefix`, `same_as`: one value against others. Types count: `1` is neither `"1"` nor `true`."""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from gateway.model.address import read_address
from gateway.policy.attributes import Attribute, Shape, find_attribute
from gateway.policy.base import Facts, Test, Truth
from gateway.policy.finding import Flaw, Names
from gateway.policy.nearest import nearest

_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")
AUTHN_KINDS = frozenset({"gateway_jwt", "api_key", "jwt", "mtls"})


def same(one: object, other: object) -> bool:
    """Say whether two values are equal and of the same kind; numbers are one kind, truth values another."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str):
        return isinstance(other, str) and one == other
    return isinstance(one, int | float) and isinstance(other, int | float) and one == other


def compile_is(attribute: Attribute, operand: object, _names: Names) -> Test:
    """`is: VALUE`: the attribute is exactly this."""
    return _one_of(attribute, (_literal(attribute, operand),))


def compile_in(attribute: Attribute, operand: object, _names: Names) -> Test:
    """`in: [VALUE, ...]`: the attribute is one of these."""
    if not isinstance(operand, list) or not operand:
        raise Flaw("E122", '"in" takes a list of at least one value: write [a, b]')
    literals = []
    for position, item in enumerate(operand):
        try:
            literals.append(_literal(attribute, item))
        except Flaw as flaw:
            raise Flaw(flaw.code, flaw.message, flaw.suggestion, within=(position,)) from None
    return _one_of(attribute, literals)


def compile_prefix(attribute: Attribute, operand: object, _names: Names) -> Test:
    """`prefix: TEXT`: the attribute begins with this. Unknown for a claim that is not text."""
    if not isinstance(operand, str) or not operand:
        raise Flaw("E122", '"prefix" takes text that is not empty; everything begins with nothing')
    read = attribute.read
    start = operand.lower() if attribute.name == "host" else operand

    def begins(facts: Facts) -> Truth:
        value = read(facts)
        return value.startswith(start) if isinstance(value, str) else None

    return begins


def compile_same_as(attribute: Attribute, operand: object, names: Names) -> Test:
    """`same_as: ATTRIBUTE`: both have the same value. Unknown when either is missing."""
    if not isinstance(operand, str):
        raise Flaw("E122", '"same_as" takes the name of an attribute, such as path.user_id')
    other = find_attribute(operand, names)
    if other.shape not in {Shape.TEXT, Shape.TEXTS, Shape.ADDRESS, Shape.CLAIM}:
        raise Flaw("E122", f'"{operand}" is {other.shape.value}, not one value to compare with')
    if other.name == attribute.name:
        raise Flaw("E122", f'"{operand}" is always the same as itself')
    read, read_other = attribute.read, other.read

    def equals(facts: Facts) -> Truth:
        one, two = read(facts), read_other(facts)
        return same(one, two) if _is_single(one) and _is_single(two) else None

    return equals


def _one_of(attribute: Attribute, literals: Sequence[object]) -> Test:
    read = attribute.read
    if attribute.shape in {Shape.CLAIM, Shape.TEXTS}:

        def matches(facts: Facts) -> Truth:
            value = read(facts)
            if not _is_single(value):
                return None
            return any(same(value, literal) for literal in literals)

        return matches
    texts = frozenset(literals)

    def equals(facts: Facts) -> Truth:
        value = read(facts)
        return None if value is None else value in texts

    return equals


def _is_single(value: object) -> bool:
    """Say whether a value is there and can be compared; of a list or an object nobody knows what is meant."""
    return isinstance(value, str | int | float)


def _literal(attribute: Attribute, operand: object) -> object:
    """Return a value of the policy in the form in which the attribute has it. Raise `Flaw`."""
    if attribute.shape is Shape.CLAIM:
        if not _is_single(operand) or (isinstance(operand, float) and not math.isfinite(operand)):
            raise Flaw("E122", "a claim is compared with text, a number, true or false")
        return operand
    if not isinstance(operand, str):
        if isinstance(operand, int | float):
            raise Flaw("E122", f'"{attribute.name}" is text: put the value in quotes')
        raise Flaw("E122", f'"{attribute.name}" is compared with text')
    form = _FORMS.get(attribute.name)
    return operand if form is None else form(operand)


def _address(text: str) -> str:
    address = read_address(text)
    if address is None:
        raise Flaw(
            "E122",
            f'"{text}" is not an address; for a network use in_network',
        )
    return str(address)


def _method(text: str) -> str:
    if text != text.upper():
        raise Flaw("E122", "methods are written in capitals", text.upper())
    return text


def _authn_kind(text: str) -> str:
    if text not in AUTHN_KINDS:
        raise Flaw("E122", f'no authenticator is of kind "{text}"', nearest(text, AUTHN_KINDS))
    return text


def _host(text: str) -> str:
    if _HOST.fullmatch(text) is None:
        raise Flaw("E122", f'"{text}" is not a host name: write it without port, and each one in full')
    return text.lower().removesuffix(".")


_FORMS: Mapping[str, Callable[[str], str]] = {
    "client.ip": _address,
    "method": _method,
    "authn.kind": _authn_kind,
    "host": _host,
}
