"""What waits in the queue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import Errand, ErrandKind


@given(st.sampled_from(ErrandKind), st.text(), st.text())
def test_an_errand_comes_back_as_it_was(kind: ErrandKind, email: str, username: str) -> None:
    errand = Errand(kind=kind, email=email, username=username)
    assert Errand.decoded(errand.encoded()) == errand


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"kind": "other", "email": "", "username": ""}', b"\xff"]
)
def test_what_another_version_made_is_told_apart(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an errand"):
        Errand.decoded(data)
