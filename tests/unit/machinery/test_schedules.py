"""Schedules of CronJobs: when what is due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.kinds import schedules

BERLIN = "Europe/Berlin"


def times(text: str, start: str, zone: str = "UTC", count: int = 3) -> list[str]:
    """The next times after ``start``, as a clock in ``zone`` shows them."""
    where = ZoneInfo(zone)
    moment = datetime.fromisoformat(start).replace(tzinfo=where).timestamp()
    found = []
    for _ in range(count):
        due = schedules.following(schedules.parse(text), moment, where)
        if due is None:
            break
        assert due > moment
        moment = due
        found.append(datetime.fromtimestamp(due, where).isoformat()[:16])
    return found


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("*/15 * * * *", "2026-01-01T00:14", ["00:15", "00:30", "00:45"]),
        ("5,7-9/2 * * * *", "2026-01-01T00:00", ["00:05", "00:07", "00:09"]),
        ("0 0/8 * * *", "2026-01-01T00:00", ["08:00", "16:00", "00:00"]),
        ("@hourly", "2026-01-01T00:00", ["01:00", "02:00", "03:00"]),
    ],
)
def test_minutes_and_hours(text, start, expected):
    assert [moment[11:] for moment in times(text, start)] == expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("0 0 29 2 *", "2026-01-01T00:00", ["2028-02-29", "2032-02-29"]),
        ("0 0 31 * *", "2026-01-31T00:00", ["2026-03-31", "2026-05-31"]),
        ("0 0 * dec mon", "2026-01-01T00:00", ["2026-12-07", "2026-12-14"]),
        ("0 0 13 * fri", "2026-02-01T00:00", ["2026-02-06", "2026-02-13"]),
        ("0 0 */20 * fri", "2026-01-16T00:00", ["2026-01-21", "2026-01-23"]),
        ("0 0 */1 * fri", "2026-01-16T00:00", ["2026-01-23", "2026-01-30"]),
        ("@yearly", "2026-01-01T00:00", ["2027-01-01", "2028-01-01"]),
        ("@weekly", "2026-01-01T00:00", ["2026-01-04", "2026-01-11"]),
        ("0 0 31 2 *", "2026-01-01T00:00", []),
    ],
)
def test_days_and_months(text, start, expected):
    assert [moment[:10] for moment in times(text, start, count=2)] == expected


def test_an_hour_left_out_has_nothing_due_and_one_seen_twice_has_it_twice():
    skipped = times("30 2 * * *", "2026-03-28T03:00", BERLIN, 1)
    assert skipped == ["2026-03-30T02:30"]
    doubled = times("30 2 * * *", "2026-10-25T00:00", BERLIN)
    assert doubled == ["2026-10-25T02:30", "2026-10-25T02:30", "2026-10-26T02:30"]


def test_a_day_without_a_midnight_is_passed():
    found = times("0 12 5 11 *", "2018-11-02T00:00", "America/Sao_Paulo", 1)
    assert found == ["2018-11-05T12:00"]


def test_an_interval_starts_where_it_is_asked():
    assert schedules.following(schedules.parse("@every 90s"), 1000.7, UTC) == 1090


@given(
    st.sampled_from(["*/7 3-20/4 * * *", "0 5 1,15 * *", "30 4 * 2-11/3 1-5", "59 23 * * 0"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_it_is_the_first_that_fits(text, start):
    schedule = schedules.parse(text)
    after = start.replace(tzinfo=UTC).timestamp()
    found = schedules.following(schedule, after, UTC)
    assert found is not None
    minute = datetime.fromtimestamp(after, UTC).replace(second=0, microsecond=0)
    for _ in range(3000):  # a minute at a time, as far as a test may take
        minute += timedelta(minutes=1)
        fits = (
            minute.minute in schedule.minutes
            and minute.hour in schedule.hours
            and minute.day in schedule.days
            and minute.month in schedule.months
            and minute.isoweekday() % 7 in schedule.weekdays
        )
        if fits or minute.timestamp() == found:
            assert fits
            assert minute.timestamp() == found
            return
    assert found > minute.timestamp()


def test_an_interval_is_whole_seconds():
    assert schedules.parse("@every 1500ms").every_seconds == 1
    assert schedules.parse("@every 1h1m1.9s").every_seconds == 3661
