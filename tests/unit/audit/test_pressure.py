"""What is given up when the spool fills, and in which order."""

import pytest

from gateway.audit import Level, Pressure


@pytest.mark.parametrize(
    ("used", "level"),
    [
        (0, Level.EASE),
        (699, Level.EASE),
        (700, Level.WARN),
        (849, Level.WARN),
        (850, Level.SPARE),
        (949, Level.SPARE),
        (950, Level.FULL),
        (5000, Level.FULL),
    ],
)
def test_the_fuller_the_spool_the_more_is_given_up(used: int, level: Level) -> None:
    pressure = Pressure(1000)
    pressure.measure(used)
    assert pressure.level is level
    assert pressure.fill == used / 1000


def test_it_eases_when_there_is_room_again() -> None:
    pressure = Pressure(1000)
    pressure.measure(990)
    pressure.measure(10)
    assert pressure.level is Level.EASE


def test_nothing_is_no_room() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Pressure(0)
