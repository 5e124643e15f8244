"""How times are written."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Timestamps, timestamp


@given(st.floats(0, 4_000_000_000))
def test_a_time_is_rfc_3339_in_utc_with_microseconds(seconds: float) -> None:
    text = timestamp(seconds)
    assert len(text) == 27
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text).timestamp() - seconds) < 2e-6
    assert datetime.fromisoformat(text).tzinfo == UTC


@given(st.lists(st.floats(1.7e9, 1.7e9 + 5), min_size=2))
def test_times_sort_as_their_texts_do(times: list[float]) -> None:
    stamps = Timestamps()
    assert sorted(stamps.text(one) for one in times) == [stamps.text(one) for one in sorted(times)]
