"""Every operator: what it is called, what it can be asked of, and the file that compiles it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.policy.attributes import Attribute, Shape
from gateway.policy.base import Test
from gateway.policy.compare import compile_in, compile_is, compile_prefix, compile_same_as
from gateway.policy.finding import Flaw, Names
from gateway.policy.member import compile_has
from gateway.policy.nearest import nearest
from gateway.policy.network import compile_in_network, compile_not_in_network
from gateway.policy.presence import compile_present
from gateway.policy.time_of_day import compile_during

Compiler = Callable[[Attribute, object, Names], Test]
"""Makes a test of an attribute and an operand as written. Raises `Flaw`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator."""

    shapes: frozenset[Shape]
    """What it can be asked of."""
    compile: Compiler


_ONE_VALUE = frozenset({Shape.TEXT, Shape.TEXTS, Shape.ADDRESS, Shape.CLAIM})

OPERATORS: Mapping[str, Operator] = {
    "is": Operator(shapes=_ONE_VALUE, compile=compile_is),
    "in": Operator(shapes=_ONE_VALUE, compile=compile_in),
    "same_as": Operator(shapes=_ONE_VALUE, compile=compile_same_as),
    "prefix": Operator(shapes=frozenset({Shape.TEXT, Shape.TEXTS, Shape.CLAIM}), compile=compile_prefix),
    "has": Operator(shapes=frozenset({Shape.NAMES, Shape.TEXTS, Shape.CLAIM}), compile=compile_has),
    "present": Operator(shapes=_ONE_VALUE | {Shape.NAMES}, compile=compile_present),
    "in_network": Operator(shapes=frozenset({Shape.ADDRESS}), compile=compile_in_network),
    "not_in_network": Operator(shapes=frozenset({Shape.ADDRESS}), compile=compile_not_in_network),
    "during": Operator(shapes=frozenset({Shape.TIME}), compile=compile_during),
}


def find_operator(name: object, attribute: Attribute) -> Operator:
    """Return an operator by name. Raise `Flaw` when there is none, or not for this attribute."""
    operator = OPERATORS.get(name) if isinstance(name, str) else None
    fitting = ", ".join(takes(attribute))
    if operator is None:
        message = f'unknown operator "{name}"; "{attribute.name}" takes {fitting}'
        raise Flaw("E120", message, nearest(str(name), OPERATORS))
    if attribute.shape not in operator.shapes:
        what = f'"{attribute.name}", which is {attribute.shape.value}'
        raise Flaw("E122", f'"{name}" cannot be asked of {what}: use {fitting}')
    return operator


def takes(attribute: Attribute) -> tuple[str, ...]:
    """Return the names of the operators that an attribute can be asked."""
    return tuple(name for name, operator in OPERATORS.items() if attribute.shape in operator.shapes)
