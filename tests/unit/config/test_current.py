from collections.abc import Callable

from gateway.config import Current, Loaded


def test_a_snapshot_is_replaced_whole(load: Callable[..., Loaded], policies: str) -> None:
    first, second = load().snapshot, load(policies + "# changed\n").snapshot
    assert first is not None
    assert second is not None
    current = Current(first)
    assert current.snapshot is first
    assert current.replace(second) is first
    assert current.snapshot is second
    assert repr(current) == f"Current({second.revision})"
