"""Quiet hours on wall clocks: over midnight, in any zone, on the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import time_zones
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.guardrails.quiet_hours import QuietHours
from tests.properties.test_shadow import load

BERLIN = ZoneInfo("Europe/Berlin")
moments = st.one_of(
    st.integers(1_700_000_000, 1_900_000_000),
    # The nights on which clocks change in Berlin and in New York in 2026.
    *(st.integers(at - 14_400, at + 14_400) for at in (1_774_746_000, 1_793_494_800, 1_772_953_200, 1_793_512_800)),
)
times = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda time: f"{time[0]:02d}:{time[1]:02d}")


def bundle(starts: str, ends: str, **more: object) -> Bundle:
    """Return a bundle in Berlin's time with these quiet hours."""
    return load(
        {
            "bundle": "quiet",
            "currency": "EUR",
            "time_zone": "Europe/Berlin",
            "profile_purpose": "none",
            "offers": {"a": {"value": 1.0}},
            "placements": {"p": {"offers": "all", "select": {"policy": "epsilon_greedy", "epsilon": 0.1}}},
            "contact_policy": {"quiet_hours": {"from": starts, "to": ends} | more},
        }
    )


def verdicts(guardrail: QuietHours, asked: list[tuple[str, int]]) -> list[Reason]:
    """Return what is against everything for (zone, milliseconds since the epoch)."""
    batch = Batch(
        [DecideRequest("r", "p", "p", context=Context(time_zone=zone)) for zone, _ in asked],
        np.array([at for _, at in asked], dtype=np.int64),
    )
    found = guardrail.evaluate(batch)
    return [Reason(int(code)) for code in found.reason[:, 0]] if found else [Reason.UNSPECIFIED] * len(asked)


@settings(max_examples=60, deadline=None)
@given(times, times, st.lists(st.tuples(st.sampled_from(sorted(time_zones())), moments, st.integers(0, 999)), min_size=1, max_size=8))
def test_quiet_is_what_the_wall_clock_says(starts: str, ends: str, asked: list[tuple[str, int, int]]) -> None:
    """In every zone and at every moment a decision is held back exactly when the local HH:MM lies in the hours, over midnight or not."""
    if starts == ends:
        return
    guardrail = QuietHours(bundle(starts, ends))
    rows = [(zone, at_s * 1000 + ms) for zone, at_s, ms in asked]
    for (zone, at_ms), found in zip(rows, verdicts(guardrail, rows), strict=True):
        clock = f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)):%H:%M}"
        quiet = starts <= clock < ends if starts < ends else clock >= starts or clock < ends
        assert found is (Reason.QUIET_HOURS if quiet else Reason.UNSPECIFIED), (zone, clock)


@pytest.mark.parametrize(("day", "quiet_hours"), [(datetime(2026, 3, 28), 10), (datetime(2026, 10, 24), 12), (datetime(2026, 6, 1), 11)])
def test_a_night_is_as_long_as_clocks_make_it(day: datetime, quiet_hours: int) -> None:
    """From nine to eight is eleven hours, ten when clocks go forward in between and twelve when they go back."""
    guardrail = QuietHours(bundle("21:00", "08:00"))
    noon = day.replace(hour=12, tzinfo=BERLIN)
    minutes = [int((noon.astimezone(UTC) + timedelta(minutes=i)).timestamp() * 1000) for i in range(24 * 60)]
    found = verdicts(guardrail, [("", at) for at in minutes])
    assert found.count(Reason.QUIET_HOURS) == quiet_hours * 60


def test_the_minute_before_and_the_minute_of_the_boundary() -> None:
    """20:59:59.999 is not quiet, 21:00:00.000 is; 07:59:59.999 is, 08:00:00.000 is not."""
    guardrail = QuietHours(bundle("21:00", "08:00"))
    nine = int(datetime(2026, 6, 1, 21, tzinfo=BERLIN).timestamp() * 1000)
    eight = int(datetime(2026, 6, 2, 8, tzinfo=BERLIN).timestamp() * 1000)
    found = verdicts(guardrail, [("", nine - 1), ("", nine), ("", eight - 1), ("", eight)])
    assert found == [Reason.UNSPECIFIED, Reason.QUIET_HOURS, Reason.QUIET_HOURS, Reason.UNSPECIFIED]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "europe/berlin ", "../../etc/localtime", "+02:00", "\0"])
def test_a_zone_that_is_none_holds_back(zone: str) -> None:
    """Whatever is no name of a time zone is unknown, at noon too."""
    noon = int(datetime(2026, 6, 1, 12, tzinfo=BERLIN).timestamp() * 1000)
    assert verdicts(QuietHours(bundle("21:00", "08:00")), [(zone, noon)]) == [Reason.QUIET_HOURS_UNKNOWN]


@settings(max_examples=60, deadline=None)
@example("00:00", "01:01", "America/Chicago", 1_793_512_860)
@given(times, times, st.sampled_from(sorted(time_zones())), moments)
def test_quiet_hours_begin_next_when_the_wall_clock_says(starts: str, ends: str, zone: str, at_s: int) -> None:
    """From a moment that is not quiet until the next beginning no minute is, and the beginning is the same all that time."""
    if starts == ends:
        return
    guardrail = QuietHours(bundle(starts, ends))
    now_ms = at_s * 1000
    if verdicts(guardrail, [(zone, now_ms)]) != [Reason.UNSPECIFIED]:
        return
    request = DecideRequest("r", "p", "p", context=Context(time_zone=zone))
    begins = guardrail.next_ms(request, now_ms)
    minutes = range(now_ms, int(begins), 60_000)
    assert Reason.QUIET_HOURS not in verdicts(guardrail, [(zone, at) for at in minutes])
    assert now_ms < begins <= now_ms + 2 * 86_400_000
    assert guardrail.next_ms(request, int(begins) - 1) == begins
