"""`in_network`, `not_in_network`."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("client", "truth"),
    [
        ("203.0.113.0", True),
        ("203.0.113.255", True),
        ("203.0.114.0", False),
        ("::ffff:203.0.113.9", True),
        ("2001:db8:10::1", True),
        ("2001:db8:10:ffff::1%eth0", True),
        ("2001:db8:11::1", False),
        ("", None),
        ("not an address", None),
    ],
)
def test_an_address_is_looked_for_in_a_network(
    bench: Any, facts: Any, client: str, truth: bool | None
) -> None:
    opposite = None if truth is None else not truth
    assert bench.truth({"client.ip": {"in_network": "office"}}, facts(client=client)) is truth
    assert bench.truth({"client.ip": {"not_in_network": "office"}}, facts(client=client)) is opposite


def test_several_networks_are_one(bench: Any, facts: Any) -> None:
    tree = {"client.ip": {"in_network": ["blocked", "office"]}}
    assert bench.truth(tree, facts(client="198.51.100.1")) is True
    assert bench.truth(tree, facts(client="203.0.113.1")) is True
    assert bench.truth(tree, facts(client="192.0.2.1")) is False


@pytest.mark.parametrize(
    ("operand", "within", "code", "suggestion"),
    [
        ("ofice", (), "E106", "office"),
        (["office", "bloked"], (1,), "E106", "blocked"),
        ("203.0.113.0/24", (), "E106", None),
        ([], (), "E122", None),
        (17, (), "E122", None),
    ],
)
def test_an_unknown_network_is_found(
    bench: Any, operand: object, within: tuple[int, ...], code: str, suggestion: str | None
) -> None:
    path, found, message, near = bench.finding({"client.ip": {"in_network": operand}})
    assert (path, found, near) == (("client.ip", "in_network", *within), code, suggestion)
    if operand == "203.0.113.0/24":
        assert "`networks`" in message
