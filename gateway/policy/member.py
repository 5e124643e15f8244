"""`has`: a set of names or a list contains a value."""

from gateway.policy.attributes import Attribute, Shape
from gateway.policy.base import Facts, Test, Truth
from gateway.policy.compare import same
from gateway.policy.finding import Flaw, Names
from gateway.policy.nearest import nearest


def compile_has(attribute: Attribute, operand: object, names: Names) -> Test:
    """`has: VALUE`. Unknown for a claim that is not a list: text that contains a word is no list with it. One
    name of a certificate is the only one of its kind."""
    if not isinstance(operand, str | int | float):
        raise Flaw("E122", '"has" takes one value; for several write any_of or all_of')
    read = attribute.read
    if attribute.shape is Shape.NAMES:
        if not isinstance(operand, str) or operand not in names.roles:
            raise Flaw("E104", f'unknown role "{operand}"', nearest(str(operand), names.roles))

        def holds(facts: Facts) -> Truth:
            value = read(facts)
            return operand in value if isinstance(value, frozenset) else None

        return holds

    if attribute.shape is Shape.TEXTS:
        if not isinstance(operand, str):
            raise Flaw("E122", f'"{attribute.name}" is text: put the value in quotes')

        def is_among(facts: Facts) -> Truth:
            value = read(facts)
            return operand in (value if isinstance(value, tuple) else (value,)) if value is not None else None

        return is_among

    def contains(facts: Facts) -> Truth:
        value = read(facts)
        return any(same(item, operand) for item in value) if isinstance(value, list | tuple) else None

    return contains
