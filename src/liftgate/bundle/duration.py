"""Durations and times as text: `500ms`, `30s`, `10m`, `2h`, `7d`, and ISO 8601 with a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
PATTERN = r"^[1-9][0-9]{0,9}(ms|s|m|h|d)$"
_MAX_MS = 3_660 * UNITS_MS["d"]
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def duration_ms(text: str) -> int:
    """Return milliseconds, 1 ms to 3660 days. Raises ValueError with what is wanted."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("is no duration: a whole number and one of ms, s, m, h, d")
    ms = int(match[1]) * UNITS_MS[match[2]]
    if not ms:
        raise ValueError("may not be 0: a window or lease of 0 would mean never or forever")
    if ms > _MAX_MS:
        raise ValueError("may not exceed 3660d")
    return ms


def duration_text(ms: int) -> str:
    """Return the shortest text that reads back as `ms`."""
    for unit in ("d", "h", "m", "s"):
        if ms % UNITS_MS[unit] == 0:
            return f"{ms // UNITS_MS[unit]}{unit}"
    return f"{ms}ms"


def timestamp_ms(text: str) -> int:
    """Return milliseconds since the epoch of an ISO 8601 time with a zone. Raises ValueError with what is wanted."""
    if "T" not in text and "t" not in text:
        raise ValueError("is no moment: it wants a date, a time and a zone")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        # Python's own words differ from version to version.
        raise ValueError("is no ISO 8601 time, or no day of the calendar") from None
    if at.tzinfo is None:
        raise ValueError("has no zone: end it in Z or in an offset such as +02:00")
    since = at - _EPOCH
    if since % _MILLISECOND:
        raise ValueError("is finer than a millisecond")
    return since // _MILLISECOND
