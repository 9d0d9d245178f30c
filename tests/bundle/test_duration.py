"""Durations and times are read exactly or not at all."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.bundle.duration import PATTERN, duration_ms, duration_text, timestamp_ms


@pytest.mark.parametrize(
    ("text", "ms"), [("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("2h", 7_200_000), ("7d", 604_800_000), ("3660d", 316_224_000_000)]
)
def test_durations(text: str, ms: int) -> None:
    """Each unit is what it says; the published pattern allows it."""
    assert duration_ms(text) == ms
    assert re.search(PATTERN, text)


@pytest.mark.parametrize(
    "text", ["0d", "0ms", "00s", "1.5h", "-1d", "7", "d", "7 d", "7D", "1w", "1h30m", "", "3661d", "99999999999999d", "٣d"]
)
def test_bad_durations(text: str) -> None:
    """Zero, fractions, signs, other units and endless windows are refused."""
    with pytest.raises(ValueError, match=r"\w"):
        duration_ms(text)


@given(st.integers(1, 3660 * 86_400_000))
def test_text_reads_back(ms: int) -> None:
    """What is printed for a duration means that duration."""
    assert duration_ms(duration_text(ms)) == ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [("1970-01-01T00:00:00Z", 0), ("2026-11-01T02:00:00.5+02:00", 1_793_491_200_500), ("1969-12-31T23:59:59.999Z", -1)],
)
def test_timestamps(text: str, ms: int) -> None:
    """Times are milliseconds since the epoch, whatever their offset."""
    assert timestamp_ms(text) == ms


@pytest.mark.parametrize(
    "text", ["2026-11-01", "2026-11-01T00:00:00", "2026-02-30T00:00:00Z", "2026-11-01T00:00:00.0001Z", "today", "T", "2026-11-01 00:00:00Z"]
)
def test_bad_timestamps(text: str) -> None:
    """Without a zone, without a time, on no day, or finer than a millisecond: refused."""
    with pytest.raises(ValueError, match=r"\w"):
        timestamp_ms(text)
