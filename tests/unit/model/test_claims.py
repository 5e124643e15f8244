"""Claims by the names that policies use."""

import pytest

from gateway.model.claims import read_claim

CLAIMS = {"a": 1, "a.b": "literal", "a.c": None, "o": {"p": {"q": [1]}}, "n": None, "l": [{"x": 1}]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", 1),
        ("a.b", "literal"),
        ("a.c", None),
        ("o.p.q", [1]),
        ("o.p.z", None),
        ("o.x.q", None),
        ("n", None),
        ("l.x", None),
        ("l.0", None),
        ("z", None),
        ("o.", None),
    ],
)
def test_the_whole_name_comes_first_then_its_steps(name: str, value: object) -> None:
    assert read_claim(CLAIMS, name) == value


def test_a_principal_without_a_token_has_no_claims() -> None:
    assert read_claim(None, "sub") is None
    assert read_claim({}, "sub") is None
