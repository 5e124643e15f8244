"""`present`: whether an attribute has a value at all. Never unknown."""

from gateway.policy.attributes import Attribute
from gateway.policy.base import Facts, Test, Truth
from gateway.policy.finding import Flaw, Names


def compile_present(attribute: Attribute, operand: object, _names: Names) -> Test:
    """`present: true` or `present: false`. What occurs twice or cannot be read is not present."""
    if not isinstance(operand, bool):
        raise Flaw("E122", '"present" takes true or false')
    read = attribute.read

    def is_there(facts: Facts) -> Truth:
        return (read(facts) is not None) is operand

    return is_there
