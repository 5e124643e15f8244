"""What the configuration, and a path, can name something."""

import pytest

from gateway.model import is_name


@pytest.mark.parametrize("text", ["a", "_", "0", "orders.v1-x_y", "A" * 64])
def test_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "-a", ".a", "a b", "a/b", "a:b", "a%", "\u00e9", "a\n", "\uff41", "A" * 65]
)
def test_what_is_no_name(text: str) -> None:
    assert not is_name(text)
