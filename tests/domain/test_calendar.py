"""Calendar windows: local hours, days, weeks and months, on the days when clocks change too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.domain.calendar import Calendar, Period, window

PERIODS: tuple[Period, ...] = ("hour", "day", "week", "month")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia")
HOUR = 3_600_000


def ms(text: str) -> int:
    """Return milliseconds since the epoch of an ISO 8601 time."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def local(at_ms: int, zone: str) -> datetime:
    """Return the wall clock."""
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "late", "early"),
    [
        ("Europe/Berlin", "2026-06-15T23:59:00+02:00", "2026-06-16T00:01:00+02:00"),
        ("America/New_York", "2026-06-15T23:59:00-04:00", "2026-06-16T00:01:00-04:00"),
        ("Asia/Kolkata", "2026-06-15T23:59:00+05:30", "2026-06-16T00:01:00+05:30"),
        ("Europe/Berlin", "2026-03-28T23:59:00+01:00", "2026-03-29T00:01:00+01:00"),
        ("Europe/Berlin", "2026-03-29T23:59:00+02:00", "2026-03-30T00:01:00+02:00"),
        ("Europe/Berlin", "2026-10-24T23:59:00+02:00", "2026-10-25T00:01:00+02:00"),
        ("Europe/Berlin", "2026-10-25T23:59:00+01:00", "2026-10-26T00:01:00+01:00"),
        ("America/New_York", "2026-03-08T23:59:00-04:00", "2026-03-09T00:01:00-04:00"),
        ("America/New_York", "2026-11-01T23:59:00-05:00", "2026-11-02T00:01:00-05:00"),
    ],
)
def test_two_minutes_around_midnight_are_two_days(zone: str, late: str, early: str) -> None:
    """23:59 and 00:01 lie in two days that meet at midnight, in three zones and around both changes of the clock."""
    first, second = window("day", ms(late), ZoneInfo(zone)), window("day", ms(early), ZoneInfo(zone))
    assert first[1] == second[0] == ms(late) + 60_000 == ms(early) - 60_000


@pytest.mark.parametrize(
    ("at", "period", "hours"),
    [
        ("2026-03-29T12:00:00+02:00", "day", 23),
        ("2026-10-25T12:00:00+01:00", "day", 25),
        ("2026-06-15T12:00:00+02:00", "day", 24),
        ("2026-03-29T12:00:00+02:00", "week", 7 * 24 - 1),
        ("2026-10-25T12:00:00+01:00", "week", 7 * 24 + 1),
        ("2026-03-15T12:00:00+01:00", "month", 31 * 24 - 1),
        ("2026-02-15T12:00:00+01:00", "month", 28 * 24),
        ("2026-10-25T02:30:00+02:00", "hour", 1),
        ("2026-10-25T02:30:00+01:00", "hour", 1),
        ("2026-03-29T01:30:00+01:00", "hour", 1),
    ],
)
def test_windows_are_as_long_as_the_clocks_make_them(at: str, period: Period, hours: int) -> None:
    """A day is 23 or 25 hours long when clocks change; a repeated hour is two hours."""
    start, end = window(period, ms(at), ZoneInfo("Europe/Berlin"))
    assert end - start == hours * HOUR


def test_a_week_begins_on_monday_and_a_month_on_its_first() -> None:
    """Both begin at local midnight."""
    berlin = ZoneInfo("Europe/Berlin")
    assert window("week", ms("2026-06-21T23:59:59+02:00"), berlin) == (ms("2026-06-15T00:00:00+02:00"), ms("2026-06-22T00:00:00+02:00"))
    assert window("month", ms("2026-12-31T23:59:59+01:00"), berlin) == (ms("2026-12-01T00:00:00+01:00"), ms("2027-01-01T00:00:00+01:00"))


def test_a_skipped_midnight_and_a_skipped_day() -> None:
    """Where clocks jump over midnight the day begins at the jump; a date that a zone left out is no day."""
    assert local(window("day", ms("2018-11-04T12:00:00-02:00"), ZoneInfo("America/Sao_Paulo"))[0], "America/Sao_Paulo").hour == 1
    start, end = window("day", ms("2011-12-29T12:00:00-10:00"), ZoneInfo("Pacific/Apia"))
    assert (end - start, local(end, "Pacific/Apia").day) == (24 * HOUR, 31)


moments = st.integers(ms("2005-01-01T00:00:00+00:00"), ms("2035-01-01T00:00:00+00:00"))


@settings(max_examples=400, deadline=None)
@given(moments, st.sampled_from(ZONES), st.sampled_from(PERIODS))
def test_windows_part_time_without_gap_or_overlap(at: int, zone: str, period: Period) -> None:
    """Every moment lies in exactly one window, whichever moment of it is asked; the next begins where it ends."""
    where = ZoneInfo(zone)
    start, end = window(period, at, where)
    assert start <= at < end
    assert {window(period, moment, where) for moment in (start, (start + end) // 2, end - 1)} == {(start, end)}
    assert window(period, end, where)[0] == end
    assert window(period, start - 1, where)[1] == start


@settings(max_examples=300, deadline=None)
@given(moments, st.sampled_from(ZONES), st.sampled_from(PERIODS[1:]))
def test_an_event_counts_until_the_local_boundary_and_not_after(at: int, zone: str, period: Period) -> None:
    """Against the wall clock: the label of the period is the same to the window's last minute and another at its end."""

    def label(moment: int) -> tuple[int, ...]:
        day = local(moment, zone)
        return {"day": (day.year, day.month, day.day), "week": day.isocalendar()[:2], "month": (day.year, day.month)}[period]

    start, end = window(period, at, ZoneInfo(zone))
    assert label(start) == label(at)
    assert label(end) > label(at)
    assert all(label(moment) <= label(end) for moment in range(start, end, max((end - start) // 50, 1)))


def test_around_every_change_of_every_clock() -> None:
    """In every zone, around its changes of 2025 and 2026, days still meet without gap or overlap."""
    for name in sorted(available_timezones())[::7]:
        zone = ZoneInfo(name)
        hours = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=6 * i) for i in range(4 * 730)]
        changes = [b for a, b in pairwise(hours) if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset()]
        for change in changes:
            for late in range(-8, 3):
                at = round((change + timedelta(hours=late, minutes=7)).timestamp() * 1000)
                start, end = window("day", at, zone)
                assert start <= at < end
                assert (window("day", end, zone)[0], window("day", start - 1, zone)[1]) == (end, start)


def test_the_calendar_remembers_and_falls_back() -> None:
    """A person's zone is looked up by name; an unknown or absent one is the bundle's; what is remembered is the same."""
    calendar = Calendar(ZoneInfo("Europe/Berlin"), {"Asia/Kolkata": ZoneInfo("Asia/Kolkata")})
    at = ms("2026-06-15T20:00:00+02:00")
    assert calendar.window("day", at) == calendar.window("day", at, "Nowhere/Land") == window("day", at, ZoneInfo("Europe/Berlin"))
    for moment in (at, at + HOUR, at + 48 * HOUR, at):
        assert calendar.window("day", moment, "Asia/Kolkata") == window("day", moment, ZoneInfo("Asia/Kolkata"))
