"""Times of a user's table are the same moments whatever zone they are written in, and whatever zone the machine stands in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftgate.measure.moments import moments
from liftgate.measure.refusal import Misused
from liftgate.measure.table import open_table

AT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


def test_a_moment_is_the_same_in_every_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a zone, without one (UTC), as a date or as text on the command line: seconds since 1970, UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    zoned = AT.astimezone(timezone(timedelta(hours=9)))
    columns = {
        "zoned": pa.array([zoned], pa.timestamp("us", tz="Asia/Tokyo")),
        "plain": pa.array([AT.replace(tzinfo=None)], pa.timestamp("us")),
        "day": pa.array([AT.date()], pa.date32()),
        "hour": pa.array([336.5]),
        "word": pa.array(["soon"]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = open_table(str(tmp_path / "t.parquet"))
    names = ("zoned", "plain", "day", "hour")
    got = table.fetch(table.rows.select(**{name: moments(table, name).expression for name in names}))[0]
    assert got == {"zoned": AT.timestamp(), "plain": AT.timestamp(), "day": AT.timestamp() - 1_800, "hour": 336.5}
    zoned_column = moments(table, "zoned")
    assert (
        zoned_column.point("2026-03-29T02:30:00+02:00", "--read-at")
        == zoned_column.point("2026-03-29 00:30", "--read-at")
        == AT.timestamp()
    )
    assert (zoned_column.span("2w", "--window"), moments(table, "hour").span("336", "--window")) == (1_209_600, 336)
    with pytest.raises(Misused):
        moments(table, "word")
