"""What is no finite number stops the reading, however the file is written."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftgate.measure.refusal import Refused
from liftgate.measure.table import open_table


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_no_finite_number_in_parquet_is_refused_with_its_row(value: float, statistics: bool, kind: pa.DataType, tmp_path: Path) -> None:
    """Also where the file's statistics, which leave NaN out, say that all values lie between finite bounds."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": pa.array([-8e5, -6e4, value, 1.0], kind)}), path, write_statistics=statistics)
    with pytest.raises(Refused, match="row 3 of"):
        open_table(str(path)).check(["x"])


def test_finite_numbers_and_empty_cells_pass(tmp_path: Path) -> None:
    """The largest float64 is one, and no value is none that is wrong."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1.7976931348623157e308, -1.7976931348623157e308, 5e-324, None, 0.0]}), path)
    open_table(str(path)).check(["x"])
