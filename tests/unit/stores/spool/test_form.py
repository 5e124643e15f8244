"""Looking for a number among bytes."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.spool.form import numbers_in


@given(
    st.binary(max_size=300),
    st.lists(st.integers(-3, 70_000), max_size=5),
    st.integers(4, 2**50),
    st.binary(max_size=4),
)
def test_every_number_within_reach_is_found_and_no_other(
    noise: bytes, ahead: list[int], expected: int, between: bytes
) -> None:
    data = noise + b"".join((expected + step).to_bytes(8, "little") + between for step in ahead)
    found = dict(numbers_in(data, expected))
    plain = {place: int.from_bytes(data[place : place + 8], "little") for place in range(len(data) - 7)}
    assert found == {
        place: number for place, number in plain.items() if expected <= number < expected + 65_536
    }
