"""`during`: whether it is time."""

from gateway.policy.attributes import Attribute
from gateway.policy.base import Facts, Test, Truth
from gateway.policy.finding import Flaw, Names
from gateway.policy.nearest import nearest


def compile_during(_attribute: Attribute, operand: object, names: Names) -> Test:
    """`during: NAME` of a schedule."""
    if not isinstance(operand, str):
        raise Flaw("E122", '"during" takes the name of a schedule')
    schedule = names.schedules.get(operand)
    if schedule is None:
        raise Flaw("E108", f'unknown schedule "{operand}"', nearest(operand, names.schedules))

    def covers(facts: Facts) -> Truth:
        return schedule.covers(facts.now)

    return covers
