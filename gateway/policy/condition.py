"""From `when:` as it is written to a compiled condition: closures, built once, that look at one request."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network

from gateway.policy.attributes import Attribute, find_attribute
from gateway.policy.base import Condition, Test
from gateway.policy.finding import Flaw, Names
from gateway.policy.logic import all_of, any_of, none_of
from gateway.policy.operators import find_operator, takes
from gateway.policy.schedule import Schedule

Path = tuple[str | int, ...]
"""Keys and positions from the condition's root."""
Report = Callable[[Path, str, str, str | None], None]
"""Told path, code, message, and what to write instead of the name or value at the path."""

_COMBINATORS: Mapping[str, Callable[[Sequence[Test]], Test]] = {
    "all_of": all_of,
    "any_of": any_of,
    "none_of": none_of,
}
_DEEPEST = 16


def compile_condition(
    tree: object,
    *,
    place: Callable[[Path], str],
    networks: Mapping[str, tuple[IPv4Network | IPv6Network, ...]],
    schedules: Mapping[str, Schedule],
    params: frozenset[str] | None,
    roles: frozenset[str],
    report: Report,
) -> Condition | None:
    """Return a compiled condition, or None after reporting everything that is wrong with it.

    `params` are the parameters of the route's path; None where there is no route, so that `path.*` is a
    finding. E120, E121, and E107 at a path that ends with the attribute's name, are about a key; all
    others about a value.
    """
    compiler = _Compiler(Names(networks=networks, schedules=schedules, params=params, roles=roles), report)
    test = compiler.mapping(tree, ())
    if test is None or compiler.found:
        return None
    attributes = compiler.attributes
    return Condition(
        test=test,
        attributes=frozenset(attributes),
        unread=frozenset(name for name, is_read in attributes.items() if not is_read),
        place=place(()),
    )


class _Compiler:
    """Walks one tree; goes on after a finding, so that all are reported at once."""

    def __init__(self, names: Names, report: Report) -> None:
        self._names = names
        self._report = report
        self.attributes: dict[str, bool] = {}
        """What is looked at, and whether at more than its presence."""
        self.found = 0

    def mapping(self, tree: object, path: Path) -> Test | None:
        """Return the test of a mapping: all of its entries hold."""
        if not isinstance(tree, Mapping) or not tree:
            self._flaw(path, Flaw("E122", "a condition is a mapping such as client.ip: {in_network: office}"))
            return None
        if len(path) > 2 * _DEEPEST:
            self._flaw(path, Flaw("E122", f"conditions nest at most {_DEEPEST} deep"))
            return None
        tests = [self._entry(key, value, (*path, key)) for key, value in tree.items()]
        return all_of([test for test in tests if test is not None]) if None not in tests else None

    def _entry(self, key: object, value: object, path: Path) -> Test | None:
        combine = _COMBINATORS.get(key) if isinstance(key, str) else None
        if combine is not None:
            return self._combination(combine, value, path)
        try:
            attribute = find_attribute(str(key), self._names)
        except Flaw as flaw:
            self._flaw(path, flaw)
            return None
        if not isinstance(value, Mapping) or not value:
            known = ", ".join(takes(attribute))
            self._flaw(path, Flaw("E122", f'"{key}" needs an operator and a value; it takes {known}'))
            return None
        tests = [self._question(attribute, name, operand, (*path, name)) for name, operand in value.items()]
        return all_of([test for test in tests if test is not None]) if None not in tests else None

    def _combination(
        self, combine: Callable[[Sequence[Test]], Test], value: object, path: Path
    ) -> Test | None:
        if not isinstance(value, list) or not value:
            # Of no conditions, all hold: an empty list would let everybody in.
            self._flaw(path, Flaw("E122", f'"{path[-1]}" takes a list of at least one condition'))
            return None
        tests = [self.mapping(item, (*path, position)) for position, item in enumerate(value)]
        return combine([test for test in tests if test is not None]) if None not in tests else None

    def _question(self, attribute: Attribute, name: str, operand: object, path: Path) -> Test | None:
        try:
            operator = find_operator(name, attribute)
            test = operator.compile(attribute, operand, self._names)
        except Flaw as flaw:
            self._flaw(path, flaw)
            return None
        self._look_at(attribute.name, is_read=name != "present")
        if name == "same_as":
            self._look_at(find_attribute(str(operand), self._names).name, is_read=True)
        return test

    def _look_at(self, name: str, *, is_read: bool) -> None:
        self.attributes[name] = self.attributes.get(name, False) or is_read

    def _flaw(self, path: Path, flaw: Flaw) -> None:
        self.found += 1
        self._report((*path, *flaw.within), flaw.code, flaw.message, flaw.suggestion)
