"""Times in a user's table as one number line: seconds for dates and timestamps, the column's own unit for numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from liftgate.measure.refusal import Misused
from liftgate.measure.table import Table

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")


@dataclass(frozen=True, slots=True)
class Moments:
    """A time column as float64, and how what people write about it is read."""

    column: str
    calendar: bool
    """True: dates or timestamps, in seconds since 1970, UTC. False: numbers, as they are."""
    expression: Any

    def span(self, text: str, option: str) -> float:
        """Return a length such as `14d` or, of a numeric column, `336`. Raises Misused."""
        match = _SPAN.fullmatch(text.strip())
        if match is None or (match[2] == "") == self.calendar or not float(match[1]) > 0:
            wants = "a length such as 14d, 36h or 2w" if self.calendar else f"a number in the unit of {self.column!r}"
            raise Misused(f"{option} {text!r}: {self.column!r} holds {'times' if self.calendar else 'numbers'}, so give {wants}, above 0")
        return float(match[1]) * (_UNITS_S[match[2]] if match[2] else 1)

    def point(self, text: str, option: str) -> float:
        """Return a moment: ISO 8601 (UTC where no zone is said), or a number for a numeric column. Raises Misused."""
        try:
            if not self.calendar:
                return float(text)
            parsed = datetime.fromisoformat(text)
        except ValueError as err:
            wants = "a date or time such as 2026-11-22 or 2026-11-22T08:00:00Z" if self.calendar else "a number"
            raise Misused(f"{option} {text!r}: give {wants}, as {self.column!r} has") from err
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()

    def shown(self, value: float) -> str:
        """Return a moment as people read it."""
        if not self.calendar:
            return f"{value:g}"
        at = datetime.fromtimestamp(value, UTC)
        return at.strftime("%Y-%m-%d") if value % 86_400 == 0 else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def seconds_of(text: str, option: str) -> float:
    """Return a length such as 14d, 36h or 2w in seconds. Raises Misused."""
    match = _SPAN.fullmatch(text.strip())
    if match is None or not match[2] or not float(match[1]) > 0:
        raise Misused(f"{option} {text!r}: give a length such as 14d, 36h or 2w, above 0")
    return float(match[1]) * _UNITS_S[match[2]]


def timestamp_of(text: str, option: str) -> float:
    """Return a moment in ISO 8601, UTC where no zone is said, in seconds since 1970. Raises Misused."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as err:
        raise Misused(f"{option} {text!r}: give a date or time such as 2026-11-22 or 2026-11-22T08:00:00Z") from err
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def moments(table: Table, column: str) -> Moments:
    """Return a column of dates, timestamps or numbers. Raises Misused where it is neither."""
    table.has(column)
    found = table.rows[column]
    kind = found.type()
    if kind.is_timestamp() or kind.is_date():
        # A cast from a time with a zone to one without would read it in the zone of the engine's session.
        stamp = found.cast("timestamp") if kind.is_date() else found
        return Moments(column, True, stamp.epoch_seconds().cast("float64"))
    if kind.is_numeric():
        return Moments(column, False, found.cast("float64"))
    raise Misused(f"{column!r} of {table.name} holds neither times nor numbers; write times as 2026-11-22 08:00:00, all of one form")
