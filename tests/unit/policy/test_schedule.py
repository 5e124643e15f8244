"""Schedules in the time zone of the people they are for."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.policy import Schedule

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("moment", "covered"),
    [
        ("2025-11-24T07:59:59.9", False),
        ("2025-11-24T08:00", True),
        ("2025-11-24T17:59:59.9", True),
        ("2025-11-24T18:00", False),
        ("2025-11-28T12:00", True),
        ("2025-11-29T12:00", False),
        ("2025-07-07T08:00", True),
        ("2025-07-07T07:59", False),
    ],
)
def test_hours_are_by_the_clock_on_the_wall_in_winter_and_summer(moment: str, covered: bool) -> None:
    hours = Schedule.parse("mon-fri", "08:00", "18:00", "Europe/Berlin")
    assert hours.covers(at(moment)) is covered


@pytest.mark.parametrize(
    ("moment", "covered"),
    [
        ("2025-11-28T21:59", False),
        ("2025-11-28T22:00", True),
        ("2025-11-29T05:59", True),
        ("2025-11-29T06:00", False),
        ("2025-11-29T22:00", False),
        ("2025-11-28T03:00", False),
    ],
)
def test_hours_past_midnight_belong_to_the_day_on_which_they_begin(moment: str, covered: bool) -> None:
    night = Schedule.parse(["fri"], "22:00", "06:00", "Europe/Berlin")
    assert night.covers(at(moment)) is covered


def test_an_hour_that_occurs_twice_counts_twice() -> None:
    hour = Schedule.parse("sun", "02:00", "03:00", "Europe/Berlin")
    assert hour.covers(at("2025-10-26T02:30"))
    assert hour.covers(at("2025-10-26T02:30", fold=1))
    assert not hour.covers(at("2025-10-26T03:00"))


def test_an_hour_that_is_left_out_does_not_occur() -> None:
    hour = Schedule.parse("sun", "02:00", "03:00", "Europe/Berlin")
    spring = datetime(2025, 3, 30, 0, 59, 59, tzinfo=UTC).timestamp()
    assert not hour.covers(spring)
    assert not hour.covers(spring + 1)


def test_days_may_go_over_the_end_of_the_week_and_be_listed() -> None:
    assert Schedule.parse("fri-mon", "00:00", "24:00", "UTC").days == {4, 5, 6, 0}
    assert Schedule.parse(["mon", "wed-thu"], "00:00", "24:00", "UTC").days == {0, 2, 3}
    assert Schedule.parse("mon-sun", "00:00", "24:00", "UTC").days == set(range(7))


def test_a_whole_day_is_written_from_00_00_to_24_00() -> None:
    day = Schedule.parse("sat", "00:00", "24:00", "UTC")
    saturday = datetime(2025, 11, 29, tzinfo=UTC).timestamp()
    assert day.covers(saturday)
    assert day.covers(saturday + 86399)
    assert not day.covers(saturday + 86400)
    assert not day.covers(saturday - 1)


@pytest.mark.parametrize(
    ("days", "start", "end", "zone", "says"),
    [
        ("mon-fry", "08:00", "18:00", "UTC", '"mon-fri"'),
        ("Mon-Fri", "08:00", "18:00", "UTC", 'did you mean "mon"'),
        ("weekdays", "08:00", "18:00", "UTC", '"mon-fri"'),
        ("", "08:00", "18:00", "UTC", '"mon-fri"'),
        ([], "08:00", "18:00", "UTC", "at least one day"),
        ("mon", "8:00", "18:00", "UTC", '"08:00" to "24:00"'),
        ("mon", "08:00", "24:30", "UTC", "24:30"),
        ("mon", "08:60", "18:00", "UTC", "08:60"),
        ("mon", "24:00", "18:00", "UTC", '"00:00"'),
        ("mon", "08:00", "08:00", "UTC", '"24:00"'),
        ("mon", "08:00", "18:00", "Europe/Berln", 'did you mean "Europe/Berlin"'),
        ("mon", "08:00", "18:00", "europe/berlin", 'did you mean "Europe/Berlin"'),
        ("mon", "08:00", "18:00", "Europe", "is not a time zone"),
        ("mon", "08:00", "18:00", "../../etc/passwd", "is not a time zone"),
        ("mon", "08:00", "18:00", "", "is not a time zone"),
    ],
)
def test_a_wrong_schedule_says_what_to_write(
    days: str | list[str], start: str, end: str, zone: str, says: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Schedule.parse(days, start, end, zone)


def test_without_a_time_zone_database_it_says_so_and_utc_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.policy.schedule.available_timezones", set)
    with pytest.raises(ValueError, match="install the package tzdata, or write UTC"):
        Schedule.parse("mon", "08:00", "18:00", "Nowhere/Atall")
    assert Schedule.parse("mon", "08:00", "18:00", "UTC").zone is UTC
